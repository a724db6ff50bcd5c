"""What a report gathers: every rollout with its tokens, within its size, whatever the run left behind."""

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from commands.report.made_run import HOSTILE, SAMPLES, answer_of, make_run, planned

from funreason_train.commands.cli import main
from funreason_train.commands.report import Report, rollouts, write_report
from funreason_train.commands.report.rollouts import Rollouts
from funreason_train.commands.report.sample import called, expected, question
from funreason_train.commands.report.series import training
from funreason_train.pages.embed import blocks_of
from funreason_train.run.paths import RunDir


def data_of(page: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    blocks = blocks_of(page.read_text(encoding="utf-8"))
    return blocks["report"], blocks


def test_every_rollout_is_there_with_its_row_and_its_tokens(tmp_path: Path) -> None:
    value, blocks = data_of(write_report(make_run(tmp_path / "run", 3, 4), 1000, 20))
    index = value["rollouts"]
    columns, names = index["columns"], index["names"]
    assert len(index["steps"]) == 3 * 4 * SAMPLES and index["note"] == ""
    at = next(
        n
        for n, step in enumerate(index["steps"])
        if step == 2
        and index["groups"][columns["group"][n]]["name"] == "00000002-000003"
        and columns["sample"][n] == 1
    )
    assert names["row"][columns["row"][at]] == "row-3"
    assert names["category"][columns["category"][at]] == "kind-1"
    assert (columns["score"][at], names["reason"][columns["reason"][at]]) == (1.0, "right")
    assert (columns["tokens"][at], columns["advantage"][at], columns["tokens_kept"][at]) == (12, 0.5, True)
    held = blocks["texts-2"]
    sample = held["samples"][columns["place"][at]]
    assert held["texts"][sample["responses"][0]["answer"]] == answer_of(2, 3, 1)
    assert [held["texts"][n] for n in sample["gold"]] == ["[set_lamp(room=3, on=True)]"]
    assert sample["lines"] == [3 * SAMPLES + 2]
    (tokens,) = blocks["tokens-2"]["samples"][str(columns["place"][at])]
    assert len(tokens["pieces"]) == 12 and tokens["mask"] == [1] * 10 + [0, 0] and tokens["advantage"] == 500
    assert all(-1000 <= value <= 0 for value in tokens["old"] + tokens["new"] + tokens["rollout"])


def test_the_head_says_what_a_reader_asks_first(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    day = "2026-01-02"
    attempt = {
        "format": 1,
        "number": 1,
        "command": ["pipeline", "+recipe=quickstart_cpu"],
        "host": "box",
        "started": "2026-01-02T03:00:00+00:00",
        "ended": "2026-01-02T04:00:00+00:00",
        "outcome": "done",
        "stages": {
            "sft": {"started": f"{day}T03:00:10+00:00", "ended": f"{day}T03:10:00+00:00", "state": "done"},
            "rl": {"started": f"{day}T03:20:00+00:00", "ended": f"{day}T03:50:00+00:00", "state": "done"},
        },
    }
    (run.logs / "1").mkdir(parents=True)
    (run.logs / "1" / "attempt.json").write_text(json.dumps(attempt))
    value, _ = data_of(write_report(run, 100, 20))
    facts = dict(value["facts"])
    assert facts["command"] == "funreason-train pipeline +recipe=quickstart_cpu"
    assert (facts["seed"], facts["host"], facts["started"]) == ("7", "box", "2026-01-02 03:00 UTC")
    assert facts["model"].startswith("some/model")
    timeline = {row["stage"]: row["bars"] for row in value["timeline"]["rows"]}
    assert timeline["sft"] == [{"from": 0.0, "to": 590.0, "state": "done"}]
    assert timeline["rl"] == [{"from": 1190.0, "to": 2990.0, "state": "done"}]
    assert value["state"] == "done" and ["rl.learning_rate", "1e-06"] in value["settings"]


def test_evaluations_stand_with_their_intervals(tmp_path: Path) -> None:
    value, _ = data_of(write_report(make_run(tmp_path / "run"), 100, 20))
    (heldout,) = value["evaluations"]
    assert [one["name"] for one in heldout["shares"]] == ["base", "sft", "rl"]
    rl = heldout["shares"][2]
    assert rl["value"] == 5 / 8 and rl["low"] < 5 / 8 < rl["high"]
    done, reasons = heldout["tables"]
    assert done["rows"][-1][0] == "all" and "62.5 %" in done["rows"][-1][-1]
    assert ["rl_reason", "0", "0", "3"] in reasons["rows"] and heldout["page"] == "eval/failures.html"


def test_a_score_without_an_interval_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    file = run.root / "eval" / "rl" / "scores.json"
    scores = json.loads(file.read_text())
    del scores["ci95"]
    file.write_text(json.dumps(scores))
    (heldout,) = data_of(write_report(run, 100, 20))[0]["evaluations"]
    assert [one["name"] for one in heldout["shares"]] == ["base", "sft"] and heldout["tables"]
    assert any(note.startswith("rl: its scores.json has no interval") for note in heldout["notes"])


@pytest.mark.parametrize("file", ["eval/rl/scores.json", "manifest.json", "data/ledger.json", "config.yaml"])
@pytest.mark.parametrize("damage", ["", '{"format": 1, "acc', '{"format": 999}', "[1, 2]", "\x00\ufffd: ["])
def test_a_damaged_file_takes_nothing_else_with_it(tmp_path: Path, file: str, damage: str) -> None:
    run = make_run(tmp_path / "run", 2, 2)
    (run.root / file).write_text(damage)
    value, blocks = data_of(write_report(run, 100, 20))
    assert len(value["rollouts"]["steps"]) == 2 * 2 * SAMPLES and len(value["training"]) == 2
    assert "texts-2" in blocks


@pytest.mark.parametrize(
    "damage", ["not json\n", '{"group": "00000001-000000"}\n', "[]\n", '{"group": 3, "sample": "x']
)
def test_a_step_that_is_being_written_is_shown_as_far_as_it_goes(tmp_path: Path, damage: str) -> None:
    run = make_run(tmp_path / "run", 2, 3)
    file = run.rl / "rollouts" / "2.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:SAMPLES]) + damage)
    (run.rl / "rollouts" / "1.npz").write_bytes(b"no archive")
    value, blocks = data_of(write_report(run, 1000, 20))
    steps = value["rollouts"]["steps"]
    assert (steps.count(1), steps.count(2)) == (3 * SAMPLES, SAMPLES)
    assert "tokens-1" not in blocks and "tokens-2" in blocks
    assert "of these samples have their tokens here" in value["rollouts"]["note"]


def test_more_rollouts_than_fit_are_drawn_evenly_and_the_page_says_so(tmp_path: Path) -> None:
    value, _ = data_of(write_report(make_run(tmp_path / "run", 10, 6), 100, 20))
    steps = value["rollouts"]["steps"]
    counts = {step: steps.count(step) for step in range(1, 11)}
    assert set(counts.values()) == {3 * SAMPLES}, "whole groups, the same number of each step"
    assert "120 of the run's 240 responses are in this page" in value["rollouts"]["note"]


def test_a_page_keeps_within_its_megabytes(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 8, 6)
    rng = random.Random(0)
    for file in (run.rl / "rollouts").glob("*.jsonl"):  # texts that do not compress
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            line["answer"] = "".join(chr(rng.randrange(0x4E00, 0x9F00)) for _ in range(12_000))
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = write_report(run, 10_000, 4)
    value, _ = data_of(page)
    assert page.stat().st_size < 4_000_000
    shown = len(value["rollouts"]["steps"])
    assert (
        8 * SAMPLES <= shown < 8 * 6 * SAMPLES and "responses are in this page" in value["rollouts"]["note"]
    )


def test_a_second_look_reads_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", 3, 2)
    read: list[int] = []
    real = rollouts._step

    def counted(step: int, *rest: Any) -> Any:
        read.append(step)
        return real(step, *rest)

    monkeypatch.setattr(rollouts, "_step", counted)
    report = Report(run, 1000, None)
    first = report.refresh()
    assert read == [1, 2, 3] and report.refresh() == first and read == [1, 2, 3]
    source = run.rl / "rollouts" / "3.jsonl"
    (run.rl / "rollouts" / "4.jsonl").write_text(source.read_text())
    assert report.refresh() != first and read == [1, 2, 3, 4]
    assert "texts-4" in report.blocks


def test_what_is_hostile_stays_inside_the_blocks(tmp_path: Path) -> None:
    page = write_report(make_run(tmp_path / "run", 2, 2, hostile=HOSTILE), 100, 20)
    text = page.read_text(encoding="utf-8")
    assert "window.broken" not in text and "⟨" not in text.partition("<script")[0]
    value, blocks = data_of(page)
    assert any("window.broken" in name for name in value["rollouts"]["names"]["row"])
    assert any("window.broken" in str(one) for one in blocks["rejected"]["texts"])


def test_a_secret_of_the_environment_is_on_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    run = make_run(tmp_path / "run", 1, 1)
    config = {"synth": {"openai": {"api_key": "another-secret", "url": "http://x/sk-very-secret"}}, "seed": 1}
    (run.root / "config.yaml").write_text(json.dumps(config))
    value, _ = data_of(write_report(run, 100, 20))
    assert "very-secret" not in json.dumps(value) and "another-secret" not in json.dumps(value)
    assert ["synth.openai.api_key", "(hidden)"] in value["settings"]


def test_curves_of_a_resumed_run_go_on(tmp_path: Path) -> None:
    (tmp_path / "sft").mkdir()
    rows = [{"step": n, "loss": 1.0, "tokens": 10 * n, "seconds": 1.0 * n} for n in (1, 2, 3)]
    rows += [{"step": 3, "loss": 0.5, "tokens": 5, "seconds": 2.0}, {"step": 4, "tokens": 15, "seconds": 3.0}]
    (tmp_path / "sft" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (sft,) = training(tmp_path)
    assert sft["x"]["step"] == [1, 2, 3, 4] and sft["x"]["tokens"] == [10, 20, 25, 35]
    (loss,) = sft["charts"]
    assert loss["series"][0]["values"] == [1.0, 1.0, 0.5, None]


def test_validation_does_not_take_the_place_of_the_loss_of_its_step(tmp_path: Path) -> None:
    (tmp_path / "sft").mkdir()
    lines = [
        {"step": step, name: value}
        for step in (10, 20)
        for name, value in (("loss", 1.0), ("eval_loss", 2.0))
    ]
    (tmp_path / "sft" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (found,) = training(tmp_path)
    curves = {one["name"]: one["values"] for one in found["charts"][0]["series"]}
    assert curves == {"training": [1.0, 1.0], "validation": [2.0, 2.0]}


def test_tasks_played_while_sft_trains_are_a_curve_also_between_logged_steps(tmp_path: Path) -> None:
    (tmp_path / "sft").mkdir()
    rows = [{"step": n, "loss": 1.0, "tokens": 10 * n, "seconds": 1.0 * n} for n in (1, 10, 20)]
    played: list[dict[str, Any]] = [
        {"step": n, "accuracy": 0.0, "ci95": [0.0, 0.3], "seconds": 9.0} for n in (10, 15)
    ]
    played.append({"step": 20, "failed": "the engine died"})
    for name, lines in (("metrics", rows), ("held_out", played)):
        (tmp_path / "sft" / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (sft,) = training(tmp_path)
    assert sft["x"]["step"] == [1, 10, 15, 20] and sft["x"]["tokens"] == [10, 100, 100, 200]
    (chart,) = [one for one in sft["charts"] if one["title"] == "Tasks done right"]
    assert {one["name"]: one["values"] for one in chart["series"]} == {
        "right": [None, 0.0, 0.0, None],
        "to": [None, 0.3, 0.3, None],
    }


def test_reasons_that_a_step_does_not_name_did_not_occur(tmp_path: Path) -> None:
    (tmp_path / "rl").mkdir()
    rows = [{"step": 1, "reason/right": 1.0}, {"step": 2, "reason/right": 0.5, "reason/syntax": 0.5}]
    (tmp_path / "rl" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (rl,) = training(tmp_path)
    (chart,) = rl["charts"]
    assert {one["name"]: one["values"] for one in chart["series"]} == {
        "right": [1.0, 0.5],
        "syntax": [0.0, 0.5],
    }


def test_calls_and_gold_are_read_for_the_eye() -> None:
    assert called("t</think>\n\n[f(a=1), g()]") == ["[f(a=1)]", "[g()]"] and called("never closed") == []
    assert expected('{"calls": [{"name": "f", "arguments": {"a": null}}]}') == ["[f(a=None)]"]
    assert (
        expected("anything else") == ["anything else"]
        and expected(None) == []
        and expected({"a": 1}) == ["{'a': 1}"]
    )
    prompt = "<|im_start|>user\nfirst<|im_end|>\n<|im_start|>user\nlast " + "x" * 500
    result = "<|im_end|>\n<|im_start|>user\n<tool_response>\n[1]\n</tool_response><|im_end|>\n"
    assert question(prompt).startswith("last xxx") and len(question(prompt)) < 200
    assert question(prompt + result) == question(prompt)


def test_the_command_writes_the_report_and_names_what_is_not_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", 1, 1)
    assert main(["report", f"run_dir={run.root}"]) == 0
    assert "report.html" in capsys.readouterr().out and (run.root / "report.html").is_file()
    (tmp_path / "empty").mkdir()
    for place, words in (("empty", "nothing that a stage has made"), ("nowhere", "there is no run")):
        assert main(["report", f"run_dir={tmp_path / place}"]) == 2
        assert words in capsys.readouterr().err


def test_limits_are_kept_with_one_group_a_step_at_least(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 5, 3)
    found = Rollouts(run.rl / "rollouts", 1, None)
    found.refresh()
    index = found.index()
    assert index is not None and len(index["steps"]) == 5 * SAMPLES
    assert Rollouts(RunDir.at(tmp_path).rl / "rollouts", 10, None).index() is None


def many_steps(folder: Path, steps: int, group: int, letters: int = 1) -> Path:
    """The rollouts of a run of many steps, each of one group."""
    rng = random.Random(0)
    folder.mkdir(parents=True)
    for step in range(1, steps + 1):
        noise = "".join(chr(rng.randrange(0x4E00, 0x9F00)) for _ in range(letters))
        line = {"group": "g", "prompt": noise, "answer": "a", "score": 0.0, "reason": "syntax"}
        text = "".join(json.dumps({**line, "sample": number}) + "\n" for number in range(group))
        (folder / f"{step}.jsonl").write_text(text)
    return folder


def test_of_very_many_steps_some_at_even_distances_are_shown_and_that_is_said(tmp_path: Path) -> None:
    found = Rollouts(many_steps(tmp_path / "rollouts", 300, 40), 1000, None)
    found.refresh()
    index = found.index()
    assert index is not None
    shown = list(dict.fromkeys(index["steps"]))
    assert len(index["steps"]) == 1000 and shown == [12 * number for number in range(1, 26)]
    assert index["note"].startswith("1,000 of the run's 12,000 responses are in this page: whole groups, the")
    assert "ones of each of 25 of 300 steps." in index["note"]
    before = dict(found.steps)
    found.refresh()
    assert all(found.steps[step] is before[step] for step in before), "nothing is read a second time"


def test_many_steps_of_long_texts_keep_within_the_megabytes(tmp_path: Path) -> None:
    found = Rollouts(many_steps(tmp_path / "rollouts", 60, 4, letters=12_000), 5000, 0.2e6)
    found.refresh()
    assert 0 < sum(map(len, found.blocks.values())) < 0.2e6
    assert found.steps[60].samples, "the last step is among them"


def test_of_a_group_of_thousands_the_first_are_held_and_the_figures_are_of_all(tmp_path: Path) -> None:
    (tmp_path / "rollouts").mkdir()
    with (tmp_path / "rollouts" / "1.jsonl").open("w") as file:
        for number in range(3000):
            line: dict[str, Any] = {"prompt": "p"} if number == 0 else {"prompt_at": 0}
            line |= {"group": "g", "sample": number, "answer": "a" * 10_000, "reason": "syntax"}
            file.write(json.dumps(line | {"score": float(number == 2999)}) + "\n")
    found = Rollouts(tmp_path / "rollouts", 5000, None)
    tracemalloc.start()
    try:
        found.refresh()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    index = found.index()
    assert index is not None and most < 20e6, "all answers together are 30 MB"
    assert index["columns"]["sample"] == list(range(256))
    (group,) = index["groups"]
    assert (group["of"], group["mean"], group["signal"]) == (3000, pytest.approx(1 / 3000), True)
    assert "256 of the run's 3,000 responses" in index["note"] and "largest groups" in index["note"]


def test_lines_of_a_step_are_counted_again_only_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = many_steps(tmp_path / "rollouts", 5, 4)
    counted: list[str] = []

    def lines(file: Path) -> int:
        counted.append(file.name)
        return 4

    monkeypatch.setattr(rollouts, "_lines", lines)
    found = Rollouts(folder, 100, None)
    found.refresh()
    with (folder / "3.jsonl").open("a") as file:
        file.write((folder / "3.jsonl").read_text())
    found.refresh()
    assert counted == [f"{step}.jsonl" for step in (1, 2, 3, 4, 5, 3)]


def test_the_plan_and_sft_s_memory_are_in_it(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert data_of(write_report(run, 100, 20))[0]["plan"] is None, "a run without a plan has no such table"
    value, _ = data_of(write_report(planned(run), 100, 20))
    assert value["plan"]["head"] == ["stage", "what", "planned", "measured", "planned / measured"]
    assert {row[0] for row in value["plan"]["rows"]} == {"sft", "rl"}
    (sft,) = [one for one in value["training"] if one["stage"] == "sft"]
    (memory,) = [chart for chart in sft["charts"] if chart["title"] == "Memory"]
    assert memory["unit"] == "GiB" and memory["series"][0]["values"][-1] == 1.49
    (run.plan / "plan.json").write_text('{"format": 99}')
    assert data_of(write_report(run, 100, 20))[0]["plan"] is None, (
        "nor has one with a plan of another version"
    )
