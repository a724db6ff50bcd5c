"""The loop that keeps a model busy: many games at a time, each asking for one completion after another."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..dialogue import Message
from ..plain import json_text
from .serve.generate import Generated, Generator, Sampling

Render = Callable[[list[Message]], str]
Encode = Callable[[str], list[int]]


class Game(Protocol):
    """One task on the way to its verdict.

    A game whose calls are executed elsewhere is not `ready` until its next message has come.
    """

    @property
    def id(self) -> str:
        """Unique among the games of one call."""

    @property
    def ready(self) -> bool:
        """Whether `done` and `messages` say what comes next."""

    @property
    def done(self) -> bool:
        """Whether no further completion is wanted."""

    def begin(self) -> None:
        """Called once, before anything is asked of it."""

    def messages(self) -> list[Message]:
        """The prompt of the next completion."""

    def receive(self, completion: str) -> None:
        """Takes the completion of `messages()`."""

    def take(self, message: Any) -> None:
        """Takes a message from where its calls are executed."""

    def stop(self, reason: str, prompt: str) -> None:
        """Ends it before its next completion.

        Args:
            reason: Why it cannot go on, `slug: detail`.
            prompt: What would have been asked.
        """

    def record(self, asked: list[dict[str, Any]]) -> dict[str, Any]:
        """The game that is done as one row of `episodes.jsonl`; see `play`.

        Args:
            asked: `{"prompt", "prompt_tokens", "tokens", "finish"}` of each completion.
        """


class PlainGame:
    """What a game needs that is always ready: its calls are executed here, while it receives."""

    ready = True

    def begin(self) -> None:
        """See `Game`."""

    def take(self, message: Any) -> None:
        """See `Game`."""
        raise ValueError("this game has no messages")


@dataclass
class _Running:
    """A game that waits for a completion, and what it asked so far."""

    game: Game
    asked: list[dict[str, Any]]


def play(
    games: Iterable[Game],
    generator: Generator,
    render: Render,
    encode: Encode,
    sampling: Sampling,
    concurrency: int,
    messages: queue.SimpleQueue[Any] | None = None,
    needs: Mapping[str, Collection[str]] | None = None,
) -> Iterator[dict[str, Any]]:
    """Plays games, `concurrency` of them at a time, and yields each one's record as it ends.

    The same games in the same order make the same batches, so greedy runs repeat to the letter.

    Args:
        games: What to play.
        generator: The model; it may put its completions on `messages`, which is then its `inbox`.
        render: Messages to the prompt's text: `render_prompt` with the model's tokenizer.
        encode: The prompt's text to token ids, nothing added.
        sampling: How completions are drawn.
        concurrency: Most games at a time.
        messages: Where `(game's id, message)` of games that are not always ready arrive.
        needs: Game's id to those of the games that must be done before it begins.

    Yields:
        `{"id", "category", "right", "reasons", "turns": [{"user", "gold", "reasons", "responses": [{"prompt",
        "prompt_tokens", "completion", "tokens", "finish", "calls", "results", "ok"}]}], "unjudged": […]}`;
        the first reason (`turn N: slug: detail`) is what went wrong first.

    Raises:
        ValueError: two games have the same id, or each of two waits for the other.
        RuntimeError: the process that executes the calls ended.
    """
    every = list(games)
    missing = {game.id: set((needs or {}).get(game.id, ())) & {other.id for other in every} for game in every}
    waiting = deque(game for game in every if not missing[game.id])
    blocked = [game for game in every if missing[game.id]]
    running: dict[str, _Running] = {}
    asked = 0

    def advance(now: _Running) -> dict[str, Any] | None:
        """Submits the next prompt of a game that is ready; its record if it is done."""
        nonlocal asked
        while now.game.ready:
            if now.game.done:
                return now.game.record(now.asked)
            prompt = render(now.game.messages())
            ids = encode(prompt)
            if sampling.room(len(ids)) >= 1:
                now.asked.append({"prompt": prompt, "prompt_tokens": len(ids)})
                generator.submit(f"{now.game.id}/{len(now.asked)}", ids, sampling)
                asked += 1
                return None
            now.game.stop(f"prompt_too_long: {len(ids)} tokens of {sampling.max_model_tokens}", prompt)
        return None

    def finish(name: str) -> None:
        """Lets those begin that waited for this game."""
        nonlocal blocked
        del running[name]
        still: list[Game] = []
        for game in blocked:
            missing[game.id].discard(name)
            (still if missing[game.id] else waiting).append(game)
        blocked = still

    while waiting or running:
        while waiting and len(running) < concurrency:
            game = waiting.popleft()
            if game.id in running:
                raise ValueError(f"two tasks have the id {game.id}")
            running[game.id] = now = _Running(game, [])
            game.begin()
            if (over := advance(now)) is not None:
                finish(game.id)
                yield over
        for item in _progress(generator, messages, asked) if running else ():
            if isinstance(item, Generated):
                asked -= 1
                name = item.key.rpartition("/")[0]
                now = running[name]
                now.asked[-1] |= {"tokens": item.tokens, "finish": item.finish}
                now.game.receive(item.text)
            else:
                name, message = item
                if message is None:
                    raise RuntimeError("the process that executes the calls ended")
                now = running[name]
                now.game.take(message)
            if (over := advance(now)) is not None:
                finish(name)
                yield over
    if blocked:
        raise ValueError(f"{blocked[0].id} waits for a task that waits for it")


def _progress(generator: Generator, messages: queue.SimpleQueue[Any] | None, asked: int) -> list[Any]:
    """What has come since: completions and messages; waits for one of them."""
    if messages is None:
        return list(generator.collect())
    if getattr(generator, "inbox", None) is messages:  # completions come there as well
        return list(generator.collect())
    # An engine in this process works while it is asked, and nothing is lost by looking in between.
    found: list[Any] = list(generator.collect()) if asked else [messages.get()]
    while not messages.empty():
        found.append(messages.get())
    return found


def dump(row: dict[str, Any]) -> str:
    """A record as one line."""
    return json_text(row) + "\n"
