"""What the evaluation asks of a model server, whichever it is: token ids in, text out, many at a time."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn.

    Attributes:
        temperature: 0 is greedy.
        top_p: Nucleus; without effect when greedy.
        max_tokens: Most tokens of one completion.
        max_model_tokens: Most tokens of prompt and completion together.
        seed: With the task and the response's number it seeds each completion, whatever shares its batch.
    """

    temperature: float
    top_p: float
    max_tokens: int
    max_model_tokens: int
    seed: int

    def room(self, prompt_tokens: int) -> int:
        """Tokens left for a completion; not positive if the prompt is too long.

        Source: the handler in FunReason-MT's model card, which keeps two tokens back.
        """
        return min(self.max_tokens, self.max_model_tokens - prompt_tokens - 2)

    def seed_of(self, key: str) -> int | None:
        """The seed of one completion; None when greedy."""
        return zlib.crc32(f"{self.seed}/{key}".encode()) if self.temperature > 0 else None


@dataclass(frozen=True)
class Generated:
    """One completion.

    Attributes:
        key: As submitted.
        text: What follows the prompt, special tokens left out.
        tokens: How many tokens it has.
        finish: `stop`, or `length` if it ran into its limit.
    """

    key: str
    text: str
    tokens: int
    finish: str

    def __post_init__(self) -> None:
        # An endpoint may send half of a character, which no tokenizer takes and no file holds.
        if not self.text.isascii():
            whole = self.text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            object.__setattr__(self, "text", whole)


class Generator(Protocol):
    """A model that completes prompts, many at once."""

    def submit(self, key: str, prompt: list[int], sampling: Sampling) -> None:
        """Asks for one completion; `key` is unique among those not yet collected."""

    def collect(self) -> list[Generated]:
        """Waits for progress and returns what has been finished since, possibly nothing yet."""
