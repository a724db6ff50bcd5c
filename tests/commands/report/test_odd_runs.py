"""Reports of runs whose files hold what nobody expects: odd texts and lines, results that differ in kind."""

import json
from pathlib import Path
from typing import Any

import pytest
from commands.report.made_run import SAMPLES, make_run
from evaluate.test_results import row as episode

from funreason_train.commands.report import write_report
from funreason_train.data import rejected
from funreason_train.evaluate import results
from funreason_train.evaluate.attempts import Attempts
from funreason_train.pages.embed import blocks_of
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir
from funreason_train.run.secrets import redacted_value


def data_of(run: RunDir) -> tuple[dict[str, Any], dict[str, Any]]:
    blocks = blocks_of(write_report(run, 1000, 20).read_text(encoding="utf-8"))
    return blocks["report"], blocks


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_what_looks_like_a_secret_ends_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address with a key before a quotation mark: its JSON was cut in the middle of an escape."""
    monkeypatch.setenv("MY_API_KEY", "never-written")
    run = make_run(tmp_path / "run", 1, 1, hostile=' see "https://x/?api_key=12345" \nnever-written "')
    value, _ = data_of(run)
    (group,) = value["rollouts"]["groups"]
    assert 'https://x/?api_key=[SECRET]"' in group["question"] and "[MY_API_KEY]" in group["question"]


def test_a_value_is_cleared_of_secrets_wherever_they_stand() -> None:
    environ = {"A_TOKEN": "nabcdef"}  # whose first letter is that of an escape
    value = {"nabcdef": ["\nabcdef", 'http://x/?token=a"b', ("nabcdef",), 3, None]}
    shown = {"[A_TOKEN]": ["\nabcdef", 'http://x/?token=[SECRET]"b', ["[A_TOKEN]"], 3, None]}
    assert redacted_value(value, environ) == shown


@pytest.mark.parametrize(
    "odd",
    [
        {"turn": 0, "results": 5, "ok": True, "reasons": 1, "gold": 2},
        {"turn": float("nan"), "reasons": "all", "results": {"a": 1}},
        {"turn": "x", "score": "1", "row": [1], "category": {"a": 1}, "reason": 7},
        {"score": 1e308, "gold": [float("inf")]},
    ],
)
def test_a_line_of_another_shape_ends_no_report(tmp_path: Path, odd: dict[str, Any]) -> None:
    run = make_run(tmp_path / "run", 2, 2)
    file = run.rl / "rollouts" / "2.jsonl"
    lines = lines_of(file)
    lines[1] |= odd
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    value, blocks = data_of(run)
    assert value["rollouts"]["steps"].count(2) == 2 * SAMPLES and "texts-2" in blocks


def test_a_line_that_is_left_out_moves_no_tokens(tmp_path: Path) -> None:
    """What follows it was shown with the tokens and the line of its neighbour."""
    run = make_run(tmp_path / "run", 1, 2)
    file = run.rl / "rollouts" / "1.jsonl"
    _, whole = data_of(run)
    lines = lines_of(file)
    lines[1]["sample"] = None
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    _, blocks = data_of(run)
    samples = blocks["texts-1"]["samples"]
    assert [one["lines"] for one in samples] == [[n] for n in range(1, 2 * SAMPLES + 1) if n != 2]
    tokens, before = blocks["tokens-1"], whole["tokens-1"]
    last, last_before = tokens["samples"][str(2 * SAMPLES - 2)], before["samples"][str(2 * SAMPLES - 1)]
    assert [tokens["pieces"][n] for n in last[0]["pieces"]] == [
        before["pieces"][n] for n in last_before[0]["pieces"]
    ]


def test_scores_of_two_versions_of_bfcl_stand_in_tables_of_their_own(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 1, 1)
    for name, version, value in (("base", "2025.8.25", 0.25), ("rl", "2026.3.23", 0.5)):
        columns = {"multi_turn.overall": {"value": value, "ci95": [value - 0.1, value + 0.1]}}
        scores = {"format": 1, "benchmark": "bfcl", "bfcl_version": version, "columns": columns}
        scores["limit"] = 5 if name == "rl" else None
        folder = run.eval(name, "bfcl")
        folder.mkdir(parents=True)
        (folder / "scores.json").write_text(json.dumps(scores))
    bfcl = next(one for one in data_of(run)[0]["evaluations"] if one["benchmark"] == "bfcl")
    heads = {table["title"]: table["head"] for table in bfcl["tables"]}
    assert heads == {"BFCL 2025.8.25": ["column", "base"], "BFCL 2026.3.23": ["column", "rl"]}
    assert any("two versions" in note for note in bfcl["notes"])
    assert [note for note in bfcl["notes"] if "a sample" in note] == [
        "rl: a sample of at most 5 entries of each category, not the whole benchmark."
    ]


@pytest.mark.parametrize("change", [{"tasks_sha256": "another"}, {"attempts": 4}])
def test_models_are_set_side_by_side_on_the_same_tasks_alone(tmp_path: Path, change: dict[str, Any]) -> None:
    """Tasks of another file may have the same ids, as the rows of two parquet files without any."""
    run = make_run(tmp_path / "run", 1, 1)
    for name in ("base", "sft", "rl"):
        file = run.eval(name) / "scores.json"
        more = {"tasks_sha256": "one", **(change if name == "rl" else {})}
        file.write_text(json.dumps({**json.loads(file.read_text()), **more}))
    (heldout,) = data_of(run)[0]["evaluations"]
    heads = [table["head"][2:] for table in heldout["tables"] if table["title"] == "Tasks done right"]
    assert heads == [["base", "sft"], ["rl"]] and len(heldout["tables"]) == 4
    assert any(note.endswith("in tables of their own: base, sft; rl.") for note in heldout["notes"])
    assert [one["name"] for one in heldout["shares"]] == ["base", "sft", "rl"]


def test_one_model_that_was_given_less_takes_no_table_from_the_others(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 1, 1)
    results.write(run.eval("quick"), [[episode("task-0", True)]], Attempts(), {})
    (heldout,) = data_of(run)[0]["evaluations"]
    heads = [table["head"][2:] for table in heldout["tables"] if table["title"] == "Tasks done right"]
    assert heads == [["base", "sft", "rl"], ["quick"]]


def test_data_elsewhere_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report showed the rows of whatever had the same name where the command was given."""
    run = make_run(tmp_path / "run", 1, 1)
    here, elsewhere = tmp_path / "here" / "mine", tmp_path / "elsewhere" / "mine"
    for folder, kept in ((here, 7), (elsewhere, 9)):
        folder.mkdir(parents=True)
        ledger = {"own": {"read": 10, "kept": kept, "rejected": {}, "steps": 1}}
        (folder / "ledger.json").write_text(json.dumps(ledger))
    (run.root / "config.yaml").write_text("data: {out: mine}\n")
    Manifest(run).update("data", settings={"data.out": "mine"}, result={"out": str(here)})
    monkeypatch.chdir(tmp_path / "elsewhere")
    (row,) = data_of(run)[0]["data"]["account"]["table"]["rows"]
    assert row == ["own", "10", "7", "0", "1"]


def test_rejected_rows_are_counted_beyond_those_that_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run", 1, 1)
    monkeypatch.setattr(rejected, "_READ", 3)
    value, blocks = data_of(run)
    reasons = {one["reason"]: one["rows"] for one in value["data"]["rejected"]["reasons"]}
    assert reasons == {"duplicate_key": 4, "no_turns": 2} and len(blocks["rejected"]["examples"]) == 3
