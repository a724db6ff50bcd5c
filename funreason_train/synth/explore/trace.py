"""What was executed: calls with their answers, and where each argument came from."""

from __future__ import annotations

import hashlib
import marshal
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ...calls import Call
from ...environments import Environment, Result
from ...environments.tables import TableWorld

Path = tuple[str | int, ...]

_ID = re.compile(r"\d{3}")


@dataclass(frozen=True)
class Source:
    """Where the value of an argument came from.

    Attributes:
        kind: `result` (of an earlier call), `state` (of the world, so the user may know it), `said` (given to
            an earlier call by the user), `enum`, `example` or `made` (from the schema).
        label: What is remembered of it: `TOOL/FIELD` of a result, `TABLE/*` or `TABLE/*/FIELD` of a state.
        step: The number of the call in the conversation whose result it is.
        path: Where it stands in that result.
        key: Whether it names a record, as ids do.
        traits: What the record it stands in says of itself, `FIELD=WORD` each.
    """

    kind: str
    label: str = ""
    step: int = -1
    path: Path = ()
    key: bool = False
    traits: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}:{self.label}" if self.label else self.kind


@dataclass(frozen=True)
class Executed:
    """One call as it was executed.

    Attributes:
        call: The call.
        result: What it answered.
        changed: Whether the state is another after it.
        sources: Argument, as a dotted path, to where its value came from.
        number: Its place among the conversation's successful calls.
    """

    call: Call
    result: Result
    changed: bool
    sources: Mapping[str, Source] = field(default_factory=dict)
    number: int = -1

    @cached_property
    def answered(self) -> list[tuple[Path, Any]]:
        """Every scalar of the answer with its path."""
        return leaves(self.result.value)


def fingerprint(environment: Environment) -> bytes:
    """A digest of the state, to see whether a call changed it.

    Raises:
        ValueError: the state cannot be read.
    """
    # Of this project's own worlds no copy is needed for it.
    state = environment.state if isinstance(environment, TableWorld) else environment.snapshot()
    return hashlib.blake2b(marshal.dumps(state, 2), digest_size=16).digest()


def leaves(value: Any) -> list[tuple[Path, Any]]:
    """Every scalar of a JSON value with its path."""
    found: list[tuple[Path, Any]] = []
    _leaves(value, (), found)
    return found


def _leaves(value: Any, path: Path, found: list[tuple[Path, Any]]) -> None:
    kind = type(value)  # asked first, since nearly all of them are one of these
    if kind is str or kind is int or kind is float or kind is bool or value is None:
        found.append((path, value))
    elif kind is dict or isinstance(value, Mapping):
        for key, one in value.items():
            _leaves(one, (*path, str(key)), found)
    elif isinstance(value, (list, tuple)):
        for number, one in enumerate(value):
            _leaves(one, (*path, number), found)
    else:
        found.append((path, value))


def named_scalars(arguments: Any) -> list[tuple[str, Any]]:
    """Every scalar of a call's arguments under its dotted path, without places in lists."""
    return [
        (".".join(str(part) for part in path if not isinstance(part, int)), value)
        for path, value in leaves(arguments)
    ]


def is_same(found: Any, value: Any) -> bool:
    """Whether a value of an answer is the one that an argument has: of the same type, or a whole number that
    the argument writes as text, as ids are that one tool shows as 42 and another wants as "42"."""
    if type(found) is type(value):
        return bool(found == value)
    return type(value) is str and type(found) is int and str(found) == value


def traits(record: Any, optional: Iterable[str] = ()) -> tuple[str, ...]:
    """The words by which a record says what kind it is, or in which state: `status=open`, `refills=+`.

    Args:
        record: An object of an answer or the state, or a call's arguments.
        optional: What may be left out of it, which says something as well.
    """
    if not isinstance(record, Mapping):
        return ()
    found = [
        f"{key}={value}"
        for key, value in record.items()
        if isinstance(value, bool)
        or (isinstance(value, str) and len(value) < 24 and value.replace("_", "").replace("-", "").isalpha())
    ]
    found += [
        f"{key}={'+' if value > 0 else '-' if value < 0 else '0'}"
        for key, value in record.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    return (*found, *(f"{key}=none" for key in optional if key not in record))


def free(executed: Executed) -> dict[str, list[Any]]:
    """What decided a call and was chosen freely: argument -> `["is", value]` of options and numbers, or
    `["from", source]` of values that an answer or the state holds; texts that were made up are left out."""
    found: dict[str, list[Any]] = {}
    for name, value in executed.call.arguments.items():
        source = executed.sources.get(name)
        if source is None:
            continue
        if source.kind in ("result", "state"):
            found[name] = ["from", str(source)]
        elif source.kind in ("enum", "example") or isinstance(value, (int, float)):
            listed = isinstance(value, list) and all(isinstance(one, str) for one in value)
            found[name] = ["is", sorted(value) if listed else value]
    return found


def pattern(path: Path) -> str:
    """A path with `*` for every place in a list and every key that is an id: `flights/*/price`."""
    return "/".join("*" if isinstance(part, int) or _ID.search(part) else part for part in path)


def at(value: Any, path: Path) -> Any:
    """What stands at a path of a JSON value.

    Raises:
        KeyError, IndexError, TypeError: nothing does.
    """
    for part in path:
        value = value[part]
    return value
