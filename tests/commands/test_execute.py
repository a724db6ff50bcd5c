"""Skip, resume, go on and refuse: what happens to a run directory that is used again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from commands.staged import SFT, Spawned, command

from funreason_train.commands.execution import execute as executing
from funreason_train.commands.execution.job import Job
from funreason_train.commands.execution.spawn import StageFailed
from funreason_train.commands.stages import STAGES, stage_of
from funreason_train.errors import UserError
from funreason_train.run.changes import changes
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import resolve

ALL = ("sft", "rl", "export")


def refused(run: RunDir, *words: str, names: tuple[str, ...] = ("sft",)) -> str:
    with pytest.raises(UserError) as caught:
        command(run, *words, names=names)
    return str(caught.value)


def test_a_finished_stage_is_skipped(
    run: RunDir, spawned: Spawned, capsys: pytest.CaptureFixture[str]
) -> None:
    command(run)
    assert "SFT: done" in capsys.readouterr().out
    command(run)
    assert "already done, skipped" in capsys.readouterr().out
    assert spawned.done == ["sft"]
    record = Manifest(run).stage("sft")
    assert record["result"] == {"attempt": 1} and record["state"] == "done"


def test_a_finished_stage_whose_output_is_gone_runs_again(run: RunDir, spawned: Spawned) -> None:
    command(run)
    (run.root / "sft" / "made").unlink()
    command(run)
    assert spawned.done == ["sft", "sft"] and spawned.logs == ["1/sft.log", "2/sft.log"]


def test_a_failed_stage_runs_again_and_counts_its_attempts(run: RunDir, spawned: Spawned) -> None:
    spawned.crash["sft"] = StageFailed("out of memory")
    with pytest.raises(StageFailed):
        command(run)
    assert Manifest(run).stage("sft")["state"] == "failed"
    command(run)
    assert spawned.logs == ["1/sft.log", "2/sft.log"] and Manifest(run).stage("sft")["attempts"] == 2


def test_the_peak_of_memory_is_that_of_all_attempts(
    run: RunDir, spawned: Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spawn(*words: Any) -> tuple[dict[str, Any], int]:
        result, _ = spawned(*words)
        return result, 5 if len(spawned.done) > 1 else 9

    monkeypatch.setattr(executing, "spawn", spawn)
    command(run)
    command(run, "sft.epochs=9")
    assert spawned.done == ["sft", "sft"] and Manifest(run).stage("sft")["peak_bytes"] == 9


def test_the_record_says_what_else_made_the_result(run: RunDir, spawned: Spawned) -> None:
    command(run)
    origin = Manifest(run).stage("sft")["origin"]
    assert origin["attempt"] == 1 and origin["hardware"]["cores"] >= 1
    assert set(origin) == {"attempt", "started", "git", "lock", "template", "hardware", "parents"}
    assert len(origin["lock"]) == 64, "this checkout has locks"


def test_other_settings_are_refused_with_the_key_and_the_ways_out(run: RunDir, spawned: Spawned) -> None:
    command(run)
    told = refused(run, "seed=5", "sft.learning_rate=0.5")
    assert "seed: 0 -> 5" in told and "sft.learning_rate: 4e-05 -> 0.5" in told
    assert "was made with different settings" in told
    assert "run_dir=" in told and "restart=sft" in told
    assert spawned.done == ["sft"]


def test_an_input_that_changed_is_named_with_what_changed(run: RunDir, spawned: Spawned) -> None:
    command(run)
    rows = run.root / "rows.json"
    rows.write_text("[2]")
    assert "the input RUN_DIR/rows.json has changed (as long as before, 3 bytes)" in refused(run)
    rows.write_text("[2, 3]")
    assert "the input RUN_DIR/rows.json has changed (3 bytes -> 6)" in refused(run)
    rows.unlink()
    assert "the input RUN_DIR/rows.json is not there any more" in refused(run)


def test_harmless_settings_change_nothing_of_a_finished_stage(run: RunDir, spawned: Spawned) -> None:
    command(run)
    command(run, "sft.save_steps=7", "sft.report_to=[]", "cluster.wait_seconds=5", "output=screen")
    assert spawned.done == ["sft"]


def test_and_an_interrupted_one_goes_on_with_them(run: RunDir, spawned: Spawned) -> None:
    spawned.crash["sft"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        command(run)
    command(run, "sft.save_steps=7")
    assert spawned.done == ["sft", "sft"]
    assert Manifest(run).stage("sft")["settings"]["sft.save_steps"] == 7


def test_more_epochs_or_steps_go_on(
    run: RunDir, spawned: Spawned, capsys: pytest.CaptureFixture[str]
) -> None:
    command(run)
    command(run, "sft.epochs=5")
    assert spawned.done == ["sft", "sft"]
    assert "SFT goes on: sft.epochs: 3 -> 5" in capsys.readouterr().out
    assert json.loads((run.root / "sft" / "made").read_text())["epochs"] == 5
    command(run, "sft.epochs=5")
    command(run, "sft.epochs=5", "sft.max_steps=900")  # another way to say how long: the stage counts
    assert spawned.done == ["sft", "sft", "sft"]
    assert "sft.max_steps: 900 -> 800, which may only grow" in refused(
        run, "sft.epochs=5", "sft.max_steps=800"
    )


def test_a_model_that_trained_on_is_exported_again_and_the_old_export_kept(
    run: RunDir, spawned: Spawned, capsys: pytest.CaptureFixture[str]
) -> None:
    command(run, "rl.steps=4", names=ALL)
    before = (run.root / "export" / "begun").read_text()
    command(run, "rl.steps=6", names=ALL)
    assert spawned.done == ["sft", "rl", "export", "rl", "export"]
    assert (run.old / "export.1" / "begun").read_text() == before
    assert f"the earlier result is kept in {run.old / 'export.1'}" in capsys.readouterr().out
    (old,) = json.loads(run.manifest.read_text())["old"]
    assert old["moved_to"] == str(run.old / "export.1") and old["record"]["state"] == "done"


def test_but_what_was_trained_from_it_is_not_trained_anew_without_being_asked(
    run: RunDir, spawned: Spawned
) -> None:
    command(run, names=ALL)
    told = refused(run, "sft.epochs=5", names=ALL)
    assert "the stage 'rl'" in told and "RUN_DIR/sft/made has changed" in told and "restart=rl" in told


def test_a_run_directory_may_be_moved(run: RunDir, spawned: Spawned, tmp_path: Path) -> None:
    command(run, names=ALL)
    shutil.move(run.root, tmp_path / "elsewhere")
    command(RunDir.at(tmp_path / "elsewhere"), names=ALL)
    assert spawned.done == ["sft", "rl", "export"]


@pytest.mark.parametrize("name", STAGES)
def test_settings_that_a_stage_declares_exist(name: str) -> None:
    """A key that is renamed would silently decide again."""
    stage, run = stage_of(name), RunDir.at("/nowhere")
    keys = Job.of(stage, resolve(compose(name, [f"run_dir={run.root}"]), name), run).settings
    for pattern in (*stage.decides.harmless, *stage.decides.grows):
        assert any(fnmatchcase(key, pattern) for key in keys), pattern


def test_an_attempt_that_made_nothing_binds_nobody(
    run: RunDir, spawned: Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises(UserError):
        patched.setattr(executing, "spawn", Mock(side_effect=UserError("there is no such model")))
        command(run, "sft.learning_rate=0.5")
    command(run)
    assert spawned.done == ["sft"] and Manifest(run).stage("sft")["state"] == "done"
    assert "sft.learning_rate" in refused(run, "sft.learning_rate=0.5")


def test_nor_does_a_training_without_a_checkpoint_whose_files_are_kept(
    run: RunDir, spawned: Spawned, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reached = {"step": 0}
    trains = replace(SFT, nodes=True, reached=lambda config, run: reached["step"])
    monkeypatch.setitem(STAGES, "sft", lambda: trains)
    monkeypatch.setattr("funreason_train.commands.pipeline.before", lambda *told: None)
    spawned.crash["sft"] = StageFailed("out of memory")
    with pytest.raises(StageFailed):
        command(run)
    spawned.crash["sft"] = StageFailed("out of memory")
    with pytest.raises(StageFailed):
        command(run, "seed=5")
    assert (run.old / "sft.1" / "begun").exists() and "its files are kept in" in capsys.readouterr().out
    reached["step"] = 4
    assert "seed: 5 -> 6" in refused(run, "seed=6")


def test_a_models_card_is_no_other_input() -> None:
    def of(**digests: str) -> dict[str, dict[str, Any]]:
        return {f"m/{name}": {"digest": digest, "bytes": 1} for name, digest in digests.items()}

    decides, old = stage_of("sft").decides, of(**{"config.json": "a", "README.md": "b"})
    for card in ({}, {"README.md": "c"}, {"README.md": "b", "LICENSE": "d"}):
        now = of(**{"config.json": "a", **card})
        assert not changes(decides, {"settings": {}, "inputs": old}, {}, now).another
    alone = of(**{"README.md": "c"})  # a text that something reads
    assert changes(decides, {"settings": {}, "inputs": of(**{"README.md": "b"})}, {}, alone).another


def test_a_file_that_is_asked_for_no_more_is_not_called_missing() -> None:
    decides, entry = stage_of("data").decides, {"digest": "a", "bytes": 1}
    record: dict[str, Any] = {"settings": {"data.mine.path": "f"}, "inputs": {"f/a": entry}}
    now = {"f/b": {"digest": "b", "bytes": 1}}
    said = changes(decides, record, {"data.mine.path": "f/b"}, now).another
    assert "the input f/a is no longer read" in said and "the input f/b is new" in said
    said = changes(decides, record, record["settings"], {"f/a": {"digest": None, "bytes": None}}).another
    assert said == ("the input f/a is not there any more",)


def test_code_of_ones_own_that_decides_is_an_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_world_of_reads.py").write_text("")
    (tmp_path / "my_reward.py").write_text("def score(**k): return 1.0")
    monkeypatch.chdir(tmp_path)
    words = ["environment_modules=[my_world_of_reads]", f"run_dir={tmp_path}/run"]
    for name in ("synth", "data", "rl", "eval"):
        more = ["rl.rollout_mode=environment", "reward=my_reward.py:score"] if name == "rl" else []
        more += ["modules=[my_world_of_reads]"] if name == "synth" else []
        config = resolve(compose(name, [*words, *more]), name)
        read = [path.name for path in stage_of(name).reads(config, RunDir.at(tmp_path / "run"))]
        assert "my_world_of_reads.py" in read and ("my_reward.py" in read) == (name == "rl"), name
    old, new = ({"m.py": {"digest": digest, "bytes": 1}} for digest in "ab")
    decides = stage_of("rl").decides
    assert changes(decides, {"settings": {}, "inputs": old}, {}, new).another
    assert not changes(decides, {"settings": {}, "inputs": {}}, {}, new).another, "an older record"
    grown = {**new, "another.py": {"digest": "c", "bytes": 1}}
    assert changes(decides, {"settings": {}, "inputs": new}, {}, grown).another, "a module got another file"


def test_the_same_files_elsewhere_are_the_same_job() -> None:
    def record(place: str, *digests: str, other: str = "rows.json") -> dict[str, Any]:
        inputs = {f"{place}/{n}.safetensors": {"digest": one, "bytes": 1} for n, one in enumerate(digests)}
        inputs |= {f"{place}/config.json": {"digest": "c", "bytes": 1}, other: {"digest": "r", "bytes": 1}}
        return {"settings": {"sft.model": place, "sft.tokenizer": place, "sft.data": other}, "inputs": inputs}

    def found(new: dict[str, Any]) -> tuple[str, ...]:
        return changes(stage_of("sft").decides, record("m", "a", "b"), new["settings"], new["inputs"]).another

    assert found(record("/copy/of", "a", "b")) == ()
    assert found(record("/copy/of", "a", "b", other="/abs/rows.json")) == ()
    assert any("sft.model" in one for one in found(record("/copy/of", "a", "x")))
    assert any("sft.model" in one for one in found(record("/copy/of", "b", "a")))
    assert any("sft.model" in one for one in found(record("/copy/of", "a")))
    gone = record("/copy/of", "a", "b")
    gone["inputs"] = {"rows.json": gone["inputs"]["rows.json"]}
    assert any("sft.model" in one for one in found(gone)), "a hub id has no files"


def test_a_job_that_fails_beside_another_one_has_no_result_of_its(
    run: RunDir, spawned: Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed evaluation was recorded with its own settings and the scores of the one before it."""
    monkeypatch.setitem(STAGES, "sft", lambda: replace(SFT, again="beside"))
    command(run)
    spawned.crash["sft"] = StageFailed("out of memory")
    with pytest.raises(StageFailed):
        command(run, "sft.learning_rate=0.5")
    record = Manifest(run).stage("sft")
    assert (record["state"], record["result"], record["seconds"]) == ("failed", {}, None)
    command(run, "sft.learning_rate=0.5")
    assert Manifest(run).stage("sft")["result"] == {"attempt": 3}
