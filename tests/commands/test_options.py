"""Options of a command, completion, and output that nobody reads to its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from funreason_train.commands.cli import COMMANDS, main
from funreason_train.commands.line.completion import script
from funreason_train.settings.places import group_choices, recipes

SECTIONS = {name: command.section for name, command in COMMANDS.items()}


def test_cfg_job_prints_the_settings_and_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sft", "--cfg", "job", "epochs=7", f"run_dir={tmp_path}"]
    assert main(words) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["sft"]["epochs"] == 7 and printed["eval"]["seed"] == "${seed}"
    assert main([*words, "--resolve"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["eval"]["seed"] == 0
    assert list(tmp_path.iterdir()) == []


def test_config_dir_names_a_folder_with_groups_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "ours.yaml").write_text("defaults: [cpu, _self_]\nname: ours\n")
    for words in (["--config-dir", str(tmp_path)], [f"--config-dir={tmp_path}"]):
        assert main(["sft", *words, "cluster=ours", "--cfg", "job"]) == 0
        assert yaml.safe_load(capsys.readouterr().out)["cluster"]["name"] == "ours"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["sft", "-m", "seed=1,2"],
            "several runs at once are not supported. Run the command once",
        ),
        (["sft", "--multirun", "seed=1,2"], "run_dir=runs/seed$seed"),
        (["sft", "--cfg", "hydra"], "--cfg job prints the settings"),
        (["sft", "--cfg"], "--cfg job prints the settings"),
        (["sft", "--config-dir"], "Write --config-dir DIR"),
        (["sft", "--config-dir", "/no/such/folder"], "/no/such/folder: there is no such folder"),
        (["sft", "--confg-dir", "x"], "did you mean '--config-dir'"),
        (["sft", "--learning_rate", "1"], "Settings are written without dashes: learning_rate=1"),
        (["sft", "--dry-run"], "without dashes: dry_run=true"),
        (["sft", "--seed=3", "run_dir=a"], "without dashes: seed=3"),
        (["--shell-completion"], "Write --shell-completion bash or zsh"),
        (["--shell-completion", "tcsh"], "there is no shell 'tcsh'"),
    ],
)
def test_a_mistake_is_one_sentence(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


@pytest.mark.parametrize("words", [["--help"], ["sft", "--help"], ["sft", "--cfg", "job"]])
def test_a_reader_that_goes_away_gets_no_traceback(words: list[str]) -> None:
    command = f"{sys.executable} -m funreason_train {' '.join(words)} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_a_reader_that_is_gone_from_the_start_gets_no_traceback() -> None:
    command = f"{sys.executable} -m funreason_train sft --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", f"sleep 0; {command}"], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode in (0, 141)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_choice_that_help_lists_can_be_chosen(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    listed = capsys.readouterr().out.split("choices:\n")[1].split("\n\n")[0].splitlines()
    named = dict(line.strip().split("=", 1) for line in listed)
    assert set(named) == {*group_choices(), "+recipe"}
    assert "dataset" not in named
    for group, names in named.items():
        chosen = [name for name in names.split("|") if name.islower()]
        assert chosen == (recipes() if group == "+recipe" else group_choices()[group])


@pytest.mark.parametrize(
    "word",
    [f"{group}={name}" for group, names in group_choices().items() for name in names]
    + [f"+recipe={name}" for name in recipes()],
)
def test_every_choice_works_by_itself(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rl", word, "--cfg", "job"]) == 0
    assert capsys.readouterr().err == ""


def complete(line: str) -> list[str]:
    """What bash offers at the end of a line."""
    program = (
        f"{script(['bash'], SECTIONS)}\nCOMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}\n_funreason_train\n"
    )
    done = subprocess.run(
        ["bash", "-c", program + 'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stderr == ""
    return [word for word in done.stdout.splitlines() if word]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("funreason-train pip", ["pipeline"]),
        ("funreason-train sft learn", ["learning_rate="]),
        ("funreason-train sft rl.learn", ["rl.learning_rate="]),
        ("funreason-train sft cluster=h", ["h20x32"]),
        ("funreason-train rl +recipe=quick", ["quickstart_cpu"]),
        ("funreason-train sft attention=s", ["sdpa"]),
        ("funreason-train pipeline dry_run=t", ["true"]),
        ("funreason-train eval benchmark=", ["heldout", "bfcl", "custom"]),
        ("funreason-train data --conf", ["--config-dir"]),
    ],
)
def test_bash_completes_commands_settings_and_choices(line: str, offered: list[str]) -> None:
    found = complete(line)
    assert found[: len(offered)] == offered


def test_a_path_is_completed_where_no_names_are_known(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").touch()
    assert complete(f"funreason-train data apigen.path={tmp_path}/ro") == [f"{tmp_path}/rows.jsonl"]


def test_every_command_is_offered() -> None:
    assert complete("funreason-train ")[: len(COMMANDS)] == list(COMMANDS)
