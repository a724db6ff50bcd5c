"""Whether a reward can be trusted on given rows: gold answers score the most, and no trivial one does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from funreason_train.calls import Call, Schema, check_call, index_tools, match_calls, render_calls
from funreason_train.dialogue.protocol import render_target

from .gold import read_gold
from .outcome import reason_of
from .score import compute_score

Reward = Callable[..., Mapping[str, float]]

_THOUGHT = "The request is clear."
_TEXT = "There is nothing to call for this request."
_GARBAGE = "]])( =, [["


@dataclass(frozen=True)
class Finding:
    """One row on which the reward does not do what it should.

    Attributes:
        row: Index of the row.
        data_source: Of the row.
        case: `gold`, `gold_call`, `ground_truth`, `data_source`, or the name of the trivial answer that
            scored the most.
        message: What happened, as a sentence.
    """

    row: int
    data_source: str
    case: str
    message: str


def audit(
    rows: Iterable[Mapping[str, Any]], *, reward: Reward = compute_score, **options: Any
) -> list[Finding]:
    """Scores each row's gold answer and a set of trivial (reward-hacking) ones.

    The gold answer must get 1; an empty completion, an unclosed one, garbage, an echo of the tools'
    schemas, a call of every tool, gold with one call more, one call less or everything twice, text for
    calls and calls for text must get less. Gold calls must also be legal for the row's tools.

    Args:
        rows: Rows of an RL export: `{"data_source", "reward_model": {"ground_truth": JSON str}, …}`.
        reward: A function with the signature of `compute_score`.
        **options: The reward's options.

    Returns:
        What was found, in the order of the rows; empty if the reward can be trusted on them.
    """
    bound = partial(reward, **options)
    return [finding for number, row in enumerate(rows) for finding in _audit_row(number, row, bound)]


def source_of(row: Mapping[str, Any]) -> str:
    """A row's data_source; empty if it has none that is a text."""
    name = row.get("data_source")
    return name if isinstance(name, str) else ""


def _audit_row(number: int, row: Mapping[str, Any], reward: Reward) -> Iterator[Finding]:
    source = source_of(row)
    if not source:
        yield Finding(number, source, "data_source", "it has no data_source that is a text")
    try:
        truth = _ground_truth(row)
        read = read_gold(truth)
        gold = list(read.calls)
        documents = json.loads(truth)["tools"]
        tools = index_tools(documents)
        answer = render_calls(gold) if gold else _TEXT
    except (ValueError, RecursionError) as error:
        yield Finding(number, source, "ground_truth", f"the ground truth cannot be read: {error}")
        return
    for call in gold:
        for problem in check_call(call, tools):
            yield Finding(number, source, "gold_call", f"a gold call contradicts its tools: {problem}")
    result = reward(source, render_target(_THOUGHT, answer), truth, None)
    best = result["score"]
    why = reason_of(result) if "reason" in result else "it gives no reason"
    if read.acceptance and why == "ground_truth":
        why = "it lists accepted values, which only the variant bfcl reads"
    if best < 1.0:
        yield Finding(number, source, "gold", f"the gold answer scores {best:g} ({why})")
    for case, completion in _trivial_answers(gold, answer, tools, documents):
        trivial = reward(source, completion, truth, None)["score"]
        if trivial >= best > 0.0:
            yield Finding(
                number, source, case, f"{case.replace('_', ' ')} scores {trivial:g} like the gold answer"
            )


def _ground_truth(row: Mapping[str, Any]) -> str:
    model = row.get("reward_model")
    truth = model.get("ground_truth") if isinstance(model, Mapping) else None
    if not isinstance(truth, str):
        raise ValueError("reward_model holds no ground_truth that is a text")
    return truth


def _trivial_answers(
    gold: list[Call], answer: str, tools: Mapping[str, Schema], documents: Any
) -> Iterator[tuple[str, str]]:
    """Names and completions that must not be worth as much as the gold answer."""
    extra = Call(next(iter(tools), "no_such_tool"))
    every_tool = [Call(name) for name in tools] or [extra]
    yield "empty", ""
    yield "empty_answer", render_target(_THOUGHT, "")
    yield "empty_list", render_target(_THOUGHT, "[]")
    yield "unclosed", f"\n{answer}"
    yield "garbage", render_target(_THOUGHT, _GARBAGE)
    yield "schema_echo", render_target(_THOUGHT, json.dumps(documents))
    if not match_calls(every_tool, gold, tools):
        yield "all_tools", render_target(_THOUGHT, render_calls(every_tool))
    if not gold:
        yield "call_for_text", render_target(_THOUGHT, render_calls([extra]))
        return
    yield "text_for_call", render_target(_THOUGHT, _TEXT)
    yield "gold_plus_one", render_target(_THOUGHT, render_calls([*gold, extra]))
    yield "gold_twice", render_target(_THOUGHT, render_calls([*gold, *gold]))
    yield "gold_minus_one", render_target(_THOUGHT, render_calls(gold[:-1]))
