"""Kept conversations on disk: written once while reading, read back in any order while exporting."""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ..calls.types import Call
from ..dialogue.messages import AssistantStep, Trajectory, Turn

Calls = tuple[tuple[int, ...], ...]


def to_json(trajectory: Trajectory) -> dict[str, Any]:
    """A trajectory as a JSON object; `from_json` is the inverse."""
    return {
        "id": trajectory.id,
        "source": trajectory.source,
        "system": trajectory.system,
        "tools": list(trajectory.tools),
        "turns": [
            {
                "user": turn.user,
                "steps": [
                    {
                        "thought": step.thought,
                        "calls": [call.to_json() for call in step.calls],
                        "text": step.text,
                        "results": list(step.results),
                    }
                    for step in turn.steps
                ],
            }
            for turn in trajectory.turns
        ],
        "meta": dict(trajectory.meta),
    }


def from_json(value: Mapping[str, Any]) -> Trajectory:
    """The trajectory that `to_json` wrote."""
    return Trajectory(
        id=value["id"],
        source=value["source"],
        tools=tuple(value["tools"]),
        turns=tuple(
            Turn(
                turn["user"],
                tuple(
                    AssistantStep(
                        step["thought"],
                        tuple(map(Call.from_json, step["calls"])),
                        step["text"],
                        tuple(step["results"]),
                    )
                    for step in turn["steps"]
                ),
            )
            for turn in value["turns"]
        ),
        system=value["system"],
        meta=value["meta"],
    )


def encode(trajectory: Trajectory) -> bytes:
    """A trajectory as the spool holds it.

    `marshal` writes Python's plain values several times faster than JSON and keeps integers of any size; only
    the process that wrote the file and its own workers read it. Format 2 knows no references, so equal
    conversations make equal bytes.

    Raises:
        ValueError: if it holds anything but plain values.
    """
    return marshal.dumps(to_json(trajectory), 2)


@dataclass
class Kept:
    """What stays in memory of a kept conversation.

    Attributes:
        source: The data set's name.
        key: Hash of what the conversation opens with; decides its side of the split.
        position: Where the row was read.
        offset: Where it lies in the spool.
        size: How many bytes it takes there.
        steps: How many assistant responses it has.
        id: Unique within its source.
        closing: Numbers of the steps that are closing replies (see `steps.Cut`).
        calls: How many gold calls each response of each turn makes.
        content: Hash of all that the exports show of it.
        signature: See `near.signature`; empty where near-duplicates are not looked for.
        lengths: (prompt, target) tokens of each step; empty when they were not measured.
        dropped: Numbers of the steps that are too long.
        untrained: Numbers of the steps that are history alone.
        task: Whether it is an executable task as well.
    """

    source: str
    key: str
    position: str
    offset: int
    size: int
    steps: int
    id: str = ""
    closing: frozenset[int] = frozenset()
    calls: Calls = ()
    content: bytes = b""
    signature: bytes = b""
    lengths: list[tuple[int, int]] = field(default_factory=list)
    dropped: frozenset[int] = frozenset()
    task: bool = False
    untrained: frozenset[int] = frozenset()

    @property
    def trained(self) -> list[int]:
        """Numbers of the steps that are exported, in order."""
        return [n for n in range(self.steps) if n not in self.dropped and n not in self.untrained]


class Spool:
    """Appends trajectories to a file, from which any process reads them back.

    Args:
        path: The file, which is made and, on leaving the context, removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Spool:
        self._file = self.path.open("wb")
        self._end = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def append(self, data: bytes) -> int:
        """Stores an encoded trajectory and returns where it lies."""
        self._file.write(data)
        self._end += len(data)
        return self._end - len(data)

    def flush(self) -> None:
        """Makes what has been appended readable."""
        self._file.flush()

    def read(self, kept: Kept) -> Trajectory:
        """The stored trajectory."""
        self.flush()
        return next(read_spool(self.path, [kept]))


def read_spool(path: Path, kept: Iterable[Kept]) -> Iterator[Trajectory]:
    """Conversations of a spool that has been flushed, each under its unique id.

    Args:
        path: The spool's file.
        kept: Which ones, in any order.
    """
    with path.open("rb") as file:
        for one in kept:
            file.seek(one.offset)
            yield replace(from_json(marshal.loads(file.read(one.size))), id=one.id)
