"""Rows laid over one another against the same rows side by side: RL's groups and SFT's trees.

A model of 0.6B or more with random weights, forward and backward, in bf16. `packed` are rows of their own
under the attention that packing takes on this machine (flash-attn, else `varlen`); `once` is the line in
which no token stands twice, under tree attention (models/attention/tree_attention.py). The same loss and
gradients come of both.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import numpy
from material import TINY, architecture

from funreason_train.models import attention
from funreason_train.models.attention import tree_attention
from funreason_train.models.attention.tree import TreeRow, laid_out

from . import Job
from .clock import measured

#: Qwen3-0.6B's sizes (its config.json).
_SMALL: dict[str, Any] = {
    "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
    "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
}  # fmt: skip
#: What is drawn: the prompt of a group, its answers, how many; a conversation's opening, steps, tokens a
#: step.
_SIZES, _TINY_SIZES = (2048, 256, 8, 1500, 12, 350), (40, 6, 3, 30, 4, 8)
#: Largest difference of the losses, and mean one of a gradient, as a share of its mean size.
_TOLERANCE = {"bfloat16": (1e-3, 0.1), "float32": (1e-5, 1e-3)}


def run(job: Job) -> None:
    """Measures both forms of both batches; a disagreement fails the step after all figures are noted."""
    import torch

    torch.manual_seed(0)
    attention.register()
    tree_attention.register()
    kind = "bfloat16" if job.device == "cuda" else "float32"
    model = _model(TINY if job.tiny else _SMALL, job.device, getattr(torch, kind))
    job.note(parameters=int(model.num_parameters()))
    odd: list[str] = []
    for shape, rows in _shapes(_TINY_SIZES if job.tiny else _SIZES, TINY["vocab_size"]).items():
        line = laid_out(rows)
        job.note(**{f"{shape}_packed_tokens": line.split, f"{shape}_once_tokens": len(line.ids)})
        found: dict[str, Any] = {}
        for form, kernel, batch in (
            ("packed", _packing(job.device), _side_by_side(rows, job.device)),
            ("once", tree_attention.choose("auto", job.device), _once(line, job.device)),
        ):
            model.set_attn_implementation(kernel)
            figures, found[form] = measured(partial(_pass, model, batch), job.device)
            job.note(**{f"{shape}_{form}_{name}": value for name, value in figures.items()})
        if None in found.values():
            continue
        (loss, gradient), (wanted, reference) = found["once"], found["packed"]
        errors = abs(loss - wanted) / abs(wanted), _error(gradient, reference)
        agrees = all(error < most for error, most in zip(errors, _TOLERANCE[kind], strict=True))
        job.note(
            **{
                f"{shape}_loss_error": float(f"{errors[0]:.3g}"),
                f"{shape}_gradient_error": float(f"{errors[1]:.3g}"),
                f"{shape}_agrees": agrees,
            }
        )
        odd += [] if agrees else [shape]
    if odd:
        raise RuntimeError(f"lines that do not agree with rows side by side: {', '.join(odd)}")


def _packing(device: str) -> str:
    return attention.choose("auto", device) if device == "cuda" else attention.VARLEN


def _model(sizes: dict[str, Any], device: str, dtype: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device(device):
        model = AutoModelForCausalLM.from_config(architecture(sizes), dtype=dtype)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model.train()


def _shapes(sizes: tuple[int, ...], words: int) -> dict[str, list[TreeRow]]:
    """`group`: answers to one prompt; `steps`: those of a conversation, whose history keeps no thoughts."""
    draw = random.Random(0)
    prompt, answer, samples, opening, steps, step = sizes

    def drawn(mean: int) -> list[int]:
        return [draw.randrange(words) for _ in range(max(2, round(draw.gauss(mean, mean / 4))))]

    start, history = drawn(prompt), drawn(opening)
    group = [_row(start, drawn(answer)) for _ in range(samples)]
    conversation = []
    for _ in range(steps):
        said = drawn(step)
        conversation.append(_row(history, said))
        history = [*history, *said[-max(2, step // 10) :], *drawn(max(2, step // 6))]
    return {"group": group, "steps": conversation}


def _row(prompt: list[int], answer: list[int]) -> TreeRow:
    return TreeRow(numpy.array([*prompt, *answer], numpy.int32), len(prompt), len(prompt))


def _side_by_side(rows: list[TreeRow], device: str) -> dict[str, Any]:
    places: list[int] = []
    start = 0
    for row in rows:
        places += range(start + row.learned - 1, start + len(row.ids) - 1)
        start += len(row.ids)
    positions = numpy.concatenate([numpy.arange(len(row.ids)) for row in rows])
    targets = numpy.concatenate([row.ids[row.learned :] for row in rows])
    ids = numpy.concatenate([row.ids for row in rows])
    return _batch(device, ids, positions, places, targets, None)


def _once(line: Any, device: str) -> dict[str, Any]:
    left = -len(line.ids) % 128
    whole = len(line.ids) + left
    ids, positions = numpy.pad(line.ids, (0, left)), numpy.concatenate([line.positions, numpy.arange(left)])
    ends = numpy.pad(line.ends, (0, left), constant_values=whole)
    return _batch(device, ids, positions, line.places, line.targets, ends)


def _batch(device: str, ids: Any, positions: Any, places: Any, targets: Any, ends: Any) -> dict[str, Any]:
    import torch

    def put(values: Any) -> Any:
        return torch.as_tensor(numpy.asarray(values), dtype=torch.long, device=device)

    return {
        "input_ids": put(ids)[None],
        "position_ids": put(positions)[None],
        "attention_mask": None if ends is None else put(ends).view(1, 1, 1, -1),
        "logits_to_keep": put(places),
        "targets": put(targets),
    }


def _pass(model: Any, batch: dict[str, Any]) -> tuple[float, Any]:
    """The mean loss of the answers' tokens, and the gradient of the first layer's queries."""
    import torch

    model.zero_grad(set_to_none=True)
    inputs = {name: value for name, value in batch.items() if name != "targets"}
    logits = model(**inputs, use_cache=False).logits[0]
    loss = torch.nn.functional.cross_entropy(logits.float(), batch["targets"])
    loss.backward()
    return float(loss.detach()), model.model.layers[0].self_attn.q_proj.weight.grad.detach().clone()


def _error(found: Any, wanted: Any) -> float:
    """The mean absolute difference as a share of the mean size."""
    return float((found.float() - wanted.float()).abs().mean() / wanted.float().abs().mean())
