"""One task played by a model that is being trained: what each response saw, wrote and did (no verl in here).

**A response is a sample.** The protocol cuts the thoughts out of the history, so the tokens of an earlier
response change as soon as a later prompt is rendered: a conversation is not one growing row of tokens, and a
row that kept the thoughts would train on prompts that evaluation never shows. So every response of an episode
becomes a training sample of its own: its prompt is what the protocol renders at that point, token by token
what the evaluation asks, and its response is what the rollout engine wrote. Users' words and tool results
stand only in prompts and therefore never in the loss. The samples of an episode share its score: verl 0.9.1's
V1 trainer takes several outputs an episode, computes the group's advantages over the episodes and hands each
one on to all samples of its episode (`compute_advantage_for_multi_trajectories` in verl/trainer/ppo/v1).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...calls import Call, render_calls
from ...dialogue import PromptStyle, end_tokens
from ...environments import FAULT, EnvironmentFailed, Episode, Limits, Result, Task
from .tokens import completion_text, prompt_ids


@dataclass(frozen=True)
class EpisodeRules:
    """How long an episode may go on.

    Attributes:
        style: Of the system prompt.
        responses: Most responses a user turn.
        seconds: Most seconds a user turn, generation and tools together.
        prompt_tokens: Longest prompt.
        response_tokens: Longest response.
    """

    style: PromptStyle
    responses: int
    seconds: float
    prompt_tokens: int
    response_tokens: int


@dataclass(frozen=True)
class Written:
    """What the rollout engine answered to one prompt.

    Attributes:
        ids: The response's tokens, the end-of-turn token included.
        log_probs: Of each token; None if they were not asked for.
        extra: Whatever else the engine said of it.
    """

    ids: list[int]
    log_probs: list[float] | None = None
    extra: Any = None


Write = Callable[[list[int], int], Awaitable[Written]]
"""The prompt's tokens and the number of the response in its episode, to what the engine writes."""


@dataclass
class Sample:
    """One response of an episode.

    Attributes:
        turn: Its user turn.
        number: Its place in the turn.
        prompt: The prompt's tokens.
        written: The response.
        text: The response as text, tags included.
        cut: Whether it ran into the limit of its length.
        calls: The calls that were executed.
        results: What each of them answered.
        generating, acting: Seconds spent on the response and on its calls.
    """

    turn: int
    number: int
    prompt: list[int]
    written: Written
    text: str
    cut: bool
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()
    generating: float = 0.0
    acting: float = 0.0


@dataclass(frozen=True)
class Played:
    """A finished episode.

    Attributes:
        samples: Every response, in order; at least one.
        outcomes: `{"state_equal", "results_seen"}` of every user turn of the task, played or not.
        reasons: What went wrong, `turn N: slug: detail` each; empty if the task was solved.
        gold: Of each user turn, the gold calls of its responses and the gold reply.
        fault: Why the environment itself failed; None if it did not. Such an episode teaches nothing: no
            reward, no advantage, and no part in its group. If it failed before the first response, `samples`
            holds one that nobody wrote, since verl knows no sample without tokens.
    """

    samples: list[Sample]
    outcomes: list[dict[str, bool]]
    reasons: tuple[str, ...]
    gold: list[list[str]]
    fault: str | None = None


async def play_episode(
    task: Task,
    write: Write,
    tokenizer: Any,
    rules: EpisodeRules,
    clock: Callable[[], float] = time.monotonic,
) -> Played:
    """Plays one task to its end; a wrong turn does not end it, since the next one may be right.

    An episode ends early with a response that is malformed or was cut off, with too many responses or seconds
    in one turn, and with a prompt that is too long; the turn is wrong then, and so are those after it.

    Args:
        task: What to play.
        write: The rollout engine.
        tokenizer: The model's.
        rules: How long it may go on.
        clock: Seconds from any start.

    Raises:
        ValueError: if the task's very first prompt is too long; prompts are never cut.
    """
    try:
        episode = await asyncio.to_thread(
            Episode, task, Limits(responses=rules.responses, stop_when_wrong=False), rules.style
        )
    except EnvironmentFailed as error:
        return _not_begun(task, str(error), tokenizer)
    samples: list[Sample] = []
    turn, began = 0, clock()
    while not episode.done:
        if episode.turn != turn:
            turn, began = episode.turn, clock()
        prompt = prompt_ids(episode.prompt_messages(), tokenizer)
        if len(prompt) > rules.prompt_tokens:
            reason = f"prompt_too_long: {len(prompt)} tokens of {rules.prompt_tokens}"
            if not samples:
                raise ValueError(f"task {task.id}: {reason}")
            episode.stop(reason)
            break
        asked = clock()
        sample = _sample(samples, turn, prompt, await write(prompt, len(samples)), tokenizer, rules)
        samples.append(sample)
        sample.generating = (answered := clock()) - asked
        if sample.cut:
            episode.stop(f"over_long: cut off after {len(sample.written.ids)} tokens")
        else:
            if (left := rules.seconds - (answered - began)) > 0:
                await _receive(episode, sample, left)
            sample.acting = clock() - answered
            if episode.turn == turn and clock() - began > rules.seconds:
                episode.stop(f"too_slow: more than {rules.seconds:g} seconds")
    outcomes, reasons = episode.turn_outcomes(), episode.outcome().reasons
    return Played(samples, outcomes, reasons, _gold(task), episode.fault)


def _not_begun(task: Task, fault: str, tokenizer: Any) -> Played:
    """An episode whose environment failed before anything was asked."""
    end = [min(end_tokens(tokenizer))]
    sample = Sample(0, 0, end, Written(end, [0.0], {}), "", cut=False)
    wrong = [{"state_equal": False, "results_seen": False} for _ in task.turns]
    return Played([sample], wrong, (f"turn 0: {FAULT}: {fault}",), _gold(task), fault)


def _sample(
    before: Sequence[Sample],
    turn: int,
    prompt: list[int],
    written: Written,
    tokenizer: Any,
    rules: EpisodeRules,
) -> Sample:
    ids = written.ids[: rules.response_tokens]
    log_probs = None if written.log_probs is None else written.log_probs[: len(ids)]
    number = sum(sample.turn == turn for sample in before)
    cut = not ids or ids[-1] not in end_tokens(tokenizer)
    text = completion_text(ids, tokenizer)
    return Sample(turn, number, prompt, Written(ids, log_probs, written.extra), text, cut)


async def _receive(episode: Episode, sample: Sample, seconds: float) -> None:
    """Executes a response's calls, in a thread of their own: one that hangs must not stop the others."""
    try:
        async with asyncio.timeout(seconds):
            await asyncio.to_thread(episode.receive, sample.text)
    except TimeoutError:
        episode.stop(f"too_slow: no results of {sample.text[-200:]!r}")
        return
    sample.calls, sample.results = episode.last_response.calls, episode.last_response.results


def _gold(task: Task) -> list[list[str]]:
    return [[*map(render_calls, turn.steps), turn.text] for turn in task.turns]


def record(played: Played, sample: Sample) -> dict[str, Any]:
    """What the records keep of one response besides its tokens.

    Returns:
        `turn`, `response`, `gold` (of the turn), `calls`, `results`, `ok` (whether each call succeeded),
        `reasons` (of the turn), and `figures`: numbers that are averaged over responses.
    """
    prefix = f"turn {sample.turn}: "
    return {
        "turn": sample.turn,
        "response": sample.number,
        "gold": played.gold[sample.turn],
        "calls": [render_calls([call]) for call in sample.calls],
        "results": [result.text for result in sample.results],
        "ok": [result.ok for result in sample.results],
        "reasons": [reason.removeprefix(prefix) for reason in played.reasons if reason.startswith(prefix)],
        "figures": {
            "unclosed": float("</think>" not in sample.text),
            "cut": float(sample.cut),
        },
    }
