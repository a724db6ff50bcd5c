"""Tasks played while SFT trains: which models wait, which one is kept, and when training ends by them."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sft.test_sft_checkpoints import checkpoint

from funreason_train.sft.heldout.beside import Beside, figures, missed
from funreason_train.sft.heldout.record import HeldOut
from funreason_train.sft.publish import ADAPTER, hand_over, publish


def waits(held: HeldOut, *steps: int) -> None:
    for step in steps:
        held.model(step).mkdir(parents=True)


def scored(accuracy: float) -> dict[str, Any]:
    return {"accuracy": accuracy, "ci95": [0.0, 1.0], "right": int(10 * accuracy), "tasks": 10}


def test_the_best_model_stays_and_the_others_go_whatever_comes_after(tmp_path: Path) -> None:
    held = HeldOut(tmp_path)
    for step, accuracy in ((10, 0.2), (20, 0.6), (30, 0.6), (40, 0.1)):
        waits(held, step)
        assert held.waiting() == [step]
        held.note(step, scored(accuracy))
    assert held.waiting() == [] and held.models() == {20}, "the earliest of equal ones"
    assert held.best() == (20, 0.6)
    found = held.result("last")
    assert [(row["step"], row["accuracy"]) for row in found["curve"]] == [
        (10, 0.2), (20, 0.6), (30, 0.6), (40, 0.1),
    ]  # fmt: skip
    assert found["best"] == {"step": 20, "accuracy": 0.6, "model": str(held.model(20))}
    assert held.words() == "held-out best 60.0% at step 20, last 10.0%"
    assert not held.fell(3) and not held.fell(None)
    assert held.fell(1)


def test_a_step_that_could_not_be_played_is_told_and_no_score(tmp_path: Path) -> None:
    held = HeldOut(tmp_path)
    waits(held, 10, 20)
    held.note(10, scored(0.5))
    held.note(20, {"failed": "the engine died"})
    assert held.scores() == {10: 0.5} and held.models() == {10}
    assert held.result("last")["failed"] == {"20": "the engine died"}
    assert held.words().endswith("1 of 2 held-out evaluations failed")


def test_lines_that_a_kill_or_an_editor_damaged_are_passed_over(tmp_path: Path) -> None:
    held = HeldOut(tmp_path)
    held.file.write_text(
        '{"step": 10, "accuracy": 0.5}\n[]\n{"step": "x"}\n{"step": 30, "accuracy": true}\n{"st'
    )
    assert held.scores() == {10: 0.5}
    held.note(40, scored(0.1))
    assert [json.loads(line)["step"] for line in held.file.read_text().splitlines()] == [10, 30, 40]


@pytest.mark.parametrize(
    ("step", "last", "wanted"),
    [
        (15, False, False),  # not due
        (15, True, True),  # but the training ends with it
        (20, False, False),  # played before the run was resumed
        (30, False, False),  # waits already
        (50, False, True),
    ],
)
def test_each_step_is_played_once(tmp_path: Path, step: int, last: bool, wanted: bool) -> None:
    held = HeldOut(tmp_path)
    waits(held, 20, 30)
    held.note(20, scored(0.5))
    assert held.wants(step, 10, last) is wanted


def test_a_training_that_is_far_ahead_leaves_out_steps_but_not_its_last(tmp_path: Path) -> None:
    held = HeldOut(tmp_path)
    waits(held, 10, 20)
    assert not held.wants(30, 10, last=False) and held.wants(40, 10, last=True)


def model_of(folder: Path) -> dict[str, str]:
    names = ("model.safetensors", "config.json", "tokenizer.json")
    return {name: (folder / name).read_text(errors="replace") for name in names}


def test_a_model_handed_over_outlives_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("funreason_train.sft.publish.stop_at_turns_end", lambda *_: None)
    held, base = HeldOut(tmp_path / "sft"), tmp_path / "base"
    base.mkdir()
    (base / "tokenizer.json").write_text("the base's")
    saved = checkpoint(tmp_path, 10)
    (saved / "config.json").write_text("{}")
    hand_over(saved, held.model(10), str(base))
    assert (held.model(10) / "model.safetensors").samefile(saved / "model.safetensors"), "no copy"
    before = model_of(held.model(10))
    shutil.rmtree(saved)  # as the trainer's rotation does
    assert model_of(held.model(10)) == before
    held.note(10, scored(0.5))
    publish(held.model(10), tmp_path / "model", base)
    assert model_of(tmp_path / "model") == before


def test_of_lora_the_matrices_are_handed_over(tmp_path: Path) -> None:
    saved = checkpoint(tmp_path, 10)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (saved / name).write_text(name)
    hand_over(saved, tmp_path / "step-10", "base")
    assert sorted(path.name for path in (tmp_path / "step-10" / ADAPTER).iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip


def test_a_checkpoint_that_was_not_handed_over_before_a_kill_is_found(tmp_path: Path) -> None:
    held, folder = HeldOut(tmp_path / "sft"), tmp_path / "checkpoints"
    for step in (10, 15, 20, 30):
        checkpoint(folder, step)
    (folder / "checkpoint-30" / "optimizer.pt").write_bytes(b"cut off")
    waits(held, 10)
    held.note(10, scored(0.5))
    assert [step for step, _ in missed(held, folder, 10, workers=1)] == [20]


class Scripted:
    """A player whose verdicts are known.

    Args:
        verdicts: Step -> accuracy, or what is raised.
        during: Called with each step.
    """

    def __init__(
        self, verdicts: Mapping[int, Any], during: Callable[[int], None] = lambda step: None
    ) -> None:
        self.verdicts, self.during = verdicts, during
        self.played: list[int] = []
        self.cancelled = threading.Event()

    def play(self, step: int, model: Path) -> Mapping[str, Any]:
        self.played.append(step)
        self.during(step)
        if self.cancelled.is_set():
            raise RuntimeError("cancelled")
        if isinstance(verdict := self.verdicts[step], Exception):
            raise verdict
        return scored(verdict)

    def cancel(self) -> None:
        self.cancelled.set()


def test_what_waits_is_played_in_order_and_a_failure_ends_nothing(tmp_path: Path) -> None:
    held = HeldOut(tmp_path)
    said: list[str] = []
    waits(held, 10, 20, 30)
    player = Scripted({10: 0.5, 20: RuntimeError("no\nmemory"), 30: 0.7})
    with Beside(held, player, tmp_path / "stop", None, say=said.append) as beside:
        beside.drain()
    assert player.played == [10, 20, 30] and held.scores() == {10: 0.5, 30: 0.7}
    assert held.failed() == {20: "no memory"} and held.models() == {30}
    assert any("could not be played, and training goes on: no memory" in line for line in said)
    assert not (tmp_path / "stop").exists()

    again = Scripted({})
    with Beside(held, again, tmp_path / "stop", None, say=said.append) as beside:
        beside.drain()
    assert again.played == [], "a resumed run plays nothing twice"


def test_a_score_that_cannot_be_written_down_ends_the_playing_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    waits(HeldOut(tmp_path), 10)

    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(HeldOut, "note", full)
    with Beside(HeldOut(tmp_path), Scripted({10: 0.5}), tmp_path / "stop", None, say=said.append) as beside:
        beside.drain()
    assert said == ["no more held-out tasks are played, and training goes on: no space left on device"]


def test_scores_that_fall_ask_the_training_to_save_and_end(tmp_path: Path) -> None:
    held = HeldOut(tmp_path)
    waits(held, 10, 20, 30, 40)
    player = Scripted({10: 0.5, 20: 0.4, 30: 0.3, 40: 0.9})
    with Beside(held, player, tmp_path / "stop", 2, say=lambda text: None) as beside:
        beside.drain()
    assert (tmp_path / "stop").exists() and held.fell(2)
    assert player.played == [10, 20, 30], "a better model that waits would take the reason to end away"


def test_an_evaluation_that_ends_with_the_training_waits_for_the_next_attempt(tmp_path: Path) -> None:
    held = HeldOut(tmp_path)
    waits(held, 10)
    began = threading.Event()

    def hang(step: int) -> None:
        began.set()
        player.cancelled.wait()

    player = Scripted({10: 0.5}, hang)
    with (
        pytest.raises(RuntimeError, match="the workers failed"),
        Beside(held, player, tmp_path / "stop", None, say=lambda text: None),
    ):
        began.wait()
        raise RuntimeError("the workers failed")
    assert held.rows() == {} and held.waiting() == [10]


def test_a_request_to_stop_does_not_wait_for_the_tasks(tmp_path: Path) -> None:
    held, stop = HeldOut(tmp_path), tmp_path / "stop"
    waits(held, 10)

    def ask(step: int) -> None:
        stop.touch()
        player.cancelled.wait()

    player = Scripted({10: 0.5}, ask)
    with Beside(held, player, stop, None, say=lambda text: None) as beside:
        beside.drain()
    assert held.rows() == {} and held.waiting() == [10]


def test_bfcls_entries_count_alike() -> None:
    parts = {"multi_turn_base": {"right": 3, "tasks": 4}, "multi_turn_miss_func": {"right": 0, "tasks": 4}}
    found = figures({"categories": parts, "columns": {}})
    assert (found["accuracy"], found["right"], found["tasks"]) == (0.375, 3, 8)
    assert found["ci95"][0] < 0.375 < found["ci95"][1]
