"""An SFT run in a dozen lines, for dry runs and the head of the log: what is trained, on what, how long."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cluster import evidence
from ..cluster.plan.inputs import token_statistics
from ..models.folder import is_hub_id
from ..models.weights import stored_tensors
from . import lora
from .llamafactory.arguments import Paths, batch_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from .tokens.dataset import Tokenised

_READ = 1 << 24  # bytes read at once while rows are counted


def lines(config: DictConfig, paths: Paths) -> list[str]:
    """`NAME: what it comes to`, one a line; reads the index and counts rows, but parses none.

    Args:
        config: The project's configuration with `sft.model` filled in.
        paths: Of this run.
    """
    sft, cluster, batch = config.sft, config.cluster, batch_of(config)
    file = rows_file(paths.data, sft.dataset)
    rows = count_rows(file) if file is not None and file.is_file() else None
    one = ("sequences of trees" if sft.packing else "trees") if sft.tree else "rows"
    return [
        f"start: {_model(sft.model)}",
        f"data: {'not there yet' if rows is None else f'{rows:,} rows'} ({file or paths.data})",
        f"length: {_length(config, rows)}",
        f"step: {batch.rows:,} {one} = {batch.workers} processes x {batch.per_device} {one} x "
        f"{batch.accumulate} accumulated pass{'es' * (batch.accumulate > 1)}",
        f"workers: {batch.workers} on {cluster.name} ({cluster.device}), {sft.precision}, "
        f"{sft.deepspeed or 'no DeepSpeed'}, attention {sft.attention}"
        + ", gradient checkpointing" * bool(sft.gradient_checkpointing)
        + ", Liger kernels" * bool(sft.liger),
        f"tokens: {_tokens(config)}; only the last thought and answer of a row are learned",
        *([f"tree: {_tree(config, file)}"] if sft.tree else []),
        *([f"loss: {_loss(config)}"] if sft.loss == "balance" else []),
        f"method: {_method(config)}, {sft.llamafactory.get('optim') or 'AdamW'}, "
        f"learning rate {sft.learning_rate:g} ({sft.schedule}, warm-up {sft.warmup_ratio:.0%})",
        *([f"passed on: {_passed_on(sft.llamafactory)}"] if sft.llamafactory else []),
        f"checkpoints: {_checkpoints(config)}",
        *(f"warning: {one}" for one in evidence.of_sft(str(sft.model), sft.finetuning_type)),
        *(f"warning: {one}" for one in _too_short(config, paths)),
    ]


def saving(rows: Tokenised) -> str:
    """What trees save, from the tokens themselves; empty without trees."""
    if not rows.split:
        return ""
    return (
        f"tree: {rows.rows:,} rows in {rows.sequences:,} sequences (the largest of {rows.largest:,} tokens): "
        f"{rows.tokens:,} tokens to process in place of {rows.split:,}, {rows.split / rows.tokens:.2f} times "
        f"fewer; a step has about {rows.rows / rows.sequences:.1f} rows for each one of sft.global_batch"
    )


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


def rows_file(folder: Path, name: str) -> Path | None:
    try:
        info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
        return folder / str(info[name]["file_name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _passed_on(given: Mapping[str, Any]) -> str:
    """The arguments of one's own that LLaMA-Factory is given, next to the project's."""
    return ", ".join(f"{key}={value}" for key, value in given.items())


def _model(path: str) -> str:
    if is_hub_id(path) or not Path(path).is_dir():
        return path
    try:
        count = sum(_size(stored.shape) for stored in stored_tensors(Path(path)).values())
    except (OSError, ValueError):
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
    if sft.tree:
        return f"{passes}; the number of trees decides the steps"
    if sft.packing:
        return f"{passes}; packing decides the steps"
    return f"{batch.steps(rows, sft.epochs):,} steps, {passes}"


def _tokens(config: DictConfig) -> str:
    sft = config.sft
    limit = "the longest row decides" if sft.cutoff_len is None else f"at most {sft.cutoff_len:,} a row"
    if sft.tree:
        return f"{limit}, nothing is cut"
    return f"{limit}, nothing is cut" + ", rows packed into sequences of that length" * bool(sft.packing)


def _too_short(config: DictConfig, paths: Paths) -> list[str]:
    """Limits below the longest prompt that the data stage measured.

    A warning and no refusal: its tokenizer may be another one, and the row may not be in the mixture. What is
    certain is known once the rows are tokens, which is before the cluster is needed.
    """
    measured = token_statistics(paths.data.parent / "ledger.json")
    limits = {"sft.cutoff_len": config.sft.cutoff_len, "sft.tree_tokens": config.sft.tree_tokens}
    return [
        f"{name}={limit}, and the data stage measured prompts of up to {measured.longest_prompt:,} tokens; "
        "a longer row stops the stage before training, since nothing is cut. Raise the limit, or leave such "
        "rows out in the data stage (data.max_prompt_tokens)"
        for name, limit in limits.items()
        if measured is not None and limit is not None and measured.longest_prompt >= limit
    ]


def _tree(config: DictConfig, file: Path | None) -> str:
    """What is going to share a sequence, and about how much it saves."""
    sft = config.sft
    most = f" of at most {sft.tree_tokens:,} tokens" if sft.tree_tokens else ""
    text = f"the steps of a trajectory share one sequence{most}" + (
        ", several trees packed into each" * bool(sft.packing)
    )
    rows, saved, _ = shared_text(file) if file is not None and file.is_file() else SharedText(0, 1.0, 0)
    return text + (
        f"; about {saved:.1f} times fewer tokens to process (characters of the first {rows:,} rows)"
        if rows
        else ""
    )


class SharedText(NamedTuple):
    """What rows have in common with those before them.

    Attributes:
        rows: That were looked at.
        saved: How many times fewer characters there are without what a row repeats of its trajectory.
        trees: Trajectories.
    """

    rows: int
    saved: float
    trees: int

    @property
    def rows_per_tree(self) -> float:
        """At least 1."""
        return self.rows / self.trees if self.trees else 1.0


def shared_text(file: Path, size: int = 4 << 20) -> SharedText:
    """How much of their trajectory's text rows repeat; without any rows (0, 1.0, 0).

    Args:
        file: Rows of the data stage.
        size: Bytes that are looked at.
    """
    rows, whole, own, trees, before, name = 0, 0, 0, 0, b"", b""
    with file.open("rb") as opened:
        for line in opened.read(size).splitlines()[:-1]:
            if line[:1] != b"{":
                continue
            text = line[line.find(b"system") :]
            mine, slash, _ = line[: line.find(b'"system"')].rpartition(b"/")
            common = _common(before, text)
            # Without names, a row that repeats most of the one before it continues it.
            if not (mine == name if slash else 2 * common >= len(before) > 0):
                trees, common = trees + 1, 0
            rows, whole, own = rows + 1, whole + len(text), own + len(text) - common
            before, name = text, mine
    return SharedText(rows, whole / own if own else 1.0, trees)


def _common(one: bytes, other: bytes) -> int:
    """How many bytes two texts have in common from the first on, by halving (a loop over bytes takes ms)."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def _loss(config: DictConfig) -> str:
    balance = config.sft.balance
    alpha = f"{balance.alpha:g}" + (", learned from there" if balance.learned else "")
    return f"thoughts and answers averaged apart over the global batch, alpha {alpha}"


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
