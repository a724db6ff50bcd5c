"""What is too long is never cut: it is left out as a whole step, and its cost is put down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import UserError
from ..spool import Kept


def too_long(lengths: Sequence[tuple[int, int]], limits: tuple[int | None, int | None]) -> frozenset[int]:
    """Numbers of the steps over a limit.

    Args:
        lengths: (prompt, target) tokens of each step.
        limits: The longest prompt and the longest target; None for no limit.
    """
    return frozenset(
        number
        for number, pair in enumerate(lengths)
        if any(limit is not None and size > limit for size, limit in zip(pair, limits, strict=True))
    )


@dataclass
class Cost:
    """What one source loses to the limits.

    Attributes:
        conversations: Conversations that lose a step.
        whole: Of these, how many lose every step and are rejected.
        steps: Assistant responses left out.
        target_tokens: Supervised tokens left out.
        all_target_tokens: Supervised tokens of the source, those left out included.
        calls: Gold calls left out.
        final_calls: Conversations whose last response with calls is left out: what they worked towards.
        longest_prompt: Tokens of the longest prompt left out or not.
        longest_target: Tokens of the longest target.
    """

    conversations: int = 0
    whole: int = 0
    steps: int = 0
    target_tokens: int = 0
    all_target_tokens: int = 0
    calls: int = 0
    final_calls: int = 0
    longest_prompt: int = 0
    longest_target: int = 0

    def add(self, kept: Kept) -> None:
        """Counts one conversation, which has been measured."""
        targets = {n: pair[1] for n, pair in enumerate(kept.lengths) if n not in kept.untrained}
        self.all_target_tokens += sum(targets.values())
        self.longest_prompt = max(self.longest_prompt, *(kept.lengths[number][0] for number in targets))
        self.longest_target = max(self.longest_target, *targets.values())
        if not kept.dropped:
            return
        calls = [count for turn in kept.calls for count in turn]
        self.conversations += 1
        self.whole += not kept.trained
        self.steps += len(kept.dropped)
        self.target_tokens += sum(targets[number] for number in kept.dropped)
        self.calls += sum(calls[number] for number in kept.dropped)
        calling = [number for number in targets if calls[number]]
        self.final_calls += bool(calling) and calling[-1] in kept.dropped

    @property
    def share(self) -> float:
        """Of the source's supervised tokens, the part left out."""
        return self.target_tokens / self.all_target_tokens if self.all_target_tokens else 0.0

    def to_json(self) -> dict[str, int | float]:
        """As it stands in `ledger.json`."""
        return {
            "conversations": self.conversations,
            "whole_conversations": self.whole,
            "steps": self.steps,
            "supervised_tokens": self.target_tokens,
            "supervised_tokens_share": round(self.share, 4),
            "calls": self.calls,
            "final_calls": self.final_calls,
        }

    def check(self, source: str, most: float) -> None:
        """Makes sure that not too much is lost.

        Args:
            source: The data set's name.
            most: The largest share of supervised tokens that may be left out.

        Raises:
            UserError: if more is.
        """
        if self.share <= most:
            return
        raise UserError(
            f"the limits leave out {self.share:.1%} of the supervised tokens ({self.steps} responses with"
            f" {self.calls} calls, the final calls of {self.final_calls} conversations), and"
            f" data.max_dropped_share is {most}",
            where=source,
            fix=f"Raise data.max_prompt_tokens (the longest prompt has {self.longest_prompt} tokens) or"
            f" data.max_target_tokens (the longest target has {self.longest_target}), or allow the loss with"
            " data.max_dropped_share",
        )
