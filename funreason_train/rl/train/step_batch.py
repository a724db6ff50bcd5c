"""What a step's batch holds, read from verl's TransferQueue, and its records on disk.

Imported only by the process that drives the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transfer_queue as tq
from verl.workers.utils.padding import response_from_nested

from ...plain import json_text
from ...run.files import write_text
from ..rollout.tokens import completion_text, text_of
from . import records, token_records

#: Column of the token records -> verl's field.
_FIELDS = {
    "ids": "responses",
    "mask": "response_mask",
    "advantage": "advantages",
    "rollout": "rollout_log_probs",
    "old": "old_log_probs",
    "entropy": "entropy",
}


def rows(batch: Any, fields: list[str]) -> tuple[list[records.Row], Any]:
    """A batch's responses and further fields of them; what only pads the batch is left out."""
    wanted = ["rm_scores", "extra_fields", *fields]
    data = tq.kv_batch_get(keys=_keys(batch), partition_id=batch.partition_id, select_fields=wanted)
    scores = [float(row.sum()) for row in data["rm_scores"].unbind()]
    extras = _objects(data["extra_fields"])
    found = [
        records.Row(key, score, dict(extra.get("reward_extra_info", {})), extra.get("response"))
        for key, score, extra in zip(_keys(batch), scores, extras, strict=True)
    ]
    return found, data


def write_rollouts(
    batch: Any, tokenizer: Any, file: Path, tokens: Mapping[str, list[Any]], most: int | None
) -> None:
    """Writes `STEP.jsonl`, and `STEP.npz` with the tokens.

    Args:
        batch: The step's.
        tokenizer: The model's.
        file: The `.jsonl`.
        tokens: As `token_columns` gave them, of the same rows; empty to keep none.
        most: Tokens that are kept; None for all.
    """
    found, data = rows(batch, ["prompts", "responses", "reward_model", "extra_info", "data_source"])
    golds = [row.get("ground_truth") for row in _objects(data["reward_model"])]
    infos = _objects(data["extra_info"])
    sources = _objects(data["data_source"])
    prompts = [text_of(ids.tolist(), tokenizer) for ids in data["prompts"].unbind()]
    answers = [completion_text(ids.tolist(), tokenizer) for ids in data["responses"].unbind()]
    ordered = sorted(range(len(found)), key=lambda at: found[at].place)
    lines = [
        records.line(
            found[at],
            prompts[at],
            answers[at],
            golds[at],
            infos[at].get("id"),
            records.category(infos[at], sources[at]),
        )
        for at in ordered
    ]
    if tokens:  # first: whoever reads the lines of a run that goes on finds their tokens
        columns = {name: [column[at] for at in ordered] for name, column in tokens.items()}
        groups = [found[at].prompt for at in ordered]
        places = token_records.within(groups, [len(row) for row in columns["ids"]], most)
        kept = {name: [column[at] for at in places] for name, column in columns.items()}
        token_records.write(file.with_suffix(".npz"), places, kept, lambda one: text_of([one], tokenizer))
    write_text(file, "".join(json_text(line) + "\n" for line in records.share_prompts(lines)))


def token_columns(batch: Any, names: list[str]) -> dict[str, list[Any]]:
    """The named columns of the token records as they are now, one array a response."""
    fields = [_FIELDS[name] for name in names]
    data = tq.kv_batch_get(keys=_keys(batch), partition_id=batch.partition_id, select_fields=fields)
    return {
        name: [row.float().numpy() for row in data[_FIELDS[name]].unbind()]
        for name in names
        if _FIELDS[name] in data
    }


def log_probs_now(batch: Any, workers: Any, temperature: float) -> dict[str, list[Any]]:
    """Log-probabilities and entropies of a batch's tokens under the model as it is now: one forward pass.

    Args:
        batch: The step's; its fields `log_probs` and `entropy` are overwritten.
        workers: verl's worker group of the actor.
        temperature: Of the samples, which scales the logits as in the loss.
    """
    before = dict(batch.extra_info)
    batch.extra_info.update(calculate_entropy=True, compute_loss=False, temperature=temperature)
    try:
        workers.compute_log_prob(batch)
    finally:
        batch.extra_info.clear()
        batch.extra_info.update(before)
    fields = ["log_probs", "entropy", "response_mask"]
    data = tq.kv_batch_get(keys=_keys(batch), partition_id=batch.partition_id, select_fields=fields)
    return {
        name: [
            row.float().numpy() for row in response_from_nested(data[field], data["response_mask"]).unbind()
        ]
        for name, field in (("new", "log_probs"), ("entropy", "entropy"))
    }


def _keys(batch: Any) -> list[str]:
    return [key for key, tag in zip(batch.keys, batch.tags, strict=True) if not tag.get("is_padding", False)]


def _objects(column: Any) -> list[Any]:
    """A column that holds no tensors; TransferQueue hands it over in one of several list types."""
    return list(column.tolist() if hasattr(column, "tolist") else column)
