"""The question for the right name: which known one a wrong one was meant to be."""

from __future__ import annotations

from collections.abc import Iterable


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that does not exist, with the nearest one that does.

    Args:
        kind: What it should name (`setting`, `recipe`, …).
        name: As the user wrote it.
        known: What there is.
    """
    known = list(dict.fromkeys(known))
    if near := nearest(name, known):
        return f"there is no {kind} '{name}'; did you mean '{near}'?"
    listed = f" (there are: {', '.join(known)})" if 0 < len(known) <= 12 else ""
    return f"there is no {kind} '{name}'{listed}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant, or None; one in the same section rather than another."""
    import difflib

    known = list(known)
    section, _, tail = name.rpartition(".")
    short = [key for key in known if _initials(key.split(".")[-1]) == tail]
    short.sort(key=lambda key: key.rpartition(".")[0] != section)
    near = short[:1] or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if not near:  # a wrong section or a forgotten one: compare the last part alone
        near = [key for key in known if key.split(".")[-1] == tail][:1]
        near = near or difflib.get_close_matches(tail, known, n=1, cutoff=0.6)
    return near[0] if near else None


def _initials(key: str) -> str:
    """What people call `learning_rate`; empty for a single word."""
    words = key.split("_")
    return "".join(word[:1] for word in words) if len(words) > 1 else ""
