"""The rule-based reward: right form and right calls, or nothing.

    verl: reward.custom_reward_function.path=…/funreason_train/reward/score.py  name=compute_score

verl loads this file by its path and calls `compute_score` from several threads, without a time-out, and an
exception would end the run; so it is total, keeps no state but caches, and takes time linear in the
completion. The imports are absolute because a file loaded by path has no package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from funreason_train.calls import Call
from funreason_train.dialogue.completion import read_answer, split_completion
from funreason_train.reward.gold import Gold, read_gold
from funreason_train.reward.options import EPISODE_VARIANTS, RewardOptions, read_options
from funreason_train.reward.outcome import outcome, overrule, reason_of
from funreason_train.reward.partial import similarity
from funreason_train.reward.progress import TurnOutcome, progress, read_turns


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, float]:
    """Scores one completion; never raises.

    Args:
        data_source: Not used: one rule for every source.
        solution_str: What follows the prompt's own `<think>`.
        ground_truth: JSON `{"calls": [{"name", "arguments"}, …], "tools": [{"name", "parameters", …}, …]}`;
            no calls means that plain text is right. With the variant `bfcl` a call may hold `"accepted":
            {argument: [value, …]}` instead of its arguments (see `calls.accepted`). A row of an environment
            also holds `"turns"`, the number of the task's user turns.
        extra_info: With the variants `progress` and `all_turns`, an episode's outcomes: `{"turns":
            [{"state_equal": bool, "results_seen": bool}, …]}`, one a user turn that was reached (see
            `progress.TurnOutcome`); `solution_str` is then the episode's last completion. Otherwise not used.
        **options: The fields of `RewardOptions`.

    Returns:
        Finite numbers, always with the same keys:
        `score` (0 to 1); `acc` (1 if the answer is right, the figure verl reports in validation); `format`
        (1 if the form is right); `closed` (1 if the thought ends); `num_calls`, `gold_calls`; `length`
        (characters of the completion); `reason` (its number in `REASON_CODES`); `error` (1 if the fault is
        not the model's: an unusable ground truth or option, to be counted and stopped on).
    """
    chosen = read_options(options)
    if chosen is None:
        return outcome("options")
    if not isinstance(solution_str, str):
        return outcome("not_text")
    try:
        gold = read_gold(ground_truth)
        if gold.acceptance and chosen.variant != "bfcl":
            return outcome("ground_truth", length=len(solution_str))
        turns = _turns(gold, extra_info) if chosen.variant in EPISODE_VARIANTS else None
    except Exception:
        return outcome("ground_truth", length=len(solution_str))
    try:
        return _score(solution_str, gold, chosen, turns)
    except Exception:
        return outcome("internal", length=len(solution_str))


def _turns(gold: Gold, extra_info: Mapping[str, Any] | None) -> tuple[TurnOutcome, ...] | None:
    """The outcomes of an episode; None for a row that is not an episode, which is scored by its calls."""
    outcomes = (extra_info or {}).get("turns")
    if outcomes is None and gold.turns is None:
        return None
    turns = read_turns(outcomes)
    progress(turns, gold.turns)  # raises if they do not fit the task
    return turns


def _score(
    text: str, gold: Gold, options: RewardOptions, turns: tuple[TurnOutcome, ...] | None
) -> dict[str, float]:
    thought, answer, closed, error = split_completion(text)
    if error:
        found = outcome(error, gold_calls=len(gold.calls), closed=closed)
    elif turns is not None:
        found = _read(answer, gold)
    elif answer == gold.text:  # the commonest case
        found = gold.right.copy()
    elif len(answer) <= _REMEMBERED_CHARS:
        found = _remembered(answer, gold, options).copy()
    else:
        found = _judge(answer, gold, options)
    if options.require_thought and not thought and found["format"]:
        overrule(found, "empty_thought")
        found["format"] = 0.0
    if turns is not None and closed:
        _judge_episode(found, turns, gold.turns, options.variant)
    if options.max_chars is not None and len(text) > options.max_chars:
        overrule(found, "over_long")
    if options.soft_chars is not None:
        found["score"] *= _length_factor(len(text), options)
    found["length"] = float(len(text))
    return found


def _read(answer: str, gold: Gold) -> dict[str, float]:
    """Whether an answer has the right form, whatever it says."""
    calls, error = read_answer(answer, gold.tool_names)
    if calls is None:
        return outcome(error, gold_calls=len(gold.calls), closed=True)
    return _well_formed("right", 1.0, len(calls), gold)


def _judge(answer: str, gold: Gold, options: RewardOptions) -> dict[str, float]:
    calls, error = read_answer(answer, gold.tool_names)
    if calls is None:
        return outcome(error, gold_calls=len(gold.calls), closed=True)
    return _well_formed(*_compare(calls, gold, options), len(calls), gold)


# The samples of one prompt arrive close together, and many of them end in the same answer.
_REMEMBERED_CHARS = 2_000
_remembered = lru_cache(maxsize=4096)(_judge)


def _well_formed(reason: str, score: float, calls: int, gold: Gold) -> dict[str, float]:
    return outcome(reason, score, calls, len(gold.calls), True, True)


def _compare(calls: Sequence[Call], gold: Gold, options: RewardOptions) -> tuple[str, float]:
    """The reason and the score of calls, `right` and 1 if they are the right ones."""
    if bool(calls) != bool(gold.calls):
        return ("calls_for_text" if calls else "text_for_calls"), 0.0
    if not calls:
        return "right", 1.0
    strings: Any = "bfcl" if options.variant == "bfcl" else options.strings
    match = gold.match(calls, ordered=options.ordered, strings=strings)
    if match.equal:
        return "right", 1.0
    if options.variant != "partial":
        return match.reason, 0.0
    return match.reason, similarity(calls, gold.calls, gold.tools, ordered=options.ordered, strings=strings)


def _judge_episode(
    found: dict[str, float], turns: tuple[TurnOutcome, ...], expected: int | None, variant: str
) -> None:
    """Puts an episode's score in the place of its last answer's, which must be well formed to count."""
    last = reason_of(found)
    if last != "right" and turns:
        turns = (*turns[:-1], replace(turns[-1], well_formed=False))
    score = progress(turns, expected)
    if variant == "all_turns":
        score = float(score == 1.0)
    overrule(found, "right" if score == 1.0 else "turns" if last == "right" else last, score)


def _length_factor(length: int, options: RewardOptions) -> float:
    if not options.soft_weight or options.soft_chars is None or options.max_chars is None:
        return 1.0
    excess = (length - options.soft_chars) / (options.max_chars - options.soft_chars)
    return 1.0 - options.soft_weight * min(1.0, max(0.0, excess))
