"""Steps as token ids: the prompt exactly as rollouts and evaluation show it, then what is to be learned."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ..calls.markers import THINK_CLOSE, THINK_OPEN
from .chat_template import turn_close
from .messages import Message
from .parts import PartEncoder
from .protocol import render_prompt
from .shield import own_marks, shield


class EncodedStep(NamedTuple):
    """A training row.

    Attributes:
        ids: The tokens of prompt and target.
        prompt: How many of them are the prompt that the model continues, `<think>` included.
        learned: Where learning begins: at `<think>`, where that is a token of its own, else after it.
    """

    ids: list[int]
    prompt: int
    learned: int


class StepEncoder:
    """Encodes steps with one tokenizer.

    A rollout's prompt is encoded before there is a completion, so the two are never merged into one token at
    their seam: where a tokenizer would do that (`>` and a line break, in Llama 3), the target is encoded by
    itself, as the tokens that follow the prompt.

    Args:
        tokenizer: A Hugging Face tokenizer with a chat template.

    Raises:
        UserError: if its chat template cannot be used.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer, self._ids = tokenizer, PartEncoder(tokenizer)
        self._close, self._marks = turn_close(tokenizer), own_marks(tokenizer)
        whole, prompt = self._ids(f"{THINK_OPEN}\nA"), self._ids(THINK_OPEN)
        self._whole = whole[: len(prompt)] == prompt

    def encode(self, messages: Sequence[Message], target: str) -> EncodedStep:
        """One row.

        Args:
            messages: The prompt, as an export holds it (escaped, tool results merged).
            target: What is learned, with or without the `<think>` that the prompt ends in.
        """
        prompt = render_prompt(messages, self._tokenizer, merged=True)
        rest = self._shielded(target.removeprefix(THINK_OPEN)) + self._close
        before = self._ids(prompt)
        ids = self._ids(prompt + rest) if self._whole else before + self._alone(rest)
        head = self._ids(prompt.removesuffix(THINK_OPEN))
        return EncodedStep(ids, len(before), len(head) if before[: len(head)] == head else len(before))

    def answer(self, messages: Sequence[Message], target: str, step: EncodedStep) -> int:
        """Where the answer behind the thought begins: the first token of `step` that is not of the thought.

        A token that holds the end of `</think>` and what follows it, as Llama 3's `>` with a line break, is
        the answer's first.

        Args:
            messages: As in `encode`.
            target: As in `encode`; without `</think>` it is all thought.
            step: What `encode` returned for them.
        """
        thought, close, _ = self._shielded(target.removeprefix(THINK_OPEN)).partition(THINK_CLOSE)
        if not close:
            return len(step.ids)
        if self._whole:
            ids = self._ids(render_prompt(messages, self._tokenizer, merged=True) + thought + close)
        else:
            ids = step.ids[: step.prompt] + self._alone(thought + close)
        pairs = zip(ids[step.prompt :], step.ids[step.prompt :], strict=False)
        return step.prompt + next(
            (place for place, (one, other) in enumerate(pairs) if one != other),
            min(len(ids), len(step.ids)) - step.prompt,
        )

    def _shielded(self, target: str) -> str:
        if self._marks is None or not self._marks.search(target):
            return target
        thought, close, answer = target.rpartition(THINK_CLOSE)
        return shield(thought, self._marks) + close + shield(answer, self._marks, answer=True)

    def _alone(self, text: str) -> list[int]:
        """The tokens of a text behind the token that ends a turn, so that none of its own begins a text."""
        end = self._close.strip()
        head = self._ids(end)
        both = self._ids(end + text)
        return both[len(head) :] if both[: len(head)] == head else self._ids(text)


@lru_cache(maxsize=8)
def end_tokens(tokenizer: Any) -> frozenset[int]:
    """The ids that end a completion: the tokenizer's own end and padding, and what its template ends with."""
    close = tokenizer(turn_close(tokenizer).strip(), add_special_tokens=False)["input_ids"]
    ends = [tokenizer.eos_token_id, tokenizer.pad_token_id, *(close if len(close) == 1 else ())]
    return frozenset(one for one in ends if one is not None)
