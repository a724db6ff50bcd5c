"""What an environment is: tools over a state, played call by call, where even a wrong call only answers.

This is the one interface between those who make calls (synthesis, rollouts, evaluation, a server) and what
executes them: this project's worlds (`tables`), any Python class (`objects`), BFCL's classes (`bfcl`).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from ..calls import Call
from ..errors import UserError

SHOWN = ("name", "description", "parameters")
"""The keys of a tool's document that a model is shown."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_MISSING = "missing"


@dataclass(frozen=True)
class Result:
    """What one call answered.

    Attributes:
        text: What the caller sees. A lone surrogate, which no file can hold, stands here as its escape.
        ok: Whether the call did what it was asked to; false for every kind of failure.
        value: The JSON value that the text shows, if there is one.
    """

    text: str
    ok: bool
    value: Any = field(default=None, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _writable(self.text))


class Environment(ABC):
    """Tools over a state that nothing else changes.

    An environment is made without arguments and is in some empty state until `reset`. One instance plays one
    conversation at a time; several instances never see each other's changes.

    Attributes:
        name: The name in the registry.
        fault: Why the environment itself has failed (a server that died or does not answer), not the caller's
            call; None while all is well. A conversation with a fault counts for nothing: neither as right nor
            as wrong.
    """

    name: ClassVar[str]
    fault: str | None = None

    @abstractmethod
    def reset(self, config: Mapping[str, Any]) -> None:
        """Starts from a configuration, a JSON object; equal configurations start equal conversations.

        Raises:
            ValueError: The configuration is not one of this environment's.
        """

    @abstractmethod
    def tools(self) -> list[dict[str, Any]]:
        """Every tool's document, in a fixed order.

        Returns:
            One `{"name", "description", "parameters": JSON schema of type object}` a tool. Two keys may be
            there besides, which no model is shown: `requires`, the names of the tools of which each must have
            succeeded before; and `returns`, the JSON schema of the value of a successful call.
        """

    def left_out(self) -> dict[str, str]:
        """Tools that are there and that `tools` does not offer, each with the reason."""
        return {}

    @abstractmethod
    def call(self, call: Call) -> Result:
        """Executes one call. It never raises: whatever goes wrong is an answer with `ok` false.

        A failed call changes nothing in this project's own worlds.
        """

    @abstractmethod
    def snapshot(self) -> Any:
        """The state as a JSON value that later calls do not change.

        Raises:
            ValueError: The state cannot be read.
        """

    def compare(self, other: Any) -> list[str]:
        """How this state differs from another snapshot: one sentence a place; empty when they are equal."""
        try:
            mine = self.snapshot()
        except ValueError as error:
            return [str(error)]
        return [
            f"{place or 'the state'} is {brief(one)}, not {brief(two)}"
            for place, one, two in differences(mine, other)
        ]

    def close(self) -> None:  # noqa: B027 - most environments hold nothing that has to be let go
        """Lets go of processes and files; nothing else is called after it. May be called twice."""

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """A configuration to start from, drawn at random; the same draws give the same one.

        Args:
            random: Where everything that is drawn comes from.
            size: About how many records of each kind there are, at least 1.

        Raises:
            UserError: This environment cannot make one.
        """
        raise UserError(
            f"the environment {cls.name} makes no starting configurations of its own",
            fix="Give one, or add a `scenario(random, size)` to the environment's class",
        )


def shown(document: Mapping[str, Any]) -> dict[str, Any]:
    """A tool's document as a model is shown it."""
    return {key: document[key] for key in SHOWN if key in document}


def differences(mine: Any, theirs: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two JSON values differ, as `PLACE/PLACE`, the one and the other; objects are walked into."""
    if not (isinstance(mine, Mapping) and isinstance(theirs, Mapping)):
        if mine != theirs:
            yield place, mine, theirs
        return
    for key in dict.fromkeys([*mine, *theirs]):
        inner = f"{place}/{key}" if place else str(key)
        yield from differences(mine.get(key, _MISSING), theirs.get(key, _MISSING), inner)


def brief(value: Any, most: int = 200) -> str:
    """A value as one line for a sentence, cut at `most` characters; total over whatever a model wrote."""
    try:
        text = " ".join(str(value).split())
    except (ValueError, RecursionError):  # a number or a nesting that Python does not write
        return f"a {type(value).__name__} too large to be shown"
    return _writable(text if len(text) <= most else text[: most - 1] + "…")


def _writable(text: str) -> str:
    """A text that every file can hold: lone surrogates as their escapes."""
    if text.isascii():
        return text
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
