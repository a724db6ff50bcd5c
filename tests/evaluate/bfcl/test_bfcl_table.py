"""Scores and tables from results on disk: known verdicts give known figures, and not run is never a zero."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from evaluate.bfcl.bfcl_results import ENTRIES, result, verdicts, write_results
from rich.console import Console

from funreason_train.commands import display
from funreason_train.errors import UserError
from funreason_train.evaluate.attempts import Attempts
from funreason_train.evaluate.bfcl import scores as scoring
from funreason_train.evaluate.bfcl.columns import COLUMNS
from funreason_train.evaluate.bfcl.table import build, pairs, published, screen

TURNS = [name for name in ENTRIES if name.startswith("multi_turn")]
ONE = Attempts()


def tries(tmp_path: Path, name: Any, rights: Any) -> Any:
    write_results(tmp_path / name, rights)
    return scoring.tries_of([scoring.read_rows(tmp_path / name, list(rights))])


def document(tmp_path: Path, models: Any, not_run: Any = None, attempts: Any = ONE, wrong: Any = None) -> Any:
    """The Markdown and the scores of models with these verdicts."""
    found = {name: tries(tmp_path, name, rights) for name, rights in models.items()}
    scores = {
        name: {
            **scoring.score(part, attempts, not_run or {}),
            "not_run": not_run or {},
            "wrong_because": wrong or {},
        }
        for name, part in found.items()
    }
    changes = [
        {"earlier": a, "later": b, **scoring.difference(found[a], found[b], attempts)}
        for a, b in pairs(list(models))
    ]
    return build(scores, changes, attempts, "2026.3.23", []), scores, changes


def cells(text: Any, section: Any, row: Any) -> Any:
    """The cells of one row of one table."""
    part = text.split(f"### {section}\n")[1].split("###")[0]
    line = next(line for line in part.splitlines() if line.startswith(f"| {row} |"))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_known_verdicts_give_known_columns(tmp_path: Path) -> None:
    rights = {name: [n < 20 * k for n in range(200)] for k, name in enumerate(TURNS, 1)}
    text, scores, _ = document(tmp_path, {"mine": rights})
    columns = scores["mine"]["columns"]
    assert columns["multi_turn.overall"]["value"] == pytest.approx(0.25)
    assert columns["multi_turn.long_context"]["value"] == pytest.approx(0.4)
    assert scores["mine"]["categories"]["multi_turn_base"]["right"] == 20
    row = cells(text, "Multi-turn", "mine")
    assert row[1] == "2026.3.23" and row[2].startswith("25.00 (") and row[3].startswith("10.00 (")
    assert "| multi_turn_base | 200 | 20/200 = 10.0 (6.6 to 14.9) |" in text


def test_what_was_not_run_is_never_a_zero(tmp_path: Path) -> None:
    rights = {"memory_kv": [False] * 155, "memory_rec_sum": [True] * 155}
    text, scores, _ = document(tmp_path, {"mine": rights}, {"memory_vector": "there is no embedding model"})
    columns = scores["mine"]["columns"]
    assert columns["v4.memory.kv"]["value"] == 0  # run, and all wrong
    assert columns["v4.memory"] == {"not_run": ["memory_vector: there is no embedding model"]}
    assert columns["v4.overall"]["not_run"][0] == "web_search_base: not asked for"
    row = cells(text, "BFCL v4 agentic", "mine")[2:]
    assert [cell == "not run" for cell in row] == [True, True, True, True, True, False, True, False]
    assert cells(text, "Multi-turn", "mine")[2:] == ["not run"] * 5
    assert "memory_vector: there is no embedding model" in text


def test_several_models_have_paired_differences_and_published_rows_beside_them(tmp_path: Path) -> None:
    base = {name: verdicts(name, 0.2) for name in TURNS}
    sft = {name: [a or n % 3 == 0 for n, a in enumerate(part)] for name, part in base.items()}
    rl = {name: [a or n % 2 == 0 for n, a in enumerate(part)] for name, part in sft.items()}
    text, scores, changes = document(tmp_path, {"base": base, "sft": sft, "rl": rl})
    assert [(c["later"], c["earlier"]) for c in changes] == [("sft", "base"), ("rl", "sft"), ("rl", "base")]
    for change in changes:
        found = change["columns"]["multi_turn.overall"]
        values = [
            scores[change[side]]["columns"]["multi_turn.overall"]["value"] for side in ("later", "earlier")
        ]
        assert found["value"] == pytest.approx(values[0] - values[1])
        assert 0 < found["ci95"][0] < found["value"] < found["ci95"][1]
    assert cells(text, "Multi-turn", "rl minus base")[2].startswith("+")
    paper = cells(text, "Multi-turn", "FunReason-MT-4B, RL [1]")
    assert "[1] FunReason-MT paper, arXiv:2510.24645v2;" in text
    assert paper[1] == "2025.8.25, published" and paper[2:] == [
        "57.75",
        "62.50",
        "60.50",
        "48.50",
        "59.50",
    ]
    assert cells(text, "Multi-turn", "HardGen-4B-RL [4]")[1:4] == ["v3, published", "63.13", ""]
    assert "HardGen" not in text.split("### Single-turn")[1]  # nothing published there
    assert not re.search(r"minus .*published|published.* minus", text)


def test_a_category_that_one_model_lacks_is_not_compared(tmp_path: Path) -> None:
    whole = {name: verdicts(name, 0.5) for name in TURNS}
    part = {name: whole[name] for name in TURNS[:3]}
    text, _, (change,) = document(tmp_path, {"a": whole, "b": part})
    assert "multi_turn.overall" not in change["columns"] and "multi_turn.base" in change["columns"]
    assert cells(text, "Multi-turn", "b minus a")[2] == "not run"


def test_other_entries_are_not_compared(tmp_path: Path) -> None:
    a = tries(tmp_path, "a", {"simple_python": [True] * 10})
    b = tries(tmp_path, "b", {"simple_python": [True] * 9})
    with pytest.raises(UserError, match="did not run the same entries of simple_python"):
        scoring.difference(a, b, ONE)


def test_attempts_seeds_and_pass_at_k_reach_the_table(tmp_path: Path) -> None:
    attempts = Attempts(seeds=(0, 1), samples=2, pass_k=(1, 2))
    rights = [[n % 4 == 0 or (n + k) % 4 == 1 for n in range(200)] for k in range(4)]
    for number, part in enumerate(rights):
        write_results(tmp_path / str(number), {"multi_turn_base": part})
    played = [scoring.read_rows(tmp_path / str(n), ["multi_turn_base"]) for n in range(4)]
    scores = {**scoring.score(scoring.tries_of(played), attempts, {}), "not_run": {}, "wrong_because": {}}
    column = scores["columns"]["multi_turn.base"]
    assert column["value"] == pytest.approx(sum(map(sum, rights)) / 800)
    assert column["pass_at_k"]["1"]["value"] == pytest.approx(column["value"])
    either = sum(a or b for a, b in zip(*rights[:2], strict=True)) / 200
    other = sum(a or b for a, b in zip(*rights[2:], strict=True)) / 200
    assert column["pass_at_k"]["2"]["value"] == pytest.approx((either + other) / 2)
    assert column["seeds"]["values"]["1"] == pytest.approx(sum(map(sum, rights[2:])) / 400)
    text = build({"mine": scores}, [], attempts, "2026.3.23", [])
    assert cells(text, "pass@2", "Multi-turn: Base")[1] == cells(text, "pass@2", "multi_turn_base")[1]
    assert f"{100 * column['pass_at_k']['2']['value']:.2f} (" in cells(text, "pass@2", "multi_turn_base")[1]
    assert "### pass@2" in text and "### Mean over seeds 0, 1" in text and "4 attempts an entry" in text


def test_the_table_says_why_answers_are_wrong_and_loses_no_reason(tmp_path: Path) -> None:
    rights = {"parallel": [False] * 200}
    few = {"prompt_too_long": 150, "unclosed": 50}
    text, _, _ = document(tmp_path, {"mine": rights}, wrong=few)
    title = "Why answers are wrong (first reason of each)"
    assert cells(text, title, "prompt_too_long") == ["prompt_too_long", "150"]
    many = {f"reason {number:02}": 40 - number for number in range(20)}
    text, _, _ = document(tmp_path, {"mine": rights}, wrong=many)
    assert cells(text, title, "8 other reasons")[1] == str(sum(40 - number for number in range(12, 20)))
    assert "Why answers" not in document(tmp_path, {"mine": {"parallel": [True] * 200}})[0]


def test_published_rows_say_what_they_are() -> None:
    rows = published()
    assert len({row.name for row in rows}) == len(rows) >= 17
    for row in rows:
        assert row.source and row.values and row.bfcl in ("v3", "v4", "2025.8.25")
        assert all(0 <= value <= 100 for value in row.values.values())
        assert set(row.values) <= {column.key for column in COLUMNS}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[: len(text) // 2], "is not JSON"),
        (lambda text: text + "[1]\n", "lacks id"),
        (lambda text: text.replace('"right": true', '"right": "yes"', 1), "lacks right"),
        (lambda text: text + text.splitlines()[0] + "\n", "an entry twice"),
        (None, "cannot be read"),
    ],
)
def test_damaged_results_are_one_clear_error(tmp_path: Path, damage: Any, said: str) -> None:
    write_results(tmp_path, {"parallel": [True] * 9})
    file = tmp_path / "parallel.jsonl"
    file.unlink() if damage is None else file.write_text(damage(file.read_text()))
    with pytest.raises(UserError, match=f"parallel.jsonl: .*{said}.*Delete the file"):
        scoring.read_rows(tmp_path, ["parallel"])
    (tmp_path / "info.json").write_text('{"bfcl_version": ')
    with pytest.raises(UserError, match=r"info\.json: .*damaged"):
        scoring.read_info(tmp_path)


def test_reasons_are_counted_by_their_first_words() -> None:
    rows = [result("parallel", n, n > 3, f"turn {n}: wrong_state: {n}") for n in range(5)]
    rows.append(result("parallel", 9, False, "malformed: unclosed") | {"reasons": []})
    assert scoring.reasons(rows) == {"wrong_state": 4, "no reason given": 1}
    assert json.dumps(scoring.reasons(rows[4:5])) == "{}"


def test_the_screen_shows_what_was_run_within_80_columns_and_one_line_about_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights = {name: [n < 20 * k for n in range(200)] for k, name in enumerate(TURNS, 1)}
    rights |= {"irrelevance": [True] * 200}
    _, scores, changes = document(
        tmp_path, {"base": rights, "sft": rights, "rl": rights}, {"memory_vector": "there is no model"}
    )
    table = screen(scores, changes, "2026.3.23")
    names = [row[0] for row in table.rows]
    assert names == [
        *(f"Multi-turn: {title}" for title in ("Overall", "Base", "Miss func", "Miss param", "Long context")),
        "irrelevance",
    ]
    assert table.rows[0][1] == "25.0 (21–30)" and table.rows[-1][1] == "100.0 (98–100)"
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    monkeypatch.setattr(display, "console", console)
    display.print_table(table)
    text = console.export_text()
    assert all(len(line.rstrip()) <= 80 for line in text.splitlines())
    assert "FunReason-MT-4B" not in text and text.count("not run") == 0
    (note,) = table.notes
    assert note == ("Not run: 3 of Single-turn; 8 of BFCL v4 agentic; memory_vector (there is no model).")


def test_a_screen_without_any_whole_column_shows_the_categories(tmp_path: Path) -> None:
    _, scores, changes = document(tmp_path, {"mine": {"simple_python": [True] * 400}})
    assert [row[0] for row in screen(scores, changes, "2026.3.23").rows] == ["simple_python"]
