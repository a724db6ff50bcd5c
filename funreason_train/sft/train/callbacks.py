"""What the trainer tells us while it runs. Loaded inside a training process (imports transformers)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from ...run.beat import beat
from ...run.files import write_text
from ...run.progress import report
from .memory import peak_resident


class MetricsCallback(TrainerCallback):
    """Writes one JSON object a logged step, and reports progress after every step; rank 0 only.

    Args:
        path: Of the lines.
        total: Steps of the run.
        rows: Where trees are trained, what counts the tokens of their rows (`split`): `tokens` and
            `tokens_per_second` are theirs, so that figures of runs with and without trees compare, and
            `processed_tokens` what the model has seen.

    Attributes:
        step: The last optimizer step that was done.
        loss: The last logged training loss.
        began: Whether the training loop was reached.
    """

    def __init__(self, path: Path, total: int, rows: Any = None) -> None:
        self.path, self.total, self.rows = path, total, rows
        self.step = 0
        self.loss: float | None = None
        self.began = False
        self._started = time.monotonic()
        self._first_tokens = self._first_processed = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Drops lines of steps that will be done again."""
        if state.max_steps != self.total:
            raise RuntimeError(f"the trainer plans {state.max_steps} steps where {self.total} were expected")
        self.step, self.began = state.global_step, True
        self._started, self._first_tokens = time.monotonic(), self._tokens(state)
        self._first_processed = int(state.num_input_tokens_seen)
        if state.is_world_process_zero:
            lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
            kept = [line for line in lines if line_step(line, self.step) <= self.step]
            write_text(self.path, "".join(f"{line}\n" for line in kept))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Notes the step and moves the progress bar."""
        self.step = state.global_step
        if state.is_world_process_zero:
            text = "" if self.loss is None else f"loss {self.loss:.3f}, {self._speed(state):,.0f} tokens/s"
            report(state.global_step, state.max_steps, text)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Adds a line."""
        if not logs or not state.is_world_process_zero or "train_loss" in logs:
            return
        self.loss = logs.get("loss", self.loss)
        row = {
            "step": state.global_step,
            **logs,
            "tokens": self._tokens(state),
            "tokens_per_second": round(self._speed(state), 1),
            "seconds": round(time.monotonic() - self._started, 2),
            **_memory(),
        }
        if self.rows is not None:
            processed = int(state.num_input_tokens_seen)
            seconds = max(1e-9, time.monotonic() - self._started)
            row["processed_tokens"] = processed
            row["processed_tokens_per_second"] = round((processed - self._first_processed) / seconds, 1)
        for double in ("num_input_tokens_seen", "train_runtime", "train_tokens_per_second"):
            row.pop(double, None)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _tokens(self, state: Any) -> int:
        return int(state.num_input_tokens_seen if self.rows is None else self.rows.split)

    def _speed(self, state: Any) -> float:
        seconds = max(1e-9, time.monotonic() - self._started)
        return float(self._tokens(state) - self._first_tokens) / seconds


class BeatCallback(TrainerCallback):
    """Leaves a sign of life at every step, on every rank, for the watchdog of a supervised run.

    Args:
        rank: Of this process.
    """

    def __init__(self, rank: int) -> None:
        self.who = f"training.{rank}"

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The first batch is awaited."""
        beat(self.who, "first step", state.global_step)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The batch is there."""
        beat(self.who, "step", state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """What comes next stands in the trainer's flags."""
        following = "evaluation" if control.should_evaluate else "loading a batch"
        beat(self.who, "saving" if control.should_save else following, state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A checkpoint is written."""
        beat(self.who, "loading a batch", state.global_step)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One more batch is evaluated."""
        self.batches = getattr(self, "batches", 0) + 1
        beat(self.who, f"evaluation, batch {self.batches}", state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The model is saved by all, then looked at by one."""
        beat(self.who, "saving the model", state.global_step)


class StopCallback(TrainerCallback):
    """Saves after a step and ends the training if that was asked for; all ranks do it at the same step.

    Args:
        note: The file whose appearance is the request. The first rank looks and tells: a network file system
            may show a file to one node a step earlier than to another, and a checkpoint is made by all.

    Attributes:
        stopped: Whether it was asked for before the last step.
    """

    def __init__(self, note: Path) -> None:
        self.note = note
        self.stopped = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Looks, tells, and has the trainer save and end."""
        asked = agreed(state.is_world_process_zero and self.note.exists(), args.device)
        if asked and state.global_step < state.max_steps:
            self.stopped = control.should_save = control.should_training_stop = True


def agreed(asked: bool, device: Any) -> bool:
    """What the first rank found, on every rank.

    Args:
        asked: What this rank found; only the first one's counts.
        device: Where the ranks' backend exchanges tensors.
    """
    import torch
    import torch.distributed as dist

    if not dist.is_initialized() or dist.get_world_size() == 1:
        return asked
    flag = torch.tensor([int(asked)], device=device)
    dist.broadcast(flag, src=0)
    return bool(flag.item())


class LeanCallback(TrainerCallback):
    """Installs the short cuts of `lean.py` in the model that is about to be trained.

    Args:
        logits: See `lean.install`.
    """

    def __init__(self, logits: bool) -> None:
        self.logits = logits

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Runs once, on the model inside any DDP or DeepSpeed wrapper."""
        from . import lean

        lean.install(model, self.logits)


class TiedCallback(TrainerCallback):
    """Saves weights that the model uses twice once.

    DeepSpeed hands the trainer copies of all weights, in which transformers cannot see that the output layer
    is the embeddings again: 778 MB more in the folder of a 4B model, and other names than its base has.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Runs once, on the model inside any wrapper; LoRA's matrices are nobody's twice."""
        if names := getattr(model, "all_tied_weights_keys", None):
            model._keys_to_ignore_on_save = {*(model._keys_to_ignore_on_save or ()), *names}


class AttentionCallback(TrainerCallback):
    """Gives the model that is about to be trained an attention that LLaMA-Factory has no name for.

    Args:
        name: As it is registered with transformers.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Runs once, on the model inside any wrapper.

        Raises:
            ValueError: if the attention does not compute what the model needs.
        """
        from ...models.attention import VARLEN, fits

        if self.name == VARLEN and not fits(model.config):
            raise ValueError(f"attention {self.name} does not fit this model; set sft.attention=sdpa")
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        inner.set_attn_implementation(self.name)


def _memory() -> dict[str, float]:
    """The most memory that this process has taken so far, in GiB: of the host, and of its GPU."""
    import torch

    found = {"host_memory_gib": peak_resident()}
    if torch.cuda.is_available():
        found["memory_allocated_gib"] = torch.cuda.max_memory_allocated()
        found["memory_reserved_gib"] = torch.cuda.max_memory_reserved()
    return {name: round(count / 2**30, 3) for name, count in found.items() if count}


def line_step(line: str, otherwise: int) -> int:
    """The step of a metrics line; a line cut off by a kill counts as a step after `otherwise`."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return otherwise + 1
