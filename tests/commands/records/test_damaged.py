"""Records that somebody has changed: a sentence that says what and where, and never a traceback."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands.records.recorded import finished
from commands.report.made_run import make_run

from funreason_train.commands.cli import main
from funreason_train.commands.records.lineage import chain
from funreason_train.commands.records.scan import RunRecord, one_run
from funreason_train.commands.report.build import Report, write_report
from funreason_train.errors import UserError
from funreason_train.pages.embed import blocks_of
from funreason_train.run.attempts import Attempt, attempts
from funreason_train.run.manifest import Manifest

Change = Callable[[Any], Any]


def change(path: Path, do: Change) -> None:
    value = json.loads(path.read_text())
    do(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("attempts", [None]),
        ("seconds", {"x": 1}),
        ("seconds", math.nan),
        ("seconds", 10**400),
        ("result", -1),
        ("inputs", {"a": "b"}),
        ("inputs", {"a": {"digest": None}}),
        ("settings", "x"),
        ("settings", None),
        ("origin", {"hardware": {"gpus": {"a": 1}}}),
        ("origin", {"parents": [{"run": None, "stage": "rl"}]}),
        ("origin", {"git": "abc"}),
        ("origin", {"parents": [{"run": "x"}]}),
        ("state", 7),
    ],
)
def test_a_manifest_with_a_part_of_another_shape_names_the_part(
    part: str, value: Any, tmp_path: Path
) -> None:
    run = finished(tmp_path / "run")
    change(run.manifest, lambda manifest: manifest["stages"]["eval"].update({part: value}))
    with pytest.raises(UserError, match=rf"manifest.json: is damaged \(stages\.eval\.{part}.*run_dir=DIR"):
        Manifest(run)
    assert "stages.eval" in RunRecord.of(run.root).problem
    with pytest.raises(UserError, match="is damaged"):
        chain(run.eval("rl") / "scores.json")


def test_an_origin_of_which_nothing_is_known_hides_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, other = finished(tmp_path / "run"), finished(tmp_path / "other", accuracy=0.75)
    unknown = {"git": None, "hardware": None, "parents": None}
    change(run.manifest, lambda manifest: manifest["stages"]["eval"].update(origin=unknown))
    assert main(["lineage", str(run.eval("rl") / "scores.json")]) == 0
    assert main(["runs", "compare", f"of=[{run.root},{other.root}]"]) == 0
    assert "0.7500" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format": 3, "stages": {"eval": 3}}', "\ufeff{}", "", "[]"]
)
def test_a_manifest_that_is_none_is_told_by_name(text: str, tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    run.manifest.write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json"):
        one_run(str(run.root))
    write_report(run, 10, 5)


@pytest.mark.parametrize(
    "do",
    [
        lambda scores: scores.update(wrong_because=None),
        lambda scores: scores.update(categories=[{}]),
        lambda scores: scores.update(accuracy=10**400),
        lambda scores: scores.update(ci95=[None, 1]),
        lambda scores: scores["categories"].update(other=-1),
    ],
)
def test_scores_of_another_shape_are_left_out_of_the_report_with_a_note(do: Change, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", steps=1, groups=1)
    change(run.eval("rl") / "scores.json", do)
    (found,) = blocks_of(write_report(run, 10, 5).read_text())["report"]["evaluations"]
    assert [one["name"] for one in found["shares"]] == ["base", "sft"]
    assert found["notes"] == ["rl: its scores.json is damaged, so it is not shown; evaluate it again."]


def test_what_else_a_report_reads_may_be_damaged(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", steps=2, groups=2)
    with Attempt(run, ["rl"]) as attempt:
        attempt.begin()
        attempt.note(stages={"sft": [[]]})
    assert attempts(run)[0]["stages"] == {}
    run.config.write_text("data: x\nmodel: [1]\n")
    run.summary.write_text('{"heldout": {"base": "x", "rl": 0.5, "rl_minus_sft_ci95": [null, 1]}}')
    lines = (run.rl / "rollouts" / "1.jsonl").read_text().splitlines()
    broken = {"group": 1, "sample": None, "prompt": 3}
    (run.rl / "rollouts" / "1.jsonl").write_text("\n".join([*lines, json.dumps(broken), '{"gro']))
    (run.rl / "rollouts" / "2.npz").write_bytes(b"PK\x03\x04 no zip")
    (run.rl / "metrics.jsonl").write_text('{"step": 1, "health/score": NaN, "actor/lr": 1%s}\n' % ("0" * 400))
    (run.eval("sft") / "episodes.jsonl").write_text("0\n" + "[" * 100_000)
    report = Report(run, 100, 5)
    report.refresh()
    found = blocks_of(report.page())["report"]
    assert len(found["rollouts"]["steps"]) == 16  # the whole lines of both steps
    tiles = [one for one in found["tiles"] if "held-out" in one["name"]]
    assert [one["value"] for one in tiles] == ["0.0 %", "37.5 %", "62.5 %"], "the scores, not the summary"
    assert tiles[-1]["note"] == "8 tasks"


def test_the_commit_of_the_manifest_stands_in_the_report(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", steps=1, groups=1)
    Manifest(run).update("eval", origin={"git": {"commit": "0123456789abcdef", "dirty": True}})
    facts = dict(blocks_of(write_report(run, 10, 5).read_text())["report"]["facts"])
    assert facts["commit"] == "0123456789ab with changes of its own"


def test_a_report_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", steps=1, groups=1)
    (run.report / "in_the_way").mkdir(parents=True)
    assert main(["report", f"run_dir={run.root}"]) == 2
    assert "the run directory cannot be written" in capsys.readouterr().err


def test_a_run_from_another_machine_is_traced_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path / "run")
    away = {"/mnt/away/model/config.json": {"digest": "abc", "bytes": 1}}
    parents = [{"run": "/mnt/away/run0", "stage": "sft", "fingerprint": "x"}]

    def copied(manifest: Any) -> None:
        manifest["stages"]["eval"] |= {"inputs": away, "origin": {"parents": parents}}

    change(run.manifest, copied)
    assert main(["lineage", str(run.eval("rl") / "scores.json")]) == 0
    assert "eval: /mnt/away/model/config.json is missing" in capsys.readouterr().out


def test_one_odd_run_does_not_hide_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd, good = finished(tmp_path / "odd"), finished(tmp_path / "good")
    (odd.root / "logs").write_text("no folder")
    assert main(["runs", "list", f"folder={tmp_path}", "--json"]) == 0
    assert [one["run"] for one in json.loads(capsys.readouterr().out)] == [str(good.root), str(odd.root)]


def test_a_record_without_settings_is_another_job_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished(tmp_path / "run")
    change(
        run.manifest, lambda manifest: [manifest["stages"]["sft"].pop(one) for one in ("settings", "inputs")]
    )
    shutil.rmtree(run.data)
    assert main(["sft", "+recipe=quickstart_cpu", f"run_dir={run.root}", "dry_run=true"]) == 2
    assert "was made with different settings" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["rl: &a {b: *a}", "[" * 10_000])
def test_settings_that_hold_themselves_are_left_out_of_the_report(tmp_path: Path, text: str) -> None:
    run = make_run(tmp_path / "run", steps=1, groups=1)
    run.config.write_text(text)
    assert blocks_of(write_report(run, 10, 5).read_text())["report"]["settings"] == []


@pytest.mark.parametrize("command", ["report", "reverify", "plan", "sft"])
def test_a_link_to_itself_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (tmp_path / "run").symlink_to(tmp_path / "run")
    dry = ["+recipe=quickstart_cpu", "dry_run=true"] if command in ("plan", "sft") else []
    assert main([command, *dry, f"run_dir={tmp_path / 'run'}"]) == 2
    assert str(tmp_path / "run") in capsys.readouterr().err


def test_what_is_no_file_among_the_rollouts_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", 1, 1)
    (run.rl / "rollouts" / "7.jsonl").mkdir()
    os.mkfifo(run.rl / "rollouts" / "8.jsonl")  # which would never end
    assert main(["reverify", str(run.root), "reward=partial"]) == 0
    write_report(run, 100, 20)
