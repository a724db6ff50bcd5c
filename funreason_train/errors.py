"""What is said of a user's mistake: a `Problem` found by a check, a `UserError` that ends the command."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that would stop the run; printed as one sentence.

    Attributes:
        what: What is wrong, without a full stop.
        where: The file, key or row it concerns.
        fix: What the user can do about it.
    """

    what: str
    where: str | None = None
    fix: str | None = None

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        stop = "" if text.endswith("?") else "."
        return f"{text}{stop} {self.fix.removesuffix('.')}" if self.fix else text

    @classmethod
    def of(cls, found: Problem | UserError | str) -> Problem:
        """A problem from whatever told it: a sentence, an error, or a problem itself."""
        if isinstance(found, UserError):
            return cls(found.what, found.where, found.fix)
        return cls(found) if isinstance(found, str) else found


class UserError(Exception):
    """A mistake that the user can fix; the command line prints it as one sentence and exits with 2.

    Args:
        what: What is wrong, as a sentence without a full stop.
        where: The file, key or row it concerns.
        fix: What the user can do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(str(self))

    def __str__(self) -> str:
        return str(Problem(self.what, self.where, self.fix))


def refuse(problems: Iterable[Problem | str]) -> None:
    """Raises everything that was found as one error, each sentence once; returns if there is nothing.

    Raises:
        UserError: the one problem as it is, or a list with one problem a line.
    """
    found = list(dict.fromkeys(Problem.of(problem) for problem in problems))
    if len(found) == 1:
        raise UserError(found[0].what, where=found[0].where, fix=found[0].fix)
    if found:
        lines = "".join(f"\n  - {problem}" for problem in found)
        raise UserError(f"{len(found)} problems would stop the run:{lines}")
