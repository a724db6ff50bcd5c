"""Episodes on disk: what a crash leaves behind is kept, and what failed can be read."""

import json
from pathlib import Path
from typing import Any

import pytest

from funreason_train.errors import UserError
from funreason_train.evaluate import results
from funreason_train.evaluate.attempts import Attempts
from funreason_train.evaluate.play import dump


def row(
    name: Any, right: Any, category: str = "single", reasons: Any = (), completion: str = "done"
) -> dict[str, Any]:
    response = {
        "prompt": f"{name}?",
        "prompt_tokens": 3,
        "completion": completion,
        "tokens": 7,
        "finish": "stop",
    }
    turn = {
        "user": f"Do {name}.",
        "gold": ["[f(a=1)]", "Done."],
        "reasons": [reason.split(": ", 1)[1] for reason in reasons],
        "responses": [{**response, "calls": [], "results": ["ok"]}],
    }
    return {"id": name, "category": category, "right": right, "reasons": list(reasons), "turns": [turn]}


ROWS = [
    row("a", True),
    row("b", False, "chain", ["turn 0: malformed: unclosed"]),
    row("c", False, "chain", ["turn 0: missing_result: [f(a=1)] never answered ok"]),
    row("d", False, "chain", ["turn 0: malformed: unclosed", "turn 0: wrong_state: x"]),
]


def test_finished_episodes_survive_a_line_cut_off_by_a_crash(tmp_path: Path) -> None:
    whole = "".join(map(dump, ROWS[:2]))
    (tmp_path / "replica0.jsonl").write_text(whole + dump(ROWS[2])[:-30])
    (tmp_path / "replica1.jsonl").write_text(dump(ROWS[3]))
    assert results.finished(tmp_path) == {"a": ROWS[0], "b": ROWS[1], "d": ROWS[3]}
    results.end_last_line(tmp_path)
    results.end_last_line(tmp_path)
    with (tmp_path / "replica0.jsonl").open("a") as file:
        file.write(dump(ROWS[2]))
    assert results.finished(tmp_path) == dict(zip("abcd", ROWS, strict=True))


def test_scores_failures_and_reasons(tmp_path: Path) -> None:
    scores = results.write(tmp_path, [ROWS], Attempts(), {"model": {"name": "m"}})
    assert json.loads((tmp_path / "scores.json").read_text()) == scores
    assert (scores["right"], scores["tasks"], scores["accuracy"]) == (1, 4, 0.25)
    assert scores["categories"]["chain"]["accuracy"] == 0.0 and scores["categories"]["single"]["tasks"] == 1
    low, high = scores["ci95"]
    assert low < 0.25 < high
    assert scores["wrong_because"] == {"malformed: unclosed": 2, "missing_result": 1}
    assert scores["tokens"] == 28 and scores["cut_off"] == 0
    failures = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert [item["id"] for item in failures] == ["b", "c", "d"]
    assert failures[1]["wrong"] == "turn 0: missing_result: [f(a=1)] never answered ok"
    assert failures[1]["gold"] == ["[f(a=1)]", "Done."] and failures[1]["prompt"] == "c?"
    assert list(results.verdicts(tmp_path / "episodes.jsonl").values()) == [1.0, 0.0, 0.0, 0.0]


GOLDEN = {
    "format": 1,
    "accuracy": 0.25,
    "right": 1,
    "tasks": 4,
    "ci95": [0.04558726, 0.69936],
    "categories": {
        "chain": {"accuracy": 0.0, "right": 0, "tasks": 3, "ci95": [0.0, 0.5614970]},
        "single": {"accuracy": 1.0, "right": 1, "tasks": 1, "ci95": [0.2065493, 1.0]},
    },
    "responses": 4,
    "tokens": 28,
    "cut_off": 0,
    "wrong_because": {"malformed: unclosed": 2, "missing_result": 1},
    "model": {"name": "m"},
}
"""What other programs rely on: a change of it is a change of `FORMAT`."""


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, 5) if isinstance(value, float) else value


def test_scores_have_the_form_that_others_read(tmp_path: Path) -> None:
    results.write(tmp_path, [ROWS], Attempts(), {"model": {"name": "m"}})
    found = json.loads((tmp_path / "scores.json").read_text())
    assert list(found) == list(GOLDEN) and rounded(found) == rounded(GOLDEN)
    assert results.read_scores(tmp_path) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"accuracy": 0.5}', "format None, and this version reads 1.*restart=eval"),
        ('{"format": 2}', "format 2, and this version reads 1"),
        ("{", "cannot be read"),
        ("[1]", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_scores_of_another_version_are_not_guessed_at(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "scores.json").write_text(text)
    with pytest.raises(UserError, match=says):
        results.read_scores(tmp_path)


@pytest.mark.parametrize("below", ["", "bfcl"])
def test_a_copied_model_of_another_name_takes_over_the_answers(tmp_path: Path, below: str) -> None:
    old, new = (tmp_path / name / below / "parts" / "k3y" for name in ("model", "copy"))
    results.take_over(new, tmp_path)
    assert not new.exists()
    (old / "memory").mkdir(parents=True)
    (old / "replica0.jsonl").write_text("".join(map(dump, ROWS[:2])))
    (old / "memory" / "a.json").write_text("{}")
    results.take_over(new, tmp_path)
    assert results.finished(new) == results.finished(old) and (new / "memory" / "a.json").exists()
    (new / "replica0.jsonl").write_text(dump(ROWS[3]))
    results.take_over(new, tmp_path)
    assert list(results.finished(new)) == ["d"], "what is there already stays"
    other = new.with_name("0ther")
    results.take_over(other, tmp_path)
    assert not other.exists(), "another model, or another setting"


def test_scores_never_stand_beside_episodes_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off in between, an evaluation left the scores of the one before beside its own episodes."""
    results.write(tmp_path, [ROWS], Attempts(), {})

    def full(path: Path, value: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results, "write_json", full)
    with pytest.raises(OSError):
        results.write(tmp_path, [ROWS[:2]], Attempts(), {})
    assert len((tmp_path / "episodes.jsonl").read_text().splitlines()) == 2
    assert not (tmp_path / "scores.json").exists()
