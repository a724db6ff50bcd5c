"""Kept conversations on disk: written once while reading, read back in any order while exporting."""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from ..calls.types import Call
from ..dialogue.messages import AssistantStep, Trajectory, Turn

Calls = tuple[tuple[int, ...], ...]


def body(trajectory: Trajectory) -> bytes:
    """All that a conversation says, whatever its source and id: equal conversations make equal bytes.

    `marshal` writes Python's plain values several times faster than JSON and keeps integers of any size; only
    the process that wrote the file and its own workers read it. Format 2 knows no references.

    Raises:
        ValueError: if it holds anything but plain values.
    """
    turns = [
        (
            turn.user,
            [
                (
                    step.thought,
                    [(call.name, dict(call.arguments)) for call in step.calls],
                    step.text,
                    tuple(step.results),
                )
                for step in turn.steps
            ],
        )
        for turn in trajectory.turns
    ]
    return marshal.dumps((trajectory.system, list(trajectory.tools), turns), 2)


def encode(trajectory: Trajectory, said: bytes | None = None) -> bytes:
    """A trajectory as the spool holds it; `decode` is the inverse.

    Args:
        trajectory: The conversation.
        said: Its `body`, where that has been made already.

    Raises:
        ValueError: see `body`.
    """
    said = body(trajectory) if said is None else said
    return marshal.dumps((trajectory.id, trajectory.source, dict(trajectory.meta), said), 2)


def decode(data: bytes, id: str | None = None) -> Trajectory:
    """The trajectory that `encode` wrote, under another id if one is given."""
    own, source, meta, said = marshal.loads(data)
    system, tools, turns = marshal.loads(said)
    return Trajectory(
        own if id is None else id,
        source,
        tuple(tools),
        tuple(
            Turn(
                user,
                tuple(
                    AssistantStep(thought, tuple(Call(*call) for call in calls), text, results)
                    for thought, calls, text, results in steps
                ),
            )
            for user, steps in turns
        ),
        system,
        meta,
    )


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
        digest: Hash of what it says, for finding the same again.
        content: Hash of all that the exports show of it.
        signature: See `near.signature`; empty where near-duplicates are not looked for.
        links: See `chains.links`; empty once rows have been compared.
        absorbed: Rows that are beginnings of this one.
        lengths: (prompt, target) tokens of each step; empty when they were not measured.
        dropped: Numbers of the steps that are too long.
        untrained: Numbers of the steps that are history alone.
        shared: Of these, those that another conversation trains on (see `branches.shared`).
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
    digest: bytes = b""
    links: bytes = b""
    absorbed: tuple[Kept, ...] = ()
    lengths: list[tuple[int, int]] = field(default_factory=list)
    dropped: frozenset[int] = frozenset()
    task: bool = False
    untrained: frozenset[int] = frozenset()
    shared: frozenset[int] = frozenset()

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
            yield decode(file.read(one.size), one.id)
