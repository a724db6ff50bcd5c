"""`restart=STAGE` is carried out once, keeps everything, and may be repeated after any interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands.staged import Spawned, command

from funreason_train.commands.execution import aside
from funreason_train.commands.stages import stage_of
from funreason_train.errors import UserError
from funreason_train.run.manifest import Manifest
from funreason_train.run.paths import RunDir
from funreason_train.settings import load_settings
from funreason_train.settings.resolve import run_of

ALL = ("sft", "rl", "export")


class Killed(BaseException):
    """As if the process were gone: nothing is undone on the way."""


def test_a_restart_keeps_what_was_there(run: RunDir, spawned: Spawned) -> None:
    command(run, names=ALL)
    command(run, "restart=rl", names=ALL)
    assert spawned.done == ["sft", "rl", "export", "rl", "export"]
    assert sorted(path.name for path in run.old.iterdir()) == ["export.1", "rl.1"]
    old = json.loads(run.manifest.read_text())["old"]
    assert [(entry["stage"], entry["record"]["state"]) for entry in old] == [
        ("rl", "done"),
        ("export", "done"),
    ]
    assert spawned.logs == ["1/sft.log", "1/rl.log", "1/export.log", "2/rl.log", "2/export.log"], (
        "logs of the earlier attempts are kept"
    )


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(1)])
def test_the_same_command_after_an_interruption_continues(
    run: RunDir, spawned: Spawned, capsys: pytest.CaptureFixture[str], end: BaseException
) -> None:
    command(run)
    spawned.crash["sft"] = end
    with pytest.raises(type(end)):
        command(run, "restart=sft", "sft.learning_rate=0.5")
    half = (run.root / "sft" / "begun").read_text()
    spawned.crash["sft"] = end
    with pytest.raises(type(end)):
        command(run, "restart=sft", "sft.learning_rate=0.5", "output=screen")
    assert [path.name for path in run.old.iterdir()] == ["sft.1"], "nothing was moved a second time"
    assert (run.root / "sft" / "begun").read_text() != half
    capsys.readouterr()
    command(run, "restart=sft", "sft.learning_rate=0.5")
    told = capsys.readouterr().out
    assert "was carried out on" in told and "restart=sft:again" in told
    assert [path.name for path in run.old.iterdir()] == ["sft.1"]


def test_once_it_is_done_the_same_command_does_nothing_and_a_new_word_starts_afresh(
    run: RunDir, spawned: Spawned
) -> None:
    command(run, "restart=sft")
    command(run, "restart=sft")
    assert spawned.done == ["sft"]
    command(run, "restart=sft:again")
    command(run, "restart=sft:again")
    assert spawned.done == ["sft", "sft"]
    assert [path.name for path in run.old.iterdir()] == ["sft.1"]


def test_other_settings_or_inputs_are_another_request(run: RunDir, spawned: Spawned) -> None:
    command(run, "restart=sft")
    command(run, "restart=sft", "seed=5")
    (run.root / "rows.json").write_text("[2]")
    command(run, "restart=sft", "seed=5")
    command(run, "restart=sft")
    assert len(spawned.done) == 4
    assert sorted(path.name for path in run.old.iterdir()) == ["sft.1", "sft.2", "sft.3"]


def test_a_stage_that_the_command_does_not_run_is_not_touched(run: RunDir, spawned: Spawned) -> None:
    command(run, names=ALL)
    with pytest.raises(UserError, match=r"restart=sft: this command does not run the stage 'sft'"):
        command(run, "restart=sft", names=("rl",))
    with pytest.raises(UserError, match="no stage 'sff'"):
        command(run, "restart=sff")
    assert not run.old.exists()


def test_a_mistake_in_the_settings_moves_everything_back(run: RunDir, spawned: Spawned) -> None:
    command(run, names=ALL)
    with pytest.raises(UserError, match="must not be 'bad'"):
        command(run, "restart=sft", "sft.schedule=bad", names=ALL)
    assert not run.old.exists() or not list(run.old.iterdir())
    command(run, names=ALL)
    assert spawned.done == ["sft", "rl", "export"], "all of it is still done"
    command(run, "restart=sft", names=ALL)
    assert len(spawned.done) == 6


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_kill_between_two_moves_loses_nothing(
    run: RunDir, spawned: Spawned, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    command(run, names=ALL)
    before = {name: (run.root / name / "begun").read_text() for name in ALL}
    moved: list[Any] = []
    move, undo = aside.Move.do, aside.Move.undo

    def killed(self: aside.Move) -> None:
        if len(moved) == after:
            raise Killed
        move(self)
        moved.append(self)

    with monkeypatch.context() as patch:
        patch.setattr(aside.Move, "do", killed)
        patch.setattr(aside.Move, "undo", lambda self: None)
        patch.setattr(Manifest, "set_aside", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            command(run, "restart=sft", names=ALL)
    assert aside.Move.undo is undo
    command(run, "restart=sft", names=ALL)
    assert spawned.done == [*ALL, *ALL]
    for name in ALL:
        assert (run.old / f"{name}.1" / "begun").read_text() == before[name]
        assert not (run.old / f"{name}.2").exists()


def test_results_of_one_name_do_not_take_each_other_s_place(tmp_path: Path) -> None:
    """With synth.out=a/made data.out=b/made the second one stayed, and the new one replaced it."""
    outs = {name: tmp_path / name / "made" for name in ("synth", "data")}
    for name, folder in outs.items():
        folder.mkdir(parents=True)
        (folder / "rows").write_text(name)
    words = [f"run_dir={tmp_path / 'run'}", *(f"{name}.out={folder}" for name, folder in outs.items())]
    config = load_settings("pipeline", words)
    planned = aside.moves([stage_of("synth"), stage_of("data")], config, run_of(config))
    for move in planned:
        move.do()
    kept = {move.stage: (Path(str(move.target)) / "rows").read_text() for move in planned}
    assert kept == {"synth": "synth", "data": "data"} and not any(one.exists() for one in outs.values())
