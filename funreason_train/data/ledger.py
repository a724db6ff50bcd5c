"""The account of a run: what was read of each source, what became of it, and how long it is in tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .measure.overlong import Cost


@dataclass
class Account:
    """One source's rows.

    Attributes:
        read: Rows met, readable or not.
        kept: Rows that passed every check.
        rejected: Reason -> rows.
        flags: What was mended or is odd in kept rows (flag -> rows); these rows were kept.
        steps: Assistant responses of the kept rows, those dropped not counted.
        steps_dropped: Reason -> responses dropped from rows that were kept: `overlong`, and `untrained` for
            those that the source wants to be history alone.
        overlong: What the limits of length leave out, and what that costs.
        augmented: Augmentation -> training conversations changed or, for irrelevance, added by it; and what
            irrelevance left out (see `Augment`).
        conversations: Side of the split -> conversations exported, after mixing.
        rows_missing: Side -> conversations that `rows` asks for beyond those that are there.
        prompt_tokens: Of each measured step.
        target_tokens: Of each measured step, end-of-turn token included.
    """

    read: int = 0
    kept: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    steps_dropped: Counter[str] = field(default_factory=Counter)
    overlong: Cost = field(default_factory=Cost)
    augmented: Counter[str] = field(default_factory=Counter)
    conversations: Counter[str] = field(default_factory=Counter)
    rows_missing: Counter[str] = field(default_factory=Counter)
    prompt_tokens: list[int] = field(default_factory=list)
    target_tokens: list[int] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The account as it stands in `ledger.json`; `tokens` is null when no tokenizer was there."""
        return {
            "read": self.read,
            "kept": self.kept,
            "rejected": dict(sorted(self.rejected.items())),
            "flags": dict(sorted(self.flags.items())),
            "steps": self.steps,
            "steps_dropped": dict(sorted(self.steps_dropped.items())),
            "overlong": self.overlong.to_json(),
            "augmented": dict(sorted(self.augmented.items())),
            "conversations": dict(sorted(self.conversations.items())),
            "rows_missing": dict(sorted(self.rows_missing.items())),
            "tokens": self._tokens(),
        }

    def _tokens(self) -> dict[str, Any] | None:
        if not self.prompt_tokens:
            return None
        total = sum(self.prompt_tokens) + sum(self.target_tokens)
        return {"prompt": spread(self.prompt_tokens), "target": spread(self.target_tokens), "total": total}


class Ledger:
    """The accounts of all sources."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.accounts = {source: Account() for source in sources}

    def __getitem__(self, source: str) -> Account:
        return self.accounts[source]

    def check(self) -> None:
        """Makes sure that no row went missing.

        Raises:
            RuntimeError: if a source's read rows are not its kept and rejected rows together.
        """
        for source, account in self.accounts.items():
            if account.read != account.kept + sum(account.rejected.values()):
                raise RuntimeError(
                    f"{source}: {account.read} rows read, but {account.kept} kept and"
                    f" {sum(account.rejected.values())} rejected; a row was lost or counted twice"
                )

    def to_json(self) -> dict[str, Any]:
        """Source -> account; see `Account.to_json`."""
        return {source: account.to_json() for source, account in self.accounts.items()}


def spread(values: Sequence[int]) -> dict[str, float | int]:
    """Mean, median, 95th percentile (nearest rank) and maximum."""
    ordered = sorted(values)

    def rank(share: float) -> int:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    mean = round(sum(ordered) / len(ordered), 1)
    return {"mean": mean, "p50": rank(0.5), "p95": rank(0.95), "max": ordered[-1]}
