"""What a run that goes on must have in common with the one that made its checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..run.files import read_json
from . import lora
from .llamafactory.arguments import Paths, batch_of
from .train import checkpoints

if TYPE_CHECKING:
    from omegaconf import DictConfig


def workers_record(config: DictConfig, tokens: str) -> dict[str, Any]:
    """What a resumed run must have in common with the one that it continues."""
    batch = batch_of(config)
    return {
        "workers": batch.workers,
        "per_device_batch": batch.per_device,
        "global_batch": batch.rows,
        "deepspeed": config.sft.deepspeed,
        "precision": config.sft.precision,
        "model": config.sft.model,
        "method": {key: str(value) for key, value in lora.arguments(config.sft).items()},
        "loss": config.sft.loss,
        "tokens": tokens,
    }


def refuse_other_workers(config: DictConfig, paths: Paths, tokens: str | None) -> None:
    """Optimizer shards, random states and the order of rows belong to the workers that made them.

    See DeepSpeed#3810.

    Args:
        config: What is asked for now.
        paths: Where checkpoints and the record of the workers are.
        tokens: The rows' fingerprint, or None while it is unknown.
    """
    if not paths.workers.is_file() or not checkpoints.checkpoints(paths.checkpoints):
        return
    before = read_json(paths.workers)
    before = {"loss": "plain", **before}  # what a record from before there was another says nothing of
    now = workers_record(config, tokens or before["tokens"])
    changes = [f"{key} was {before.get(key)}, is {now[key]}" for key in now if before.get(key) != now[key]]
    if changes:
        raise UserError(
            f"the checkpoints here were made by other training workers ({'; '.join(changes)})",
            where=str(paths.checkpoints),
            fix="Use the same values to continue, or start afresh with restart=sft or another run_dir",
        )


def refuse_fewer_steps(paths: Paths, workers: int, total: int) -> None:
    """A run can be made longer, but not shorter than what it has trained already."""
    latest = checkpoints.latest_complete(paths.checkpoints, workers)
    reached = checkpoints.read_step(latest) if latest else None
    if reached is not None and reached > total:
        raise UserError(
            f"the run has trained {reached} steps already, which is more than the {total} that are asked for",
            where=str(paths.checkpoints),
            fix="Ask for at least as many (sft.epochs, sft.max_steps), or start afresh with restart=sft",
        )
