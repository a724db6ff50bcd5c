"""A failure that would come again is not tried again; one that may pass is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from funreason_train.errors import UserError
from funreason_train.sft.train import failures
from funreason_train.sft.train.workers import persist


class Workers:
    """Fails as told, attempt by attempt: what each rank notes, or None for a process that vanishes."""

    def __init__(self, folder: Path, *script: Sequence[tuple[int, int, Exception]] | None) -> None:
        self.folder, self.script, self.attempts = folder, list(script), 0

    def __call__(self) -> None:
        self.attempts += 1
        if not self.script:
            return
        notes = self.script.pop(0)
        for rank, step, error in notes or []:
            failures.note(self.folder, rank, step, error)
        raise RuntimeError("the worker group failed")


def tried(folder: Path, *script: Sequence[tuple[int, int, Exception]] | None) -> tuple[int, str]:
    """How often workers were started that fail in this way, and what was said at the end."""
    workers = Workers(folder, *script)
    try:
        persist(workers, folder, retries=2)
    except (RuntimeError, UserError) as error:
        return workers.attempts, str(error)
    return workers.attempts, ""


def test_an_error_before_the_first_step_ends_the_run(tmp_path: Path) -> None:
    """LoRA through the pass-through trained three times to the same AttributeError."""
    wrong = AttributeError("'NoneType' object has no attribute 'to_dict'")
    attempts, said = tried(tmp_path, *[[(0, -1, wrong)]] * 3)
    assert attempts == 1
    assert "to_dict" in said and "before the first step" in said and "not started again" in said


def test_the_same_error_at_the_same_step_is_tried_twice(tmp_path: Path) -> None:
    def at(step: int, address: int) -> list[tuple[int, int, Exception]]:
        return [(1, step, RuntimeError(f"CUDA error at 0x{address:x}"))]

    attempts, said = tried(tmp_path, at(40, 7), at(40, 99), at(40, 3))
    assert attempts == 2 and "same step twice" in said


def test_progress_between_two_errors_is_reason_to_go_on(tmp_path: Path) -> None:
    script = [[(0, step, RuntimeError("CUDA error"))] for step in (40, 80, 120)]
    attempts, said = tried(tmp_path, *script)
    assert attempts == 3 and "max_failures is used up" in said


def test_a_process_that_vanished_is_started_again(tmp_path: Path) -> None:
    assert tried(tmp_path, None, None) == (3, "")
    attempts, said = tried(tmp_path, None, None, None)
    assert attempts == 3 and "ended without a word" in said


def test_an_error_of_settings_stays_one(tmp_path: Path) -> None:
    workers = Workers(tmp_path, [(0, -1, UserError("is wrong", where="sft.x", fix="Set y"))])
    with pytest.raises(UserError, match=r"sft\.x: is wrong\. Set y"):
        persist(workers, tmp_path, retries=2)
    assert workers.attempts == 1


def test_the_cause_is_told_and_not_its_echo_in_other_processes(tmp_path: Path) -> None:
    notes: Callable[[], list[tuple[int, int, Exception]]] = lambda: [  # noqa: E731
        (1, 5, RuntimeError("Connection closed by peer [10.0.0.2]:1234")),
        (0, 5, ValueError("loss is not finite")),
    ]
    attempts, said = tried(tmp_path, notes(), notes())
    assert attempts == 2 and "ValueError: loss is not finite (training process 0" in said


def test_notes_of_an_earlier_attempt_do_not_count(tmp_path: Path) -> None:
    failures.note(tmp_path, 3, -1, ValueError("old"))
    assert tried(tmp_path, None) == (2, "")
