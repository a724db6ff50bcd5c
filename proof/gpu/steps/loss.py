"""The head of the 4B model on 32,768 tokens: verl's two ways for RL, and SFT's with and without Liger.

Reference: log-probabilities, entropy and their gradient in fp32, a thousand tokens at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from . import Job
from .clock import measured

_TOKENS, _WIDTH, _WORDS = 32768, 2560, 151936
_TINY = (96, 16, 200)
_HEAT, _ENTROPY = 0.7, 0.001  # temperature and weight of the entropy, as in the 4B recipe
_CHUNK = 1024
#: Largest error as a share of the largest value; bf16 keeps 8 bits, of logits above all.
_TOLERANCE = {"bfloat16": 0.05, "float32": 1e-4}


def run(job: Job) -> None:
    """Measures each way in turn; one that runs out of memory says so."""
    import torch

    tokens, width, words = _TINY if job.tiny else (_TOKENS, _WIDTH, _WORDS)
    job.note(tokens=tokens, words=words)
    torch.manual_seed(0)
    kind = "bfloat16" if job.device == "cuda" else "float32"
    dtype = getattr(torch, kind)
    hidden = torch.randn(1, tokens, width, device=job.device, dtype=dtype)
    weight = torch.randn(words, width, device=job.device, dtype=dtype) * width**-0.5
    labels = torch.randint(words, (1, tokens), device=job.device)
    wanted = _reference(hidden, weight, labels)
    odd: list[str] = []
    for name, way in _ways(job.device).items():
        figures, found = measured(partial(way, hidden, weight, labels), job.device)
        if found is not None:
            figures["error"] = _worst(found, wanted)
            figures["agrees"] = max(figures["error"].values()) < _TOLERANCE[kind]
        del found
        job.note(**{f"{name}_{key}": value for key, value in figures.items()})
        odd += [name] if figures.get("agrees") is False else []
    if odd:
        raise RuntimeError(f"losses that do not agree with the reference: {', '.join(odd)}")


def _ways(device: str) -> dict[str, Callable[..., dict[str, Any]]]:
    ways = {"rl_fused": _fused, "rl_whole": _whole, "sft_whole": _cross_entropy}
    return {**ways, "sft_liger": _liger} if device == "cuda" else ways


def _whole(hidden: Any, weight: Any, labels: Any) -> dict[str, Any]:
    """verl without fused kernels, its entropy eager as after eight counts of tokens (configs/rl.yaml)."""
    from verl.utils import torch_functional

    leaf, head = hidden.detach().requires_grad_(), weight.detach().requires_grad_()
    logits = (leaf[0] @ head.T) / _HEAT
    log_probs = torch_functional.logprobs_from_logits(logits, labels[0], inplace_backward=False)
    entropy = torch_functional.entropy_from_logits_with_chunking(logits)
    (log_probs.float().sum() + _ENTROPY * entropy.float().sum()).backward()
    return {"log_probs": log_probs.detach(), "entropy": entropy.detach(), "gradient": leaf.grad[0]}


def _fused(hidden: Any, weight: Any, labels: Any) -> dict[str, Any]:
    """verl with fused kernels, as configs/rl.yaml has it on GPUs."""
    from verl.utils.experimental.torch_functional import FusedLinearForPPO

    leaf, head = hidden.detach().requires_grad_(), weight.detach().requires_grad_()
    log_probs, entropy = FusedLinearForPPO()(
        hidden_states=leaf, vocab_weights=head, input_ids=labels, temperature=_HEAT
    )
    (log_probs.float().sum() + _ENTROPY * entropy.float().sum()).backward()
    return {"log_probs": log_probs.detach()[0], "entropy": entropy.detach()[0], "gradient": leaf.grad[0]}


def _cross_entropy(hidden: Any, weight: Any, labels: Any) -> dict[str, Any]:
    """transformers' loss on whole logits."""
    import torch

    leaf, head = hidden.detach().requires_grad_(), weight.detach().requires_grad_()
    loss = torch.nn.functional.cross_entropy((leaf[0] @ head.T).float(), labels[0], reduction="sum")
    loss.backward()
    return {"loss": loss.detach(), "loss_gradient": leaf.grad[0]}


def _liger(hidden: Any, weight: Any, labels: Any) -> dict[str, Any]:
    """Liger's head and cross-entropy in one, a chunk of tokens at a time."""
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

    leaf, head = hidden.detach().requires_grad_(), weight.detach().requires_grad_()
    loss = LigerFusedLinearCrossEntropyLoss(reduction="sum")(head, leaf[0], labels[0])
    loss.backward()
    return {"loss": loss.detach(), "loss_gradient": leaf.grad[0]}


def _reference(hidden: Any, weight: Any, labels: Any) -> dict[str, Any]:
    import torch

    parts: dict[str, list[Any]] = {name: [] for name in ("log_probs", "entropy", "gradient", "loss_gradient")}
    exact = weight.float()
    loss = torch.zeros((), device=hidden.device)
    for rows, words in zip(hidden[0].split(_CHUNK), labels[0].split(_CHUNK), strict=True):
        leaf = rows.float().requires_grad_()
        logits = leaf @ exact.T
        scores = (logits / _HEAT).log_softmax(-1)
        log_probs = scores.gather(1, words[:, None])[:, 0]
        entropy = -(scores.exp() * scores).sum(-1)
        (gradient,) = torch.autograd.grad(log_probs.sum() + _ENTROPY * entropy.sum(), leaf, retain_graph=True)
        part = torch.nn.functional.cross_entropy(logits, words, reduction="sum")
        (loss_gradient,) = torch.autograd.grad(part, leaf)
        loss += part.detach()
        found = (log_probs.detach(), entropy.detach(), gradient, loss_gradient)
        for name, value in zip(parts, found, strict=True):
            parts[name].append(value)
    return {**{name: torch.cat(values) for name, values in parts.items()}, "loss": loss}


def _worst(found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, float]:
    """The largest difference of each as a share of the largest value."""
    return {
        name: float(f"{((value.float() - wanted[name]).abs().max() / wanted[name].abs().max()).item():.3g}")
        for name, value in found.items()
    }
