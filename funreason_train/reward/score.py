"""The rule-based reward: right form and right calls, or nothing.

    verl: reward.custom_reward_function.path=…/funreason_train/reward/score.py  name=compute_score

verl loads this file by its path and calls `compute_score` from several threads, without a time-out, and an
exception would end the run; so it is total, keeps no state but caches, and takes time linear in the
completion. The imports are absolute because a file loaded by path has no package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from funreason_train.calls import Call
from funreason_train.calls.match import STRING_RULES
from funreason_train.dialogue.completion import ERRORS, read_answer, split_completion
from funreason_train.reward.gold import Gold, read_gold
from funreason_train.reward.partial import similarity
from funreason_train.reward.progress import TurnOutcome, progress, read_turns

VARIANTS = ("binary", "partial", "bfcl", "progress")

OUTCOMES = (
    "right",
    "count",  # another number of calls
    "tools",  # another tool
    "arguments",  # another set of argument names
    "values",
    "order",
    "text_for_calls",
    "calls_for_text",
    "empty_thought",
    "over_long",
    "not_text",  # the completion is not a string
    "ground_truth",  # the row cannot be scored
    "options",  # the reward is configured wrongly
    "internal",  # an exception: a defect of this package
)
EPISODE_OUTCOMES = ("turns",)  # a user turn was not done

# A reason's number in the metrics is its index here: append, never reorder.
_REASONS = (*OUTCOMES, *ERRORS, *EPISODE_OUTCOMES)
REASON_CODES = {reason: code for code, reason in enumerate(_REASONS)}
_OUR_FAULT = frozenset({"not_text", "ground_truth", "options", "internal"})
_REPORTED = {
    reason: (float(code), 1.0 if reason in _OUR_FAULT else 0.0) for reason, code in REASON_CODES.items()
}


@dataclass(frozen=True, eq=False)
class RewardOptions:
    """How answers are scored; the defaults stand in `configs/reward/`.

    Attributes:
        variant: `binary`: 1 for the right calls in the right form, else 0. `partial`: in between for right
            names, argument names and values, less for every surplus call. `bfcl`: binary with BFCL's string
            rule and, where the gold has them, its lists of accepted values. `progress`: an episode's share
            of user turns that were done, given their outcomes; binary for a row that is no episode.
        ordered: Whether the order of the calls matters.
        strings: `exact` or `bfcl` (see `match_calls`); the variant `bfcl` implies the latter.
        require_thought: Whether an empty thought is a fault of form.
        max_chars: A longer completion scores 0; None for no limit.
        soft_chars: From here to `max_chars` the score falls linearly, to 1 - `soft_weight` of itself.
        soft_weight: 0 (no length penalty) to 1.
    """

    variant: str = "binary"
    ordered: bool = False
    strings: str = "exact"
    require_thought: bool = False
    max_chars: int | None = None
    soft_chars: int | None = None
    soft_weight: float = 0.0


# What verl may pass besides the configured options.
_FRAMEWORK_KEYS = ("reward_router_address", "reward_model_tokenizer")


def check_options(options: Mapping[str, Any]) -> list[str]:
    """Every mistake in the options of `compute_score`, as sentences; empty if they can be used."""
    known = RewardOptions.__dataclass_fields__
    problems = [
        f"there is no reward option {key!r}; there are {', '.join(known)}"
        for key in options
        if key not in known and key not in _FRAMEWORK_KEYS
    ]
    chosen = _chosen(options)
    if chosen.variant not in VARIANTS:
        problems.append(f"there is no reward variant {chosen.variant!r}; there are {', '.join(VARIANTS)}")
    if chosen.strings not in STRING_RULES:
        problems.append(f"there is no string rule {chosen.strings!r}; there are {', '.join(STRING_RULES)}")
    for name in ("ordered", "require_thought"):
        if not isinstance(getattr(chosen, name), bool):
            problems.append(f"the reward option {name} must be true or false")
    return problems + _length_problems(chosen)


def _chosen(options: Mapping[str, Any]) -> RewardOptions:
    known = RewardOptions.__dataclass_fields__
    return RewardOptions(**{key: value for key, value in options.items() if key in known})


def _options(options: Mapping[str, Any]) -> RewardOptions | None:
    """The options, checked; None if they cannot be used. The same object for the same options."""
    try:
        return _checked(**options)
    except TypeError:  # a value that cannot be hashed
        return None if check_options(options) else _chosen(options)


@lru_cache(maxsize=64, typed=True)  # True and 1 are equal, and only one of them is an option's value
def _checked(**options: Any) -> RewardOptions | None:
    return None if check_options(options) else _chosen(options)


def _length_problems(chosen: RewardOptions) -> list[str]:
    limits = (chosen.max_chars, chosen.soft_chars)
    if any(limit is not None and (type(limit) is not int or limit <= 0) for limit in limits):
        return ["max_chars and soft_chars must be whole numbers above 0, or null"]
    if type(chosen.soft_weight) not in (int, float) or not 0 <= chosen.soft_weight <= 1:
        return ["soft_weight must be a number from 0 to 1"]
    if chosen.soft_weight and (not chosen.max_chars or not chosen.soft_chars):
        return ["a soft length penalty (soft_weight > 0) needs both soft_chars and max_chars"]
    if chosen.soft_chars and chosen.max_chars and chosen.soft_chars >= chosen.max_chars:
        return ["soft_chars must be smaller than max_chars"]
    return []


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
        extra_info: With the variant `progress`, an episode's outcomes: `{"turns": [{"state_equal": bool,
            "results_seen": bool}, …]}`, one a user turn that was reached (see `progress.TurnOutcome`);
            `solution_str` is then the episode's last completion. Otherwise not used.
        **options: The fields of `RewardOptions`.

    Returns:
        Finite numbers, always with the same keys:
        `score` (0 to 1); `acc` (1 if the answer is right, the figure verl reports in validation); `format`
        (1 if the form is right); `closed` (1 if the thought ends); `num_calls`, `gold_calls`; `length`
        (characters of the completion); `reason` (its number in `REASON_CODES`); `error` (1 if the fault is
        not the model's: an unusable ground truth or option, to be counted and stopped on).
    """
    chosen = _options(options)
    if chosen is None:
        return _result("options")
    if not isinstance(solution_str, str):
        return _result("not_text")
    try:
        gold = read_gold(ground_truth)
        if gold.acceptance and chosen.variant != "bfcl":
            return _result("ground_truth", length=len(solution_str))
        turns = _turns(gold, extra_info) if chosen.variant == "progress" else None
    except Exception:
        return _result("ground_truth", length=len(solution_str))
    try:
        return _score(solution_str, gold, chosen, turns)
    except Exception:
        return _result("internal", length=len(solution_str))


def reason_of(result: Mapping[str, float]) -> str:
    """The reason of a result in words, such as `values` or `unclosed`."""
    return _REASONS[int(result["reason"])]


def _turns(gold: Gold, extra_info: Mapping[str, Any] | None) -> tuple[TurnOutcome, ...] | None:
    """The outcomes of an episode; None for a row that is none, which is scored by its calls."""
    outcomes = (extra_info or {}).get("turns")
    if outcomes is None and gold.turns is None:
        return None
    turns = read_turns(outcomes)
    progress(turns, gold.turns)  # raises if they do not fit the task
    return turns


class _Verdict(NamedTuple):
    """What is said of an answer before its length counts."""

    reason: str
    right: bool = False
    score: float = 0.0
    calls: int = 0
    well_formed: bool = False


def _score(
    text: str, gold: Gold, options: RewardOptions, turns: tuple[TurnOutcome, ...] | None
) -> dict[str, float]:
    thought, answer, closed, error = split_completion(text)
    if error:
        verdict = _Verdict(error)
    elif turns is not None:
        verdict = _read(answer)
    elif len(answer) <= _REMEMBERED_CHARS:
        verdict = _remembered(answer, gold, options)
    else:
        verdict = _judge(answer, gold, options)
    if options.require_thought and not thought and verdict.well_formed:
        verdict = _Verdict("empty_thought", calls=verdict.calls)
    if turns is not None and closed:
        verdict = _judge_episode(verdict, turns, gold.turns)
    if options.max_chars is not None and len(text) > options.max_chars:
        verdict = _Verdict("over_long", calls=verdict.calls, well_formed=verdict.well_formed)
    factor = 1.0 if options.soft_chars is None else _length_factor(len(text), options)
    return _result(
        verdict.reason,
        verdict.score * factor,
        verdict.right,
        verdict.well_formed,
        closed,
        verdict.calls,
        len(gold.calls),
        len(text),
    )


def _read(answer: str) -> _Verdict:
    """Whether an answer has the right form, whatever it says."""
    calls, error = read_answer(answer)
    return _Verdict(error) if calls is None else _Verdict("right", True, 1.0, len(calls), True)


def _judge(answer: str, gold: Gold, options: RewardOptions) -> _Verdict:
    if answer == gold.text:
        return _Verdict("right", True, 1.0, len(gold.calls), True)
    calls, error = read_answer(answer)
    if calls is None:
        return _Verdict(error)
    reason, right, score = _compare(calls, gold, options)
    return _Verdict(reason, right, score, len(calls), True)


# The samples of one prompt arrive close together, and many of them end in the same answer.
_REMEMBERED_CHARS = 2_000
_remembered = lru_cache(maxsize=4096)(_judge)


def _compare(calls: Sequence[Call], gold: Gold, options: RewardOptions) -> tuple[str, bool, float]:
    """The reason, whether the calls are the right ones, and their score."""
    if bool(calls) != bool(gold.calls):
        return ("calls_for_text" if calls else "text_for_calls"), False, 0.0
    if not calls:
        return "right", True, 1.0
    strings: Any = "bfcl" if options.variant == "bfcl" else options.strings
    match = gold.match(calls, ordered=options.ordered, strings=strings)
    if match.equal:
        return "right", True, 1.0
    if options.variant != "partial":
        return match.reason, False, 0.0
    score = similarity(calls, gold.calls, gold.tools, ordered=options.ordered, strings=strings)
    return match.reason, False, score


def _judge_episode(last: _Verdict, turns: tuple[TurnOutcome, ...], expected: int | None) -> _Verdict:
    """The verdict of an episode whose last answer was closed and is otherwise as `last` says."""
    if not last.right and turns:
        turns = (*turns[:-1], replace(turns[-1], well_formed=False))
    score = progress(turns, expected)
    reason = "right" if score == 1.0 else "turns" if last.right else last.reason
    return last._replace(reason=reason, right=score == 1.0, score=score)


def _length_factor(length: int, options: RewardOptions) -> float:
    if not options.soft_weight or options.soft_chars is None or options.max_chars is None:
        return 1.0
    excess = (length - options.soft_chars) / (options.max_chars - options.soft_chars)
    return 1.0 - options.soft_weight * min(1.0, max(0.0, excess))


def _result(
    reason: str,
    score: float = 0.0,
    right: bool = False,
    well_formed: bool = False,
    closed: bool = False,
    num_calls: int = 0,
    gold_calls: int = 0,
    length: int = 0,
) -> dict[str, float]:
    code, error = _REPORTED[reason]
    return {
        "score": score,
        "acc": 1.0 if right else 0.0,
        "format": 1.0 if well_formed else 0.0,
        "closed": 1.0 if closed else 0.0,
        "num_calls": 1.0 * num_calls,
        "gold_calls": 1.0 * gold_calls,
        "length": 1.0 * length,
        "reason": code,
        "error": error,
    }
