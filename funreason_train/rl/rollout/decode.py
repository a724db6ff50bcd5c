"""Sampling from a transformers model: many prompts in one batch, each with a seed of its own.

Imports torch; loaded by the rollout engine `transformers` (engine.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Request:
    """One completion that is wanted.

    Attributes:
        prompt: Token ids; at least one.
        limit: Most tokens of the completion.
        temperature: 0 takes the likeliest token.
        top_p: Draw among the likeliest tokens that have this share of the probability together.
        top_k: Draw among so many of the likeliest tokens; 0 or less: all.
        seed: Decides the draw; None: torch's own generator does.
    """

    prompt: list[int]
    limit: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = -1
    seed: int | None = None

    @classmethod
    def of(cls, prompt: Sequence[int], parameters: Mapping[str, Any], longest: int) -> Request:
        """A request as verl makes it (verl/trainer/ppo/v1/agent_loop_tq.py).

        Args:
            prompt: Token ids.
            parameters: temperature, top_p, top_k, seed, max_tokens; others are vLLM's own.
            longest: Most tokens where the parameters name no number.

        Raises:
            ValueError: for a repetition penalty, which the trained model's log-probabilities know nothing of.
        """
        if float(parameters.get("repetition_penalty", 1.0)) != 1.0:
            raise ValueError("the rollout engine transformers has no repetition penalty; use vllm")
        wanted = parameters.get("max_tokens") or parameters.get("max_new_tokens") or longest
        return cls(
            list(prompt),
            max(1, min(int(wanted), longest)),
            float(parameters.get("temperature", 1.0)),
            float(parameters.get("top_p", 1.0)),
            int(parameters.get("top_k", -1)),
            parameters.get("seed"),
        )


@dataclass
class Completion:
    """What came of a request.

    Attributes:
        tokens: With the one that ended it, unless the limit did.
        log_probs: Of each token, at the request's temperature and over the whole vocabulary, which is what
            the training pass computes.
    """

    tokens: list[int]
    log_probs: list[float]


@torch.no_grad()
def sample(model: Any, requests: Sequence[Request], ends: Collection[int], pad: int) -> list[Completion]:
    """Completes all requests in one left-padded batch.

    Args:
        model: A causal language model, with its key-value cache.
        requests: What is wanted; at least one.
        ends: Tokens that end a completion.
        pad: Fills shorter prompts; it is masked.

    Returns:
        One completion for each request, in order.
    """
    device = next(model.parameters()).device
    ids, mask = _padded([one.prompt for one in requests], pad, device)
    draws = [_generator(one.seed, device) for one in requests]
    found = [Completion([], []) for _ in requests]
    waiting = set(range(len(requests)))
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = None
    while waiting:
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        tokens, log_probs = _draw(output.logits[:, -1].float(), requests, draws)
        for index, (token, log_prob) in enumerate(zip(tokens.tolist(), log_probs.tolist(), strict=True)):
            if index not in waiting:
                continue
            found[index].tokens.append(token)
            found[index].log_probs.append(log_prob)
            if token in ends or len(found[index].tokens) >= requests[index].limit:
                waiting.discard(index)
        ids, positions = tokens[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(requests), 1)], dim=1)
    return found


def _padded(prompts: Sequence[list[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The prompts as (requests, longest), right-aligned, and what of it is prompt."""
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(prompts), longest), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def _generator(seed: int | None, device: torch.device) -> torch.Generator | None:
    return None if seed is None else torch.Generator(device=device).manual_seed(seed)


def _draw(
    logits: Tensor, requests: Sequence[Request], draws: Sequence[torch.Generator | None]
) -> tuple[Tensor, Tensor]:
    """The next token of each row and its log-probability.

    Args:
        logits: (requests, vocabulary), fp32.
        requests: How each row is drawn.
        draws: The generator of each row.
    """
    heat = torch.tensor([one.temperature or 1.0 for one in requests], device=logits.device)
    log_probs = (logits / heat[:, None]).log_softmax(-1)
    tokens = []
    for row, (one, draw) in enumerate(zip(requests, draws, strict=True)):
        if one.temperature == 0:
            tokens.append(log_probs[row].argmax(keepdim=True))
            continue
        chances = narrowed(log_probs[row].exp(), one.top_p, one.top_k)
        tokens.append(torch.multinomial(chances, 1, generator=draw))
    chosen = torch.cat(tokens)
    return chosen, log_probs.gather(1, chosen[:, None])[:, 0]


def narrowed(chances: Tensor, top_p: float, top_k: int) -> Tensor:
    """The probabilities with those of unlikely tokens set to zero; they need not add up to one then.

    Args:
        chances: (vocabulary,).
        top_p: Keep the likeliest tokens until they have this share; at least one.
        top_k: Keep at most so many; 0 or less: all.
    """
    if 0 < top_k < len(chances):
        chances = torch.where(chances < chances.topk(top_k).values[-1], 0.0, chances)
    if top_p < 1.0:
        ordered, places = chances.sort(descending=True)
        before = ordered.cumsum(0) - ordered
        chances = chances.index_fill(0, places[before > top_p * ordered.sum()], 0.0)
    return chances
