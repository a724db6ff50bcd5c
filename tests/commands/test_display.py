"""What a person sees: tables in full, whatever stands in them."""

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
