"""The account of a run: what was read of each source, what became of it, and how long it is in tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import UserError
from .measure.overlong import Cost
from .read.rows import BY_CHOICE, REASONS

_FEW = 5  # rows: a share of fewer says nothing
_NAMED = 100  # fields that a ledger names


@dataclass
class Account:
    """One source's rows.

    Attributes:
        read: Rows met, readable or not.
        kept: Rows that passed every check, those absorbed among them.
        absorbed: Of the kept rows, those that are beginnings of others: each of their steps is trained on as
            a step of the longest row.
        rejected: Reason -> rows.
        flags: What was repaired or is odd in kept rows (flag -> rows).
        repairs: Kind of repair -> arguments of kept rows whose value was converted to its declared type.
        steps: Assistant responses of the kept rows, those dropped not counted.
        steps_dropped: Reason -> responses dropped from rows that were kept: `overlong`; `untrained` for
            those that are history alone, as the source says or as no row has them as its target; `shared` for
            those that another row with the same beginning trains on.
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
    absorbed: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    steps_dropped: Counter[str] = field(default_factory=Counter)
    overlong: Cost = field(default_factory=Cost)
    augmented: Counter[str] = field(default_factory=Counter)
    conversations: Counter[str] = field(default_factory=Counter)
    rows_missing: Counter[str] = field(default_factory=Counter)
    prompt_tokens: list[int] = field(default_factory=list)
    target_tokens: list[int] = field(default_factory=list)

    def note(self, flags: Iterable[str]) -> None:
        """Counts a row's flags; names of fields beyond `_NAMED` are counted together."""
        for flag in flags:
            kind, named, _ = flag.partition(":")
            if named and flag not in self.flags and sum(":" in one for one in self.flags) >= _NAMED:
                flag = f"{kind}:…"
            self.flags[flag] += 1

    def forget(self, flags: Iterable[str], repairs: Mapping[str, int]) -> None:
        """Takes back what was counted of a row that is rejected after all."""
        self.flags.subtract(
            flag if flag in self.flags else f"{flag.partition(':')[0]}:…" for flag in set(flags)
        )
        self.repairs.subtract(repairs)
        self.flags, self.repairs = +self.flags, +self.repairs

    def check_share(self, source: str, most: float) -> None:
        """Makes sure that not too many rows are useless.

        Args:
            source: The data set's name.
            most: The largest share of the rows read that may be; those that a setting leaves out do not
                count. A handful of rows is never too many.

        Raises:
            UserError: if more are.
        """
        useless = Counter({one: count for one, count in self.rejected.items() if one not in BY_CHOICE})
        if self.read < _FEW or useless.total() <= most * self.read:
            return
        commonest = "; ".join(f"{count} {one} ({REASONS[one]})" for one, count in useless.most_common(3))
        raise UserError(
            f"{useless.total()} of {self.read} rows cannot be used, more than data.max_rejected_share={most}"
            f" allows: {commonest}",
            where=source,
            fix="Check that path and format fit, or raise data.max_rejected_share",
        )

    def to_json(self) -> dict[str, Any]:
        """The account as it stands in `ledger.json`; `tokens` is null when no tokenizer was there."""
        return {
            "read": self.read,
            "kept": self.kept,
            "absorbed": self.absorbed,
            "rejected": dict(sorted(self.rejected.items())),
            "flags": dict(sorted(self.flags.items())),
            "repairs": dict(sorted(self.repairs.items())),
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
