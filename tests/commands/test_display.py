"""What a person sees: tables in full, whatever stands in them, and how long a stage will still take."""

from pathlib import Path

import pytest
from rich.console import Console

from funreason_train.commands import display


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A screen of 60 columns that keeps what was printed."""
    console = Console(width=60, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    monkeypatch.setattr(display, "console", console)
    return console


def test_a_table_is_shown_in_full_even_where_it_does_not_fit(screen: Console) -> None:
    name = "a_very_long_model_name_" * 3
    lines = ["## Title", "", "| model | right |", "| --- | ---: |", f"| {name} | 50.0 (1 to 2) |"]
    display.print_markdown("\n".join([*lines, "| a\\|b [1] | [red]x |", "", "- A note."]))
    text = screen.export_text()
    assert name in "".join(text.split()) and "…" not in text
    assert "a|b [1]" in text and "[red]x" in text and "Title" in text and "- A note." in text


def test_columns_that_do_not_fit_side_by_side_become_paragraphs(screen: Console) -> None:
    head = [f"column{number:02}" for number in range(12)]
    rows = [head, ["---"] * 12, [f"value{number:02}" for number in range(12)]]
    display.print_markdown("\n".join(f"| {' | '.join(row)} |" for row in rows))
    text = " ".join(screen.export_text().split())
    assert text.startswith("value00: column01 value01; column02 value02;") and text.endswith(
        "column11 value11"
    )


def test_the_bar_says_how_far_and_how_long_still(tmp_path: Path, screen: Console) -> None:
    path = tmp_path / "progress"
    with display.StageDisplay("Evaluating", path, enabled=True) as bar:
        clock = [0.0]
        bar._bar.get_time = lambda: clock[0]  # type: ignore[method-assign, assignment]
        for done in (0, 20, 40):
            path.write_text(f'{{"done": {done}, "total": 100, "text": "100 tasks"}}')
            bar.refresh()
            clock[0] += 60.0
        screen.print(bar._bar.get_renderable())
    text = screen.export_text()
    assert "Evaluating" in text and "40/100" in text and "left 0:03:" in " ".join(text.split())
