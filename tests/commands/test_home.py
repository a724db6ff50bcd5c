"""Where the record of a result lies that goes to `out=DIR`, and what comes next."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from funreason_train.commands.cli import COMMANDS, main
from funreason_train.commands.execution import execute as executing
from funreason_train.commands.execution.job import Job
from funreason_train.commands.line.home import home_of
from funreason_train.commands.stages import STAGES, stage_of
from funreason_train.run.files import write_json
from funreason_train.run.paths import RunDir
from funreason_train.settings.compose import compose
from funreason_train.settings.resolve import resolve

REPO = Path(__file__).resolve().parents[2]
ROWS = REPO / "tests" / "fixtures" / "apigen_8rows.jsonl"


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The run directories in which a stage was started; it makes its result and nothing else."""
    monkeypatch.chdir(tmp_path)
    homes: list[str] = []

    def spawn(stage: Any, config: Any, run: RunDir, lock: int, number: int) -> tuple[dict[str, Any], int]:
        homes.append(str(run.root.relative_to(tmp_path)))
        write_json(stage.folder(config, run) / "manifest.json", {})
        (stage.folder(config, run) / "ledger.json").write_text("{}")
        return {}, 1

    monkeypatch.setattr(executing, "spawn", spawn)
    return homes


def data(*words: str) -> int:
    return main(["data", "datasets=[apigen]", f"apigen.path={ROWS}", *words])


def test_two_results_in_one_folder_have_a_record_each(
    spawned: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data("out=A") == 0
    assert data("out=B", "val_share=0.5") == 0
    assert spawned == ["A.run", "B.run"]
    for name in ("A", "B"):
        assert {"manifest.json", "config.yaml"} <= {
            path.name for path in (tmp_path / f"{name}.run").iterdir()
        }
    assert not (tmp_path / "runs").exists()
    assert "Next: funreason-train sft sft.data=B/sft" in capsys.readouterr().out
    assert data("out=A") == 0 and len(spawned) == 2, "a finished one is skipped"


def test_another_job_for_the_same_place_is_refused_and_a_restart_keeps_what_was_there(
    spawned: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data("out=A") == 0
    assert data("out=A", "val_share=0.5") == 2
    assert "data.val_share: 0.02 -> 0.5" in capsys.readouterr().err
    assert data("out=A", "val_share=0.5", "restart=data") == 0
    assert (tmp_path / "A.run" / "old" / "A.1" / "ledger.json").is_file()


def test_a_run_directory_that_is_named_keeps_the_record(spawned: list[str]) -> None:
    assert data("out=A", "run_dir=mine") == 0
    assert spawned == ["mine"]


def test_what_comes_next_is_a_command_that_can_be_typed(
    spawned: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert data("run_dir=mine", "cluster=cpu") == 0
    assert "Next: funreason-train sft cluster=cpu run_dir=mine" in capsys.readouterr().out


def _commands() -> list[list[str]]:
    """Every command that README and the docs show."""
    found = []
    for page in [REPO / "README.md", *sorted((REPO / "docs").rglob("*.md"))]:
        for block in re.findall(r"```(?:bash|sh)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["funreason-train"] and words[1:2] and words[1] in COMMANDS:
                    found.append(words[1:])
    return found


def test_the_examples_of_the_documentation_do_not_collide() -> None:
    """Two examples that one may type in one folder never claim one record with different settings."""
    claimed: dict[tuple[str, str], tuple[dict[str, Any], list[str]]] = {}
    examples = _commands()
    assert len(examples) > 5
    for name, *words in examples:
        if any("=" not in word for word in words) or name not in STAGES or stage_of(name).again == "beside":
            continue
        config = resolve(compose(name, words), name)
        stage, run = stage_of(name), home_of(name, config, words)
        settings = dict(Job.of(stage, config, run).settings)
        before, said = claimed.setdefault((name, str(run.root)), (settings, words))
        assert before == settings, f"{words} and {said}"
