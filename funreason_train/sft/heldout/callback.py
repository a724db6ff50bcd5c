"""Hands checkpoints over to be played; waits for that where training pauses (imports transformers)."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from ...run.beat import beat
from ..publish import hand_over
from ..train.callbacks import StopCallback, agreed
from .record import MOST_WAITING, HeldOut

_POLL = 0.3  # seconds between two looks for the line of a step


class HeldOutCallback(TrainerCallback):
    """After a checkpoint that is due, its model is kept for whoever plays; runs on every rank.

    Args:
        job: `sft` (the stage's folder), `every` (steps), `pause` (whether to wait until it was played),
            `seconds` (that playing one model may take) and `base` (the folder of the model that training
            started from).
        stop: What ends the training; asked after a pause, so that it ends with the step that was played.
        rank: Of this process.
    """

    def __init__(self, job: Mapping[str, Any], stop: StopCallback, rank: int) -> None:
        self.held, self.every, self.pause = HeldOut(Path(job["sft"])), int(job["every"]), bool(job["pause"])
        # Behind those that wait already; a minute more for whoever ends it and says so.
        self.patience = (MOST_WAITING + 1) * float(job["seconds"]) + 60.0
        self.base, self.stop, self.who = str(job["base"]), stop, f"training.{rank}"

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The weights are on disk, and what is rotated away is gone already."""
        step, last = state.global_step, state.global_step >= state.max_steps
        if state.is_world_process_zero and self.held.wants(step, self.every, last):
            checkpoint = Path(args.output_dir) / f"checkpoint-{step}"
            hand_over(checkpoint, self.held.model(step), self.base)
        if self.pause and (last or step % self.every == 0):
            self._wait(args, step)
            asked = agreed(state.is_world_process_zero and self.stop.note.exists(), args.device)
            if asked and not last:
                self.stop.stopped = control.should_training_stop = True
            beat(self.who, "loading a batch", step)

    def _wait(self, args: Any, step: int) -> None:
        """Returns when the step was played, the training is to end, or nobody plays any more."""
        if args.device.type == "cuda":
            import torch

            gc.collect()
            torch.cuda.empty_cache()  # what only the allocator holds is the engine's now
        until = time.monotonic() + self.patience
        while step not in self.held.rows() and not self.stop.note.exists():
            if time.monotonic() > until:
                print(f"held-out tasks of step {step} were not played in time; training goes on", flush=True)
                return
            beat(self.who, "held-out tasks", step)
            time.sleep(_POLL)
