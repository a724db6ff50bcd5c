"""The table: the same figures as the scores, side by side."""

from typing import Any

import pytest
from evaluate.test_results import row
from rich.console import Console

from funreason_train.commands import display
from funreason_train.evaluate.attempts import Attempts
from funreason_train.evaluate.results import score
from funreason_train.pages.comparison import compare


def model(right: Any) -> Any:
    rows = [row(f"{n}", n < right, "single|odd" if n % 2 else "chain") for n in range(40)]
    return score([rows], Attempts()), {item["id"]: item["right"] for item in rows}


def comparison(**models: Any) -> Any:
    found = {name: model(right) for name, right in models.items()}
    return compare({n: v[0] for n, v in found.items()}, {n: v[1] for n, v in found.items()})


def test_markdown_shows_every_model_category_and_difference() -> None:
    text = comparison(base=0, sft=20, rl=30).markdown()
    lines = text.splitlines()
    assert lines[2] == "| category | tasks | base | sft | rl |"
    assert any(line.startswith("| single\\|odd | 20 | 0.0 %") for line in lines)
    assert "| all | 40 | 0.0 % (0.0 to 8.8) | 50.0 % (35.2 to 64.8) | 75.0 % (59.8 to 85.8) |" in lines
    assert "- sft minus base: +50.0 points" in text and "- rl minus sft: +25.0 points" in text
    assert text.endswith("\n") and not text.endswith("\n\n")


def test_the_screen_shows_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    monkeypatch.setattr(display, "console", console)
    display.print_table(comparison(base=0, sft=20))
    text = console.export_text()
    assert "50.0 % (35.2 to 64.8)" in text and "sft minus base: +50.0 points" in text


def test_one_model_alone_has_no_difference() -> None:
    assert "minus" not in comparison(mine=7).markdown()


def test_models_with_other_tasks_are_not_compared() -> None:
    first, second = model(3), model(5)
    fewer = dict(list(second[1].items())[1:])
    with pytest.raises(ValueError, match="same tasks"):
        compare({"a": first[0], "b": second[0]}, {"a": first[1], "b": fewer})
    with pytest.raises(ValueError, match="no model"):
        compare({}, {})


@pytest.mark.parametrize(
    ("change", "said"),
    [({"tasks_sha256": "b"}, "tasks of different files"), ({"attempts": 4}, "number of attempts")],
)
def test_nor_are_those_whose_tasks_only_have_the_same_ids_or_were_tried_more_often(
    change: dict[str, Any], said: str
) -> None:
    (first, right), (second, _) = model(3), model(3)
    scores = {"a": {**first, "tasks_sha256": "a"}, "b": {**second, "tasks_sha256": "a", **change}}
    with pytest.raises(ValueError, match=said):
        compare(scores, {"a": right, "b": right})
