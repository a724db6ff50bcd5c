"""Of which kind a failure is, and what in its log is cause, consequence and tidying up (pure)."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .cause import Cause, findings
from .kinds import CONFIGURATION, DEVICE, HANG, MEMORY, UNKNOWN, Again, Kind
from .places import place_of
from .signs import CASCADE, ROOT, TEARDOWN, sign_of

#: What an exit code alone tells: 128 + N where a shell passed signal N on, -N from a child of our own.
_CODES = {
    signal.SIGKILL: (MEMORY, "killed with SIGKILL, as the kernel does to free memory"),
    signal.SIGBUS: (MEMORY, "ended by SIGBUS, as happens when shared memory is full"),
    signal.SIGFPE: (DEVICE, "ended by a floating point exception"),
    signal.SIGILL: (UNKNOWN, "ended by SIGILL, as when a package was built for another processor"),
    signal.SIGSEGV: (UNKNOWN, "ended by a segmentation fault"),
    signal.SIGABRT: (UNKNOWN, "ended by an abort"),
    signal.SIGTERM: (UNKNOWN, "ended by SIGTERM, as a batch system or a person does"),
}
#: What a shell ends with.
_SHELL = {126: "a program may not be executed", 127: "a program was not found"}


@dataclass(frozen=True)
class Verdict:
    """What a failure is.

    Attributes:
        kind: Its kind.
        root: The words that came first; None if no log has them.
        why: Them, or what the process itself or its exit code says, on one line.
        cascade: What processes said because others had failed.
        teardown: What was said while everything was put away.
        fix: What helps, as sentences.
        special: Whether a new start can help, where it is another thing than with its kind.
    """

    kind: Kind
    root: Cause | None
    why: str
    cascade: tuple[Cause, ...] = ()
    teardown: tuple[Cause, ...] = ()
    fix: str = ""
    special: Again | None = None

    @property
    def again(self) -> Again:
        """Whether a new start can help."""
        return self.special or self.kind.again


def judge(lines: Iterable[str], code: int | None = None, why: str = "", hung: bool = False) -> Verdict:
    """Judges the end of a stage.

    Args:
        lines: Its log.
        code: Its exit code, negative for a signal; None if it did not end by itself.
        why: The exception that ended its own process, on one line; empty if there was none.
        hung: Whether it was ended because nothing moved any more.
    """
    found = findings(lines)
    root = _root([one for one in found if one.role == ROOT])
    cascade = [one for one in found if one.role != TEARDOWN and one is not root]
    teardown = [one for one in found if one.role == TEARDOWN]
    kind = kind_of(root) if root else UNKNOWN
    if hung and kind is UNKNOWN:
        return _verdict(HANG, root, "nothing moved any more", cascade, teardown)
    if kind is UNKNOWN and (told := sign_of(why)) and told.role == ROOT:
        return _verdict(told.kind, root, why, cascade, teardown)
    if root is None and cascade:
        root = next((one for one in cascade if kind_of(one) is not UNKNOWN), cascade[0])
        cascade.remove(root)
        kind = kind_of(root)
    if root is None:
        kind, words = _of_code(code)
        return _verdict(kind, None, why or words, cascade, teardown)
    return _verdict(kind, root, root.error, cascade, teardown)


def judge_mistake(said: str) -> Verdict:
    """Judges what a stage told as a mistake of the user's: a setting, unless its words tell otherwise."""
    sign = sign_of(said)
    kind = sign.kind if sign and sign.role == ROOT else CONFIGURATION
    return Verdict(kind, None, said, fix=(sign.fix if sign and sign.fix else kind.fix))


def kind_of(cause: Cause) -> Kind:
    """By its words, if they say what it is wherever they stand; by where the code lies; by its words."""
    sign, place = sign_of(cause.error), place_of(cause.frames)
    if sign and (sign.strong or sign.role != ROOT):
        return sign.kind
    if place is not None and (sign is None or not _names_its_own(sign.kind, place)):
        return place
    return sign.kind if sign else UNKNOWN


def _names_its_own(said: Kind, place: Kind) -> bool:
    """Whether the words tell more than the place: code that reads settings or data is used everywhere."""
    return place.name in ("configuration", "data")


def _root(roots: Sequence[Cause]) -> Cause | None:
    """The first one; where nothing is known of it, the first of which something is known for certain.

    What stands in no traceback and could be harmless counts where nothing else is known.
    """
    firm = [one for one in roots if not one.loose]
    loose = [one for one in roots if one.loose]
    first = next(iter([*firm, *loose]), None)
    if first is None or kind_of(first) is not UNKNOWN:
        return first
    certain = [one for one in roots if (sign := sign_of(one.error)) and sign.strong]
    return next(iter([*certain, *(one for one in loose if kind_of(one) is not UNKNOWN)]), first)


def _of_code(code: int | None) -> tuple[Kind, str]:
    if code is None or code == 0:
        return UNKNOWN, "it ended without a message"
    number = -code if code < 0 else code - 128
    for known, (kind, words) in _CODES.items():
        if number == known:
            return kind, f"its process was {words} (exit code {code})"
    if code in _SHELL:
        return CONFIGURATION, f"{_SHELL[code]} (exit code {code})"
    return UNKNOWN, f"its process ended with code {code} and no message"


def _verdict(
    kind: Kind, root: Cause | None, why: str, cascade: Sequence[Cause], teardown: Sequence[Cause]
) -> Verdict:
    fix = (root.fix if root else "") or kind.fix
    sign = sign_of(root.error if root else why)
    special = sign.again if sign and sign.kind is kind else None
    return Verdict(kind, root, why, tuple(cascade), tuple(teardown), fix, special)


__all__ = ["CASCADE", "ROOT", "TEARDOWN", "Verdict", "judge", "judge_mistake", "kind_of"]
