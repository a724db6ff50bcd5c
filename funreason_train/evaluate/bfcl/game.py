"""BFCL's entries as games: prompts out of bfcl-eval's flow, completions back into it."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ...dialogue import Message
from ...environments.sandbox.limits import CallLimits
from .client import HostClient, HostFailed
from .entries import EntryOptions


@dataclass(frozen=True)
class BfclGames:
    """What a replica has to know to play entries.

    Attributes:
        python: The interpreter of bfcl-eval's environment.
        entries: Which entries there are; `memory` is each model's own.
        limits: What one call, or checking one answer, may take, and the calls of one entry may add.
        needs: Which entries must be finished before an entry begins.
    """

    python: str
    entries: EntryOptions
    limits: CallLimits
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> BfclGames:
        """The inverse of `dataclasses.asdict`."""
        entries = value["entries"]
        options = EntryOptions(**{**entries, "categories": tuple(entries["categories"])})
        return cls(**{**value, "entries": options, "limits": CallLimits(**value["limits"])})

    @contextmanager
    def host(self, memory: str, messages: queue.SimpleQueue[Any]) -> Iterator[HostClient]:
        """A running host.

        Args:
            memory: Folder of the memory categories' snapshots.
            messages: Where its messages are put.
        """
        options = replace(self.entries, memory=memory)
        with HostClient(self.python, options, self.limits, messages) as client:
            yield client


class BfclGame:
    """An entry as a `Game`; its calls are executed and judged in the host.

    Args:
        name: The entry's id.
        host: Holds it.
    """

    def __init__(self, name: str, host: HostClient) -> None:
        self.id, self._host = name, host
        self.ready = False
        self._messages: list[Message] = []
        self._row: dict[str, Any] | None = None
        self._completions: list[str] = []
        self._prompt: str | None = None  # one that could not be asked

    @property
    def done(self) -> bool:
        """Whether it is judged."""
        return self._row is not None

    def begin(self) -> None:
        """Begins the entry."""
        self._host.open(self.id)

    def messages(self) -> list[Message]:
        """The conversation so far."""
        return self._messages

    def receive(self, completion: str) -> None:
        """Hands the completion over."""
        self.ready = False
        self._completions.append(completion)
        self._host.answer(self.id, completion)

    def take(self, message: Mapping[str, Any]) -> None:
        """Takes what comes next in the conversation, or the verdict."""
        self.ready = True
        if "ask" in message:
            self._messages.extend(message["ask"])
        else:
            self._row = dict(message["done"])

    def stop(self, reason: str, prompt: str) -> None:
        """Gives the entry up; its verdict follows."""
        self.ready = False
        self._prompt = prompt
        self._host.stop(self.id, reason)

    def record(self, asked: list[dict[str, Any]]) -> dict[str, Any]:
        """The host's row with `prompt` (the last one), `completions`, `tokens` and `cut_off`: how many
        completions ran into their limit.
        """
        assert self._row is not None
        last = asked[-1]["prompt"] if asked else ""
        return {
            **self._row,
            "prompt": last if self._prompt is None else self._prompt,
            "completions": self._completions,
            "tokens": sum(one.get("tokens", 0) for one in asked),
            "cut_off": sum(one.get("finish") == "length" for one in asked),
        }


__all__ = ["BfclGame", "BfclGames", "HostFailed"]
