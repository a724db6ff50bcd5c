"""A reward function of your own: checked before the start, and never able to end a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from funreason_train.errors import UserError
from funreason_train.reward import own

GOOD = """
def score(data_source, solution_str, ground_truth, extra_info=None):
    return {"score": float("[f" in solution_str)}

def plain(**row):
    return len(row["solution_str"])

def extra(data_source, solution_str, ground_truth, extra_info, weight=2.0, *, scale=1):
    return weight * scale
"""
ROW: dict[str, Any] = {
    "data_source": "x",
    "solution_str": "</think>\n\n[f()]",
    "ground_truth": "{}",
    "extra_info": None,
}


def written(tmp_path: Path, text: str, function: str = "score") -> str:
    file = tmp_path / "mine.py"
    file.write_text(text)
    return f"{file}:{function}"


@pytest.mark.parametrize(("function", "value"), [("score", 1.0), ("plain", 15.0), ("extra", 2.0)])
def test_numbers_and_dictionaries_are_scores(tmp_path: Path, function: str, value: float) -> None:
    named = written(tmp_path, GOOD, function)
    assert own.problems(named) == []
    assert own.score(**ROW, function=named) == {"score": value, "error": 0.0}
    assert own.try_out({"function": named, "rows": [ROW, ROW]}) == 2


@pytest.mark.parametrize(
    ("text", "function", "says"),
    [
        (GOOD, "scoer", r"defines no function scoer .* \(there are: extra, plain, score\)"),
        ("def score(", "score", "is not Python"),
        ("async def score(**row): ...", "score", "is async"),
        ("def score(solution, answer): ...", "score", "does not take data_source, solution_str"),
        ("def score(judge, **row): ...", "score", "needs judge, which it will not be given"),
        ("class A:\n    def score(self, **row): ...", "score", "defines no function score"),
    ],
)
def test_what_cannot_be_called_is_told_without_running_it(
    tmp_path: Path, text: str, function: str, says: str
) -> None:
    trap = "open('ran', 'w')\n"
    (problem,) = own.problems(
        written(tmp_path, f"{text}\n{trap if 'not Python' not in says else ''}", function)
    )
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(problem)
    assert not Path("ran").exists()


@pytest.mark.parametrize("text", ["mine.py", "mine.txt:score", "mine.py:two words", ":score"])
def test_another_form_is_told(text: str) -> None:
    assert "FILE.py:function" in own.problems(text)[0]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be read" in own.problems(f"{tmp_path}/none.py:score")[0]


@pytest.mark.parametrize(
    "body", ["raise KeyError('x')", "return None", "return float('nan')", "return {}", "return 'high'"]
)
def test_an_error_scores_0_and_is_counted_and_is_found_before_the_start(tmp_path: Path, body: str) -> None:
    """verl#4417: an exception in a custom reward ends the run."""
    named = written(tmp_path, f"def score(**row):\n    {body}\n")
    assert own.score(**ROW, function=named) == {"score": 0.0, "error": 1.0}
    with pytest.raises(UserError, match="fails on row 0"):
        own.try_out({"function": named, "rows": [ROW]})
