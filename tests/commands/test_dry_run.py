"""A dry run shows what matters and writes the rest."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from funreason_train.cluster.preflight import locked_versions
from funreason_train.commands.cli import main
from funreason_train.settings.places import group_choices

ROOT = Path(__file__).parents[2]


def test_what_matters_comes_first_and_long_files_are_only_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["+recipe=funreason_mt_4b", "dry_run=true", f"run_dir={tmp_path}"]
    assert main(["rl", *words]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert len(lines) < 40
    brief, commands, files = (
        next(number for number, line in enumerate(lines) if part in line)
        for part in ("rl in brief", "NODE_RANK=0", "plan/rl.yaml")
    )
    assert brief < commands < files
    for name in ("rl.yaml", "config.yaml", "commands.txt"):
        assert str(tmp_path / "plan" / name) in out
        assert (tmp_path / "plan" / name).stat().st_size > 100
    assert len((tmp_path / "plan" / "rl.yaml").read_text().splitlines()) > 300
    assert "no problems found" in lines[-1]


def _scripts(command: str) -> list[str]:
    return [word for word in shlex.split(command) if word.endswith((".sh", ".sbatch"))]


@pytest.mark.parametrize("profile", sorted(group_choices()["cluster"]))
@pytest.mark.parametrize("stage", ["sft", "rl"])
def test_the_commands_name_only_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stage: str, profile: str
) -> None:
    words = ["model=lab/model", "rl.model=lab/model", f"cluster={profile}", f"run_dir={tmp_path}"]
    main([stage, *words, "dry_run=true"])
    commands = (tmp_path / "plan" / "commands.txt").read_text().splitlines()
    for command in commands:
        assert command.startswith(f"cd {Path.cwd()} && ")
        assert shlex.split(command)[3] == "funreason-train" or _scripts(command), command
        assert all((ROOT / script).is_file() for script in _scripts(command)), command


def test_machines_with_gpus_get_a_kuberay_job_of_the_same_words(tmp_path: Path) -> None:
    words = ["+recipe=funreason_mt_4b", "cluster=h20x32", f"run_dir={tmp_path}", "dry_run=true"]
    assert main(["sft", *words]) == 0
    job = yaml.safe_load((tmp_path / "plan" / "rayjob_sft.yaml").read_text())
    entry = shlex.split(job["spec"]["entrypoint"])
    assert entry == [
        "funreason-train",
        "sft",
        "cluster=h20x32",
        "+recipe=funreason_mt_4b",
        f"run_dir={tmp_path}",
    ]
    assert job["kind"] == "RayJob" and "dry_run" not in str(job)
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == locked_versions("cuda")["ray"]


def test_machines_without_gpus_get_none(tmp_path: Path) -> None:
    main(["sft", f"run_dir={tmp_path}", "dry_run=true"])
    assert not list((tmp_path / "plan").glob("rayjob*"))


def test_a_profile_of_ones_own_stays_in_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rack.yaml").write_text("defaults: [gpu80x16, _self_]\nname: h20x32\n")
    main(["sft", "model=lab/model", "cluster=rack.yaml", "run_dir=run", "dry_run=true"])
    first = Path("run/plan/commands.txt").read_text().splitlines()[0]
    assert first.endswith(f"bash {ROOT}/launch/stage.sh sft model=lab/model cluster=rack.yaml run_dir=run")


def test_the_commands_run_as_they_stand_from_a_folder_with_blanks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other nodes' shells begin in the home folder, and recipe and run directory are relative."""
    folder = tmp_path / "my work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    machines = "defaults: [{override /cluster: h20x32}]\ncluster: {name: rack, nodes: 2}\n"
    (folder / "own.yaml").write_text(machines)
    assert main(["sft", "+recipe=own.yaml", "model=lab/model", "run_dir=my run", "dry_run=true"]) == 0
    command = (folder / "my run/plan/commands.txt").read_text().splitlines()[0]
    done = subprocess.run(
        ["bash", "-c", f"{command} dry_run=true"],
        cwd="/",
        env={**os.environ, "FUNREASON_BOOTSTRAP": "skip", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "no problems found" in done.stdout


def test_too_few_machines_are_told_before_any_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUNREASON_NODES", "2")
    words = ["+recipe=funreason_mt_4b", "cluster=h20x32", f"run_dir={tmp_path}", "dry_run=true"]
    for command in ("sft", "doctor"):
        assert main([command, *words]) == 2
        assert "the launch script was started for 2" in capsys.readouterr().err


def test_problems_are_told_after_what_could_be_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["rl.learning_rate=-1", "rl.temperature=-1", "dry_run=true", f"run_dir={tmp_path}"]
    assert main(["rl", *words]) == 2
    shown = capsys.readouterr()
    assert "problems would stop the run" in shown.err and "rl.temperature=-1" in shown.err
    assert (tmp_path / "plan" / "config.yaml").is_file()


@pytest.mark.parametrize("stage", ["sft", "rl"])
def test_without_data_it_does_not_say_that_the_command_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stage: str
) -> None:
    words = ["model=lab/model", f"run_dir={tmp_path}", "dry_run=true"]
    assert main([stage, *words, *(["rl.model=lab/model"] if stage == "rl" else [])]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "data: not there yet" in said and "but that the data are missing" in said
    assert said.endswith("runs it after funreason-train data.")
    assert main(["pipeline", "+recipe=quickstart_cpu", f"run_dir={tmp_path}", "dry_run=true"]) == 0
    assert "no problems found. The same command" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("stage", "awaited"),
    [
        ("export", "there is no whole checkpoint to export; run `funreason-train rl` first"),
        ("eval", "sft/model"),
    ],
)
def test_without_a_model_it_does_not_say_that_the_command_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stage: str, awaited: str
) -> None:
    assert main([stage, "+recipe=quickstart_cpu", f"run_dir={tmp_path}", "dry_run=true"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "but what an earlier stage has yet to make" in said and awaited in said
    assert said.endswith("runs it after that.")


def test_a_command_that_is_refused_is_not_offered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["model=lab/model", f"run_dir={tmp_path}", "dry_run=true", "+sft.llamafactory.template=qwen"]
    assert main(["sft", *words]) == 2
    out = capsys.readouterr().out
    assert "funreason-train sft" not in out and "nothing was started" in out


def test_the_brief_names_what_is_passed_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["model=lab/model", f"run_dir={tmp_path}", "dry_run=true", "+sft.llamafactory.optim=adafactor"]
    assert main(["sft", *words]) == 0
    out = capsys.readouterr().out
    assert "adafactor, learning rate" in out and "passed on: optim=adafactor" in out and "AdamW" not in out
