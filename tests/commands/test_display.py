"""What a person sees: tables in full, whatever stands in them."""

import pytest
from rich.console import Console

from funreason_train.commands import display
from funreason_train.pages.table import Table


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A screen of 60 columns that keeps what was printed."""
    console = Console(width=60, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    monkeypatch.setattr(display, "console", console)
    return console


def test_a_table_is_shown_in_full_even_where_it_does_not_fit(screen: Console) -> None:
    name = "a_very_long_model_name_" * 3
    rows = ((name, "50.0 (1 to 2)"), ("a|b [1]", "[red]x"))
    display.print_table(Table("Title [b]", ("model", "right"), rows, notes=("A [note].",)))
    text = screen.export_text()
    assert "50.0 (1 to 2)" in text and "…" not in text
    assert name in "".join(text.replace("50.0 (1 to 2)", "").split()), "it goes on in the next line"
    assert "a|b [1]" in text and "[red]x" in text and "Title [b]" in text and "- A [note]." in text


def test_columns_that_do_not_fit_side_by_side_stand_one_below_the_other(screen: Console) -> None:
    head = tuple(f"column{number:02}" for number in range(12))
    rows = (tuple(f"value{number:02}" for number in range(12)),)
    display.print_table(Table("", head, rows, notes=("said once",)))
    text = screen.export_text()
    assert all(len(line) <= 60 for line in text.splitlines())
    assert all(text.count(word) == 1 for word in (*head[1:], *rows[0][1:]))
    assert text.count("column00") == text.count("value00") > 1  # what the figures are of stands in each part
    assert text.count("said once") == 1


@pytest.mark.parametrize("width", [60, 72, 80, 100])
def test_no_word_is_broken_where_words_fit(width: int, screen: Console) -> None:
    screen.width = width
    names = ("missing_parameter", "chain", "no_tool")
    figures = ("0.0 % (0.0–0.9)", "57.2 % (52.3–62.0)", "68.8 % (64.0–73.2)")
    rows = tuple((name, "104", *figures) for name in names)
    display.print_table(Table("Tasks done right", ("category", "tasks", "base", "sft", "rl"), rows))
    words = screen.export_text().split()
    for expected in ("missing_parameter", "104", "(0.0–0.9)", "(52.3–62.0)", "(64.0–73.2)"):
        assert expected in words


def test_a_path_in_a_note_can_be_copied(screen: Console) -> None:
    path = "/a/folder-" + "x" * 70 + "/rejected.jsonl"
    display.print_table(Table("", ("model",), (("a",),), notes=(f"everything is in {path}",)))
    assert path in screen.export_text()


def test_three_models_with_intervals_take_two_lines_a_row_on_80_columns(screen: Console) -> None:
    screen.width = 80
    names = ("missing_parameter", "no_tool", "plain")
    figures = ("0.0 % (0.0 to 0.9)", "57.2 % (52.3 to 62.0)", "68.8 % (64.0 to 73.2)")
    rows = tuple((name, "104", *figures) for name in names)
    display.print_table(Table("", ("category", "tasks", "base", "sft", "rl"), rows))
    lines = [line for line in screen.export_text().splitlines() if line.strip() and "─" not in line]
    assert len(lines) == 1 + 2 * len(names)


def test_what_others_wrote_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A lone surrogate in a category of a rollout used to end `reverify` with a traceback."""
    hostile = "a\x1b[2J\x1b]0;title\x07\u202eb\ud800\x9bc\r"
    display.say(f"said {hostile}\nnext\tline")
    display.print_table(Table("", ("name", hostile), ((hostile, "1"),), notes=(hostile,)))
    out = capsys.readouterr().out
    assert not {*"\x1b\x07\u202e\ud800\x9b\r"} & {*out}
    assert "said a\\x1b[2J" in out and "\\ud800" in out and "next" in out


def test_no_name_becomes_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    display.say("shop:Car: has no tools; own:Purse: has two")
    assert "shop:Car: has no tools; own:Purse: has two" in capsys.readouterr().out
