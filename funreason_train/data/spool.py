"""Kept conversations on disk: written once while reading, read back in any order while exporting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from ..calls.types import Call
from ..dialogue.messages import AssistantStep, Trajectory, Turn


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
        lengths: (prompt, target) tokens of each step; empty when they were not measured.
        dropped: Numbers of the steps that are too long.
    """

    source: str
    key: str
    position: str
    offset: int
    size: int
    steps: int
    lengths: list[tuple[int, int]] = field(default_factory=list)
    dropped: frozenset[int] = frozenset()


class Spool:
    """Appends trajectories to a file and reads any of them back.

    Args:
        path: The file, which is made and, on leaving the context, removed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Spool:
        self._file = self._path.open("w+b")
        self._end = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def append(self, trajectory: Trajectory, key: str, position: str) -> Kept:
        """Stores a trajectory.

        Raises:
            ValueError: if it holds a number that JSON lacks.
        """
        data = json.dumps(to_json(trajectory), ensure_ascii=False, allow_nan=False).encode("utf-8")
        steps = sum(len(turn.steps) for turn in trajectory.turns)
        kept = Kept(trajectory.source, key, position, self._end, len(data), steps)
        self._file.seek(self._end)
        self._file.write(data)
        self._end += len(data)
        return kept

    def read(self, kept: Kept) -> Trajectory:
        """The stored trajectory."""
        self._file.seek(kept.offset)
        return from_json(json.loads(self._file.read(kept.size)))
