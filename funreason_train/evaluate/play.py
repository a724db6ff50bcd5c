"""The loop that keeps a model busy: many games at a time, each asking for one completion after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ..dialogue import Message
from ..plain import json_text
from .serve.generate import Generator, Sampling

Render = Callable[[list[Message]], str]
Encode = Callable[[str], list[int]]


class Game(Protocol):
    """One task on the way to its verdict."""

    @property
    def id(self) -> str:
        """Unique among the games of one call."""

    @property
    def done(self) -> bool:
        """Whether no further completion is wanted."""

    def messages(self) -> list[Message]:
        """The prompt of the next completion."""

    def receive(self, completion: str) -> None:
        """Takes the completion of `messages()`."""

    def record(self, asked: list[dict[str, Any]], stopped: str | None = None) -> dict[str, Any]:
        """The game as one row of `episodes.jsonl`; see `play`.

        Args:
            asked: `{"prompt", "prompt_tokens", "tokens", "finish"}` of each completion.
            stopped: Why it cannot go on, `slug: detail`.
        """


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
) -> Iterator[dict[str, Any]]:
    """Plays games, `concurrency` of them at a time, and yields each one's record as it ends.

    The same games in the same order make the same batches, so greedy runs repeat to the letter.

    Args:
        games: What to play.
        generator: The model.
        render: Messages to the prompt's text: `render_prompt` with the model's tokenizer.
        encode: The prompt's text to token ids, nothing added.
        sampling: How completions are drawn.
        concurrency: Most games at a time.

    Yields:
        `{"id", "category", "right", "reasons", "turns": [{"user", "gold", "reasons", "responses": [{"prompt",
        "prompt_tokens", "completion", "tokens", "finish", "calls", "results", "ok"}]}], "unjudged": […]}`;
        the first reason (`turn N: slug: detail`) is what went wrong first.
    """
    waiting = deque(games)
    running: dict[str, _Running] = {}

    def ask(now: _Running) -> dict[str, Any] | None:
        """Submits the next prompt; the record of the game if its prompt no longer fits."""
        prompt = render(now.game.messages())
        ids = encode(prompt)
        if sampling.room(len(ids)) < 1:
            reason = f"prompt_too_long: {len(ids)} tokens of {sampling.max_model_tokens}"
            return now.game.record(now.asked, reason)
        now.asked.append({"prompt": prompt, "prompt_tokens": len(ids)})
        generator.submit(f"{now.game.id}/{len(now.asked)}", ids, sampling)
        return None

    while waiting or running:
        while waiting and len(running) < concurrency:
            game = waiting.popleft()
            if game.id in running:
                raise ValueError(f"two tasks have the id {game.id}")
            running[game.id] = _Running(game, [])
            if (over := ask(running[game.id])) is not None:
                del running[game.id]
                yield over
        if not running:
            continue
        for generated in generator.collect():
            name = generated.key.rpartition("/")[0]
            now = running[name]
            now.asked[-1] |= {"tokens": generated.tokens, "finish": generated.finish}
            now.game.receive(generated.text)
            over = now.game.record(now.asked) if now.game.done else ask(now)
            if over is not None:
                del running[name]
                yield over


def dump(row: dict[str, Any]) -> str:
    """A record as one line."""
    return json_text(row) + "\n"
