"""`pipeline rehearse=true` as a user meets it, up to the point where hosts are played."""

from __future__ import annotations

import glob
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from funreason_train.commands.cli import main
from funreason_train.commands.rehearsal import rehearse as module
from funreason_train.run.lock import locked
from funreason_train.run.paths import RunDir

WORDS = ["pipeline", "rehearse=true", "+recipe=funreason_mt_4b"]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been played; nothing is, and the outcome is `done`."""
    jobs: list[Any] = []

    def play(job: Path, namespaces: bool) -> int:
        read = json.loads(job.read_text())
        jobs.append(read)
        root = Path(read["root"])
        (root / "run").mkdir(exist_ok=True)
        (root / "run" / "made").touch()
        step = {"stage": "sft", "hosts": 4, "code": 0, "seconds": 2.0, "cpu_seconds": 3.0}
        step |= {"peak_bytes": 2**30, "attempts": 1, "failed_host": None}
        record = {"done": True, "network": "loopback", "hosts": 4, "steps": [step]}
        (root / "rehearsal.json").write_text(json.dumps(record))
        return 0

    monkeypatch.setattr(module, "_play", play)
    return jobs


def test_a_dry_run_shows_commands_scaling_and_gaps_and_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], played: list[Any]
) -> None:
    assert main([*WORDS, "dry_run=true", f"run_dir={tmp_path / 'run'}"]) == 0
    out = capsys.readouterr().out
    order = [out.index(word) for word in ("stage.sh synth", "stage.sh data", "launch/sft_h20x32.sh")]
    assert order == sorted(order)
    assert "NODE_RANK=0..3" in out and "launch/rl_h20x32.sh" in out
    assert "sft.global_batch: 512 -> 8" in out
    assert "actor_rollout_ref.rollout.enforce_eager: false -> true" in out
    assert "Salesforce/xlam-function-calling-60k" in out
    assert "nothing was started" in out and not played
    assert not (tmp_path / "run").exists(), "the real run's directory is none of its business"


def test_the_scaled_recipe_is_one_that_every_command_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], played: list[Any]
) -> None:
    words = [f"run_dir={tmp_path / 'run'}", "sft.weight_decay=0.25", "rehearsal.network=loopback"]
    assert main([*WORDS, *words, "rehearsal.hosts=3", "rehearsal.fail=[rl]"]) == 0
    (job,) = played
    assert job["hosts"] == 3 and not job["namespaces"] and list(job["fail"]) == ["rl"]
    place = tmp_path / "run.rehearsal"
    recipe = yaml.safe_load((place / "recipe.yaml").read_text())
    assert recipe["sft"]["weight_decay"] == 0.25, "the user's own word is lost"
    assert recipe["pipeline"]["rehearse"] is False, "it would rehearse the rehearsal"
    capsys.readouterr()
    chosen = [f"+recipe={place / 'recipe.yaml'}", f"cluster={place / 'hosts.yaml'}"]
    assert main(["sft", *chosen, "--cfg", "job", "--resolve"]) == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert (config["cluster"]["nodes"], config["sft"]["deepspeed"]) == (3, "zero2")
    assert config["sft"]["precision"] == "fp32" and config["run_dir"] == str(place / "run")


def test_a_finished_rehearsal_is_done_anew_and_an_interrupted_one_continued(
    tmp_path: Path, played: list[Any]
) -> None:
    words = [*WORDS, "rehearsal.network=loopback", f"run_dir={tmp_path / 'run'}"]
    place = tmp_path / "run.rehearsal"
    assert main(words) == 0
    (place / "run" / "of-the-first").touch()
    record = json.loads((place / "rehearsal.json").read_text())
    (place / "rehearsal.json").write_text(json.dumps({**record, "done": False}))
    assert main(words) == 0
    assert (place / "run" / "of-the-first").exists()
    assert main(words) == 0
    assert not (place / "run" / "of-the-first").exists()
    report = (place / "rehearsal.md").read_text()
    assert "bfloat16" in report and "launch/sft_h20x32.sh" in report and "3" in report


def test_files_that_no_rehearsal_made_are_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], played: list[Any]
) -> None:
    theirs = tmp_path / "run.rehearsal" / "run" / "theirs"
    theirs.mkdir(parents=True)
    assert main([*WORDS, f"run_dir={tmp_path / 'run'}"]) == 2
    said = capsys.readouterr().err
    assert "that no rehearsal made" in said and "run_dir" in said
    assert theirs.is_dir() and not played


def test_namespaces_that_cannot_be_had_are_an_error_only_if_they_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], played: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "why_not", lambda root: "unshare: Operation not permitted")
    words = [*WORDS, f"run_dir={tmp_path / 'run'}"]
    assert main([*words, "rehearsal.network=namespaces"]) == 2
    said = capsys.readouterr().err
    assert "Operation not permitted" in said and "network=loopback" in said
    assert main(words) == 0
    assert not played[0]["namespaces"]
    assert "loopback" in capsys.readouterr().out


def test_the_exit_code_of_a_failed_step_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_play", lambda job, namespaces: 2)
    assert main([*WORDS, "rehearsal.network=loopback", f"run_dir={tmp_path / 'run'}"]) == 2
    scratch = [entry for entry in Path("/tmp").glob("fr????????") if (entry / "job.json").exists()]
    assert not [entry for entry in scratch if str(tmp_path) in (entry / "job.json").read_text()]


def test_another_command_knows_no_rehearsal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sft", "rehearse=true", f"run_dir={tmp_path}"]) == 2
    assert "there is no setting 'rehearse'" in capsys.readouterr().err


def test_a_dry_run_changes_no_recipe_that_is_being_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], played: list[Any]
) -> None:
    run = tmp_path / "run"
    with locked(RunDir(tmp_path / "run.rehearsal")):
        assert main([*WORDS, "dry_run=true", f"run_dir={run}"]) == 2
    assert "another process is working" in capsys.readouterr().err
    assert not (tmp_path / "run.rehearsal" / "recipe.yaml").exists()


def test_a_file_in_the_place_of_the_folder_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], played: list[Any]
) -> None:
    (tmp_path / "run.rehearsal").touch()
    assert main([*WORDS, "dry_run=true", f"run_dir={tmp_path / 'run'}"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_record_of_another_shape_is_that_of_one_that_did_not_end(tmp_path: Path, played: list[Any]) -> None:
    (tmp_path / "run.rehearsal").mkdir()
    (tmp_path / "run.rehearsal" / "rehearsal.json").write_text("[1]")
    assert main([*WORDS, f"run_dir={tmp_path / 'run'}", "rehearsal.network=loopback"]) == 0 and played


def test_the_checkpoint_that_is_waited_for_is_found_in_a_folder_of_any_name(
    tmp_path: Path, played: list[Any]
) -> None:
    """In a folder with brackets no host was ever switched off, and the rehearsal was told as done."""
    words = [f"run_dir={tmp_path / '[a]*'}", "rehearsal.network=loopback", "rehearsal.fail=[rl]"]
    assert main([*WORDS, *words]) == 0
    file = tmp_path / "[a]*.rehearsal" / "run" / "rl" / "checkpoints" / "latest_checkpointed_iteration.txt"
    file.parent.mkdir(parents=True)
    file.touch()
    assert glob.glob(played[0]["fail"]["rl"]) == [str(file)]
