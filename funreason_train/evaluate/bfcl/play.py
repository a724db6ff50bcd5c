"""Answering entries with a model: prompts out of bfcl-eval's flow, completions back into it."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...dialogue import Message
from ..serve.generate import Generated, Generator, Sampling
from .client import HostClient, HostFailed

Render = Callable[[list[Message]], str]
Encode = Callable[[str], list[int]]


class Feed(Protocol):
    """A model and the host's messages, waited for together."""

    def submit(self, key: str, prompt: list[int], sampling: Sampling) -> None:
        """Asks for one completion; see `Generator`."""

    def collect(self, waiting: bool) -> list[Any]:
        """What has come since: `Generated`, or the host's `(id, message)`; waits for something unless the
        model itself is at work. `waiting` says whether completions are outstanding."""


class QueueFeed:
    """For an endpoint whose completions come to the same queue as the host's messages."""

    def __init__(self, generator: Any, events: queue.SimpleQueue[Any]) -> None:
        self._generator, self._events = generator, events

    def submit(self, key: str, prompt: list[int], sampling: Sampling) -> None:
        """See `Feed`."""
        self._generator.submit(key, prompt, sampling)

    def collect(self, waiting: bool) -> list[Any]:
        """See `Feed`.

        Raises:
            Exception: what went wrong with a request.
        """
        found = _drain(self._events, wait=True)
        for item in found:
            if isinstance(item, Exception):
                raise RuntimeError(f"the endpoint: {item}") from item
        return found


class EngineFeed:
    """For an engine in this process, which works while it is asked."""

    def __init__(self, generator: Generator, events: queue.SimpleQueue[Any]) -> None:
        self._generator, self._events = generator, events

    def submit(self, key: str, prompt: list[int], sampling: Sampling) -> None:
        """See `Feed`."""
        self._generator.submit(key, prompt, sampling)

    def collect(self, waiting: bool) -> list[Any]:
        """See `Feed`."""
        done: list[Any] = list(self._generator.collect()) if waiting else []
        return done + _drain(self._events, wait=not waiting)


def _drain(events: queue.SimpleQueue[Any], wait: bool) -> list[Any]:
    found = [events.get()] if wait else []
    while not events.empty():
        found.append(events.get())
    return found


@dataclass
class _Playing:
    """An entry under way: its conversation, and what was asked and answered."""

    messages: list[Message] = field(default_factory=list)
    prompt: str = ""
    completions: list[str] = field(default_factory=list)
    tokens: int = 0
    cut_off: int = 0


def play_entries(
    names: Sequence[str],
    needs: dict[str, set[str]],
    host: HostClient,
    feed: Feed,
    render: Render,
    encode: Encode,
    sampling: Sampling,
    concurrency: int,
) -> Iterator[dict[str, Any]]:
    """Plays entries, `concurrency` of them at a time, and yields each one's row as it ends.

    Args:
        names: Ids of the entries, in the order in which to begin them.
        needs: Which of them must be finished before an entry begins.
        host: Holds the entries; its messages go to the feed.
        feed: The model and the host.
        render: Messages to the prompt's text: `render_prompt` with the model's tokenizer.
        encode: The prompt's text to token ids, nothing added.
        sampling: How completions are drawn.
        concurrency: Most entries at a time.

    Yields:
        The host's `done` (see `host`) with `prompt`, `completions`, `tokens` and `cut_off` (completions that
        ran into their limit).

    Raises:
        HostFailed: bfcl-eval's process ended.
    """
    open_needs = {name: set(needs.get(name, ())) & set(names) for name in names}
    ready = deque(name for name in names if not open_needs[name])
    blocked = [name for name in names if open_needs[name]]
    playing: dict[str, _Playing] = {}
    asked = 0

    def ask(name: str, now: _Playing) -> int:
        """Submits the next prompt; the number of completions asked for."""
        now.prompt = render(now.messages)
        ids = encode(now.prompt)
        if sampling.room(len(ids)) < 1:
            host.stop(name, f"prompt_too_long: {len(ids)} tokens of {sampling.max_model_tokens}")
            return 0
        feed.submit(f"{name}/{len(now.completions) + 1}", ids, sampling)
        return 1

    while ready or playing:
        while ready and len(playing) < concurrency:
            name = ready.popleft()
            playing[name] = _Playing()
            host.open(name)
        for item in feed.collect(asked > 0):
            if isinstance(item, Generated):
                asked -= 1
                name = item.key.rpartition("/")[0]
                now = playing[name]
                now.completions.append(item.text)
                now.tokens += item.tokens
                now.cut_off += item.finish == "length"
                host.answer(name, item.text)
                continue
            name, message = item
            if message is None:
                raise HostFailed("bfcl-eval's process ended")
            now = playing[name]
            if "ask" in message:
                now.messages.extend(message["ask"])
                asked += ask(name, now)
                continue
            del playing[name]
            yield {
                **message["done"],
                "prompt": now.prompt,
                "completions": now.completions,
                "tokens": now.tokens,
                "cut_off": now.cut_off,
            }
            still: list[str] = []
            for other in blocked:
                open_needs[other].discard(name)
                (still if open_needs[other] else ready).append(other)
            blocked = still
    if blocked:
        raise ValueError(f"{blocked[0]} waits for an entry that waits for it")
