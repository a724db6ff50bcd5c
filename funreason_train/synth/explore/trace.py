"""What was executed: calls with their answers, and where each argument came from."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...calls import Call
from ...environments import Environment, Result

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Source:
    """Where the value of an argument came from.

    Attributes:
        kind: `result` (of an earlier call), `state` (of the world, so the user may know it), `enum`,
            `example` or `made` (from the schema).
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


def fingerprint(environment: Environment) -> bytes:
    """A digest of the state, to see whether a call changed it.

    Raises:
        ValueError: the state cannot be read.
    """
    return hashlib.blake2b(marshal.dumps(environment.snapshot(), 2), digest_size=16).digest()


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every scalar of a JSON value with its path."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from leaves(one, (*path, str(key)))
    elif isinstance(value, (list, tuple)):
        for number, one in enumerate(value):
            yield from leaves(one, (*path, number))
    else:
        yield path, value


def traits(record: Any) -> tuple[str, ...]:
    """The words by which a record says what kind it is, or in which state: `status=open`."""
    if not isinstance(record, Mapping):
        return ()
    return tuple(
        f"{key}={value}"
        for key, value in record.items()
        if isinstance(value, bool)
        or (isinstance(value, str) and len(value) < 24 and value.replace("_", "").replace("-", "").isalpha())
    )


def pattern(path: Path) -> str:
    """A path with `*` for every place in a list: `flights/*/price`."""
    return "/".join("*" if isinstance(part, int) else part for part in path)


def at(value: Any, path: Path) -> Any:
    """What stands at a path of a JSON value.

    Raises:
        KeyError, IndexError, TypeError: nothing does.
    """
    for part in path:
        value = value[part]
    return value
