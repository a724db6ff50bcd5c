"""A decoder layer of the 4B model on packed rows: each attention against dense rows in fp32.

The layer and the masks are transformers' own, `varlen` is the project's (models/attention/varlen.py).
"""

from __future__ import annotations

import importlib.util
from typing import Any

from material import FOUR_B, TINY, architecture

from funreason_train.models import attention

from . import Job
from .clock import measured

#: Lengths of the rows in one packed row.
# Mean error as a share of the mean size: bf16 keeps 8 bits, and a layer rounds a dozen times.
_TOLERANCE = {"bfloat16": 0.05, "float32": 1e-4}
_ROWS, _TINY_ROWS = (12000, 8000, 6000, 4000, 2000, 768), (40, 17, 7)


def run(job: Job) -> None:
    """Measures forward and backward of one layer under each attention."""
    import torch

    lengths = _TINY_ROWS if job.tiny else _ROWS
    job.note(tokens=sum(lengths), rows=len(lengths))
    torch.manual_seed(0)
    attention.register()
    kind = "bfloat16" if job.device == "cuda" else "float32"
    dtype = getattr(torch, kind)
    sizes = TINY if job.tiny else FOUR_B
    inputs = torch.randn(1, sum(lengths), sizes["hidden_size"], device=job.device, dtype=dtype)
    weigh = torch.randn_like(inputs)
    model = _layer(sizes, job.device, dtype)
    wanted = _reference(model, inputs, weigh, lengths)
    odd: list[str] = []
    for name in _kinds(job.device):
        model.set_attn_implementation(name)
        figures, found = measured(lambda: _pass(model, inputs, weigh, lengths), job.device)
        if found is not None:
            figures["output_error"], figures["gradient_error"] = (
                _error(ours, theirs) for ours, theirs in zip(found, wanted, strict=True)
            )
            figures["agrees"] = max(figures["output_error"], figures["gradient_error"]) < _TOLERANCE[kind]
        job.note(**{f"{name}_{key}": value for key, value in figures.items()})
        odd += [name] if figures.get("agrees") is False else []
    if odd:
        raise RuntimeError(f"attention that does not agree with the reference: {', '.join(odd)}")


def _kinds(device: str) -> list[str]:
    flash = [attention.FLASH] if device == "cuda" and importlib.util.find_spec("flash_attn") else []
    return ["sdpa", attention.VARLEN, *flash]


def _layer(sizes: dict[str, Any], device: str, dtype: Any) -> Any:
    import torch
    from transformers import AutoModel

    with torch.device(device):
        model = AutoModel.from_config(
            architecture({**sizes, "num_hidden_layers": 1, "vocab_size": 8}), dtype=dtype
        )
    return model.train()


def _positions(lengths: tuple[int, ...], device: Any) -> Any:
    import torch

    return torch.cat([torch.arange(length, device=device) for length in lengths])[None]


def _pass(model: Any, inputs: Any, weigh: Any, lengths: tuple[int, ...]) -> tuple[Any, Any]:
    """Output and gradient of the inputs for one packed row."""
    leaf = inputs.detach().requires_grad_()
    output = model(
        inputs_embeds=leaf,
        attention_mask=None,
        position_ids=_positions(lengths, inputs.device),
        use_cache=False,
    ).last_hidden_state
    (output * weigh).sum().backward()
    return output.detach(), leaf.grad


def _reference(model: Any, inputs: Any, weigh: Any, lengths: tuple[int, ...]) -> tuple[Any, Any]:
    """The same for each row alone, in fp32."""
    import copy

    import torch

    exact = copy.deepcopy(model).float()
    exact.set_attn_implementation("sdpa")
    parts = [
        _pass(exact, row.float(), part.float(), (row.shape[1],))
        for row, part in zip(inputs.split(lengths, dim=1), weigh.split(lengths, dim=1), strict=True)
    ]
    return torch.cat([one for one, _ in parts], dim=1), torch.cat([one for _, one in parts], dim=1)


def _error(found: Any, wanted: Any) -> float:
    """The mean absolute difference as a share of the mean size."""
    return float(f"{((found.float() - wanted).abs().mean() / wanted.abs().mean()).item():.3g}")
