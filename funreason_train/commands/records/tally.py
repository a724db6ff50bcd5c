"""What changed when stored answers were scored again, counted as they come: memory does not grow."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ...pages.table import Table
from .stored import Stored

_SAME = 1e-9
_SHOWN = 90  # characters of an answer in an example


@dataclass
class Group:
    """The answers of one category.

    Attributes:
        count: How many.
        before: Sum of the stored scores.
        after: Sum of the new ones.
        up: How many gained.
        down: How many lost.
    """

    count: int = 0
    before: float = 0.0
    after: float = 0.0
    up: int = 0
    down: int = 0


@dataclass
class Tally:
    """All answers so far.

    Attributes:
        examples: Most that are kept of each kind of change.
        groups: (origin, category) -> its figures.
        changes: (origin, reason before, reason after) -> how many scores changed that way.
        shown: The first answers of each kind of change.
        unjudged: How many could not be scored again, by why.
    """

    examples: int
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    changes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    shown: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    unjudged: Counter[str] = field(default_factory=Counter)

    def add(self, stored: Stored, score: float, reason: str) -> bool:
        """Counts an answer; whether its score changed."""
        group = self.groups.setdefault((stored.origin, stored.category), Group())
        group.count += 1
        group.before += stored.score
        group.after += score
        if abs(score - stored.score) <= _SAME:
            return False
        group.up += score > stored.score
        group.down += score < stored.score
        kind = (stored.origin, stored.reason, reason)
        self.changes[kind] += 1
        shown = self.shown.setdefault(kind, [])
        if len(shown) < self.examples:
            shown.append(f"{stored.where} ({stored.row}): {_short(stored.completion)}")
        return True

    @property
    def count(self) -> int:
        """Answers that were scored again."""
        return sum(group.count for group in self.groups.values())

    @property
    def changed(self) -> int:
        """Those whose score changed."""
        return sum(group.up + group.down for group in self.groups.values())

    def by_category(self) -> Table:
        """Scores before and after, by what they belong to and category."""
        rows = []
        for (origin, category), group in sorted(self.groups.items()):
            before, after = group.before / group.count, group.after / group.count
            figures = (
                f"{before:.4f}",
                f"{after:.4f}",
                f"{after - before:+.4f}",
                str(group.up),
                str(group.down),
            )
            rows.append((origin, category, str(group.count), *figures))
        head = ("of", "category", "answers", "score before", "after", "change", "gained", "lost")
        return Table("Scores by category", head, tuple(rows), texts=2)

    def by_reason(self) -> Table:
        """Kinds of change, the most frequent first, with examples as notes."""
        rows, notes = [], []
        for kind, count in self.changes.most_common():
            rows.append((*kind, str(count)))
            notes += [f"{kind[1]} -> {kind[2]}: {example}" for example in self.shown[kind]]
        head = ("of", "before", "after", "answers")
        return Table("Why scores changed", head, tuple(rows), 3, tuple(notes))

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "format": 1,
            "answers": self.count,
            "changed": self.changed,
            "unjudged": dict(self.unjudged),
            "categories": [
                {
                    "of": origin,
                    "category": category,
                    "answers": group.count,
                    "before": group.before / group.count,
                    "after": group.after / group.count,
                    "gained": group.up,
                    "lost": group.down,
                }
                for (origin, category), group in sorted(self.groups.items())
            ],
            "changes": [
                {"of": origin, "before": before, "after": after, "answers": count}
                for (origin, before, after), count in self.changes.most_common()
            ],
        }


def _short(text: str) -> str:
    """The end of an answer on one line: what decides comes last."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[-400:]).split())
    return line if len(line) <= _SHOWN else f"…{line[1 - _SHOWN :]}"
