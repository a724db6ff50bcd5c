"""What SFT comes to in memory, time and disk: its settings as `cluster.plan` takes them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from ..cluster.plan import Device, StagePlan
from ..cluster.plan.flops import Lengths
from ..cluster.plan.inputs import refuse_above, shape_of, token_statistics
from ..cluster.plan.sft import SftJob
from ..cluster.plan.sft import plan as plan_of
from ..errors import UserError
from ..run.paths import RunDir
from .brief import count_rows, rows_file, shared_text
from .llamafactory.arguments import Paths, batch_of, grouped_by_length

if TYPE_CHECKING:
    from omegaconf import DictConfig

_UNKNOWN = 2048  # tokens of the longest row where neither data nor limit say it
_SHORTER = 8  # mean lengths are assumed to be so many times below the limit


def cost(config: DictConfig, run: RunDir) -> StagePlan | str:
    """The plan; or why there is none: the model's sizes are not known, or the batch cannot be shared out.

    Args:
        config: The project's configuration with `sft.model` filled in.
        run: The run directory.
    """
    sft, told = config.sft, config.plan
    shape, about_model = shape_of(config, str(sft.model))
    notes = [*about_model]
    try:
        batch = batch_of(config)
    except UserError as error:
        return str(error)
    if shape is None:
        return notes[0]
    paths = Paths.of(config, run)
    file = rows_file(paths.data, sft.dataset)
    rows = count_rows(file) if file is not None and file.is_file() else None
    tokens = token_statistics(paths.data.parent / "ledger.json")
    refuse_above(told.row_tokens, "row_tokens", sft.cutoff_len, "sft.cutoff_len")
    longest = sft.tree_tokens or sft.cutoff_len or (tokens.longest if tokens else None)
    least = math.ceil(told.row_tokens or 0)
    if longest is None:
        longest = max(_UNKNOWN, least)
        notes.append(f"rows of at most {longest:,} tokens (there are no data yet)")
    longest = max(longest, least)
    mean = told.row_tokens or (tokens.mean if tokens else None)
    if mean is None:
        mean = longest / _SHORTER
        notes.append(f"{mean:,.0f} tokens a row on average (an eighth of the limit; plan.row_tokens=)")
    sequences = told.rows or rows
    if sequences is None and sft.max_steps is None:
        notes.append("the number of rows is not known, so neither is that of the steps (plan.rows=)")
    learned = tokens.learned if tokens and sft.lean_forward and not sft.liger else 1.0
    if sft.tree and file is not None and file.is_file():
        found = shared_text(file)
        a_tree = found.rows_per_tree / found.saved  # times the tokens of a row
        mean *= a_tree
        if learned < 1.0:  # what rows share is not learned, and is what a tree has fewer of
            learned *= found.saved
        sequences = None if sequences is None else max(1, sequences / found.rows_per_tree)
        longest = longest if sft.tree_tokens else longest * max(1.0, a_tree)
        notes.append(
            f"trees of {found.rows_per_tree:.1f} rows save about {found.saved:.1f} times the tokens (from "
            "their text); the largest is taken to exceed the longest row as the mean one exceeds the mean row"
        )
    if not (sft.packing or grouped_by_length(config)) and batch.per_device * batch.workers > 1:
        notes.append("padding, and waiting for a longer row elsewhere, are not counted (sft.group_by_length)")
    if sft.packing:
        sequences = None if sequences is None else max(1, sequences * mean / longest)
    job = SftJob(
        shape=shape,
        device=Device.of(config.cluster),
        name="cpu" if config.cluster.device == "cpu" else str(config.cluster.name),
        devices=batch.workers,
        zero=_zero(sft.deepspeed),
        per_device=batch.per_device,
        accumulate=batch.accumulate,
        longest=int(longest),
        lengths=Lengths(float(longest)) if sft.packing else Lengths(float(mean)),
        sequences=sequences,
        epochs=float(sft.epochs),
        max_steps=sft.max_steps,
        half=sft.precision == "bf16",
        recompute=bool(sft.gradient_checkpointing),
        chunked=bool(sft.liger),
        learned=learned,
        lora_rank=int(sft.lora.rank) if sft.finetuning_type == "lora" else None,
        kept=None if sft.save_steps is None else int(sft.save_total_limit),
        headroom=float(told.headroom),
        limit="sft.tree_tokens" if sft.tree_tokens else "sft.cutoff_len",
    )
    return plan_of(job, tuple(notes))


def _zero(deepspeed: str | None) -> int | None:
    """The stage of DeepSpeed that a setting names, or that its file does."""
    if deepspeed in ("zero2", "zero3"):
        return int(deepspeed[-1])
    if not deepspeed:
        return None
    try:
        values = json.loads(Path(deepspeed).expanduser().read_text(encoding="utf-8"))
        return int(values["zero_optimization"]["stage"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
