"""An SFT run in a dozen lines, for dry runs and the head of the log: what is trained, on what, how long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.folder import is_hub_id
from ..models.weights import stored_tensors
from . import lora
from .llamafactory.arguments import Paths, batch_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

_READ = 1 << 24  # bytes read at once while rows are counted


def lines(config: DictConfig, paths: Paths) -> list[str]:
    """`NAME: what it comes to`, one a line; reads the index and counts rows, but parses none.

    Args:
        config: The project's configuration with `sft.model` filled in.
        paths: Of this run.
    """
    sft, cluster, batch = config.sft, config.cluster, batch_of(config)
    file = _rows_file(paths.data, sft.dataset)
    rows = count_rows(file) if file is not None and file.is_file() else None
    return [
        f"start: {_model(sft.model)}",
        f"data: {'not there yet' if rows is None else f'{rows:,} rows'} ({file or paths.data})",
        f"length: {_length(config, rows)}",
        f"step: {batch.rows:,} rows = {batch.workers} processes x {batch.per_device} rows x "
        f"{batch.accumulate} accumulated pass{'es' * (batch.accumulate > 1)}",
        f"workers: {batch.workers} on {cluster.name} ({cluster.device}), {sft.precision}, "
        f"{sft.deepspeed or 'no DeepSpeed'}, attention {sft.attention}"
        + ", gradient checkpointing" * bool(sft.gradient_checkpointing)
        + ", Liger kernels" * bool(sft.liger),
        f"tokens: {_tokens(config)}; only the last thought and answer of a row are learned",
        f"method: {_method(config)}, AdamW, learning rate {sft.learning_rate:g} ({sft.schedule}, warm-up "
        f"{sft.warmup_ratio:.0%})",
        f"checkpoints: {_checkpoints(config)}",
    ]


def count_rows(file: Path) -> int:
    """How many rows a file of the data stage holds: one a line, and the list's own two lines."""
    count, last = 0, b""
    with file.open("rb") as opened:
        while block := opened.read(_READ):
            count += (last + block).count(b"\n{")
            last = block[-1:]
        opened.seek(0)
        first = opened.read(1)
    if count == 0 and first == b"[":  # another layout; small, or the data stage would have written it
        try:
            return len(json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            return 0
    return count + (first == b"{")


def _rows_file(folder: Path, name: str) -> Path | None:
    try:
        info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
        return folder / str(info[name]["file_name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _model(path: str) -> str:
    if is_hub_id(path) or not Path(path).is_dir():
        return path
    try:
        count = sum(_size(stored.shape) for stored in stored_tensors(Path(path)).values())
    except ValueError:
        return path
    return f"{path} ({count / 1e6:,.1f} million parameters)"


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size


def _length(config: DictConfig, rows: int | None) -> str:
    sft, batch = config.sft, batch_of(config)
    if sft.max_steps is not None:
        return f"{sft.max_steps:,} steps"
    passes = f"{sft.epochs:g} passes over the data"
    if rows is None:
        return passes
    if sft.packing:
        return f"{passes}; packing decides the steps"
    return f"{batch.steps(rows, sft.epochs):,} steps, {passes}"


def _tokens(config: DictConfig) -> str:
    sft = config.sft
    limit = "the longest row decides" if sft.cutoff_len is None else f"at most {sft.cutoff_len:,} a row"
    return f"{limit}, nothing is cut" + ", rows packed into sequences of that length" * bool(sft.packing)


def _method(config: DictConfig) -> str:
    if config.sft.finetuning_type == "full":
        return "every weight is trained"
    given = lora.arguments(config.sft)
    return (
        f"LoRA of rank {given['lora_rank']} (alpha {given['lora_alpha']:g}) on {given['lora_target']}, "
        "merged at the end"
    )


def _checkpoints(config: DictConfig) -> str:
    sft = config.sft
    if sft.save_steps is None:
        return "none; an interrupted run starts over"
    return f"every {sft.save_steps} steps, {sft.save_total_limit} kept"
