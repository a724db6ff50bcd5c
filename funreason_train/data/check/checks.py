"""What a conversation must satisfy to be trained on: a list of passes, each of which may raise `RowError`."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ...calls import Call, check_call, index_tools, is_argument_name, is_tool_name, read_notation
from ...dialogue import (
    Trajectory,
    Turn,
    has_markers,
    offered,
    read_completion,
    render_target,
    rendered_answers,
)
from ...plain import once
from ..read.names import alias_names
from ..read.rows import RowError
from ..spool import body
from .types import converted

Pass = Callable[[Trajectory], Trajectory | None]
"""Looks at one conversation, and raises `RowError` or gives it back changed; None leaves it as it is."""

_BAD = re.compile("[\x00\ud800-\udfff]")
_PROBLEMS = {"wrong_type": "argument_type", "not_in_enum": "argument_type"}


def passes(wrong_types: str = "reject", escaped: bool = False) -> list[Pass]:
    """The checks that a run applies to each conversation, in order; each looks at one conversation alone.

    Args:
        wrong_types: What becomes of arguments that are not of their declared type: `repair`, `reject` or
            `keep`; see `check_calls`.
        escaped: Whether the prompt shows the letters of a tool list that are not ASCII as `\\uXXXX`.
    """
    calls = partial(check_calls, wrong_types=wrong_types)
    return [partial(check_text, escaped=escaped), calls, check_answers]


def naming(policy: str) -> list[Pass]:
    """What comes before the checks where `names` is `alias`: odd names are replaced (see `names`)."""
    return [alias_names] if policy == "alias" else []


#: What some models' tokenizers take for tokens of their own, and no export escapes (see `dialogue.shield`).
_OF_FAMILIES = re.compile(
    r"</?s>|<(?:start_of_turn|end_of_turn|bos|eos|pad|unk)>"
    r"|\[/?(?:INST|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|AVAILABLE_TOOLS|SYSTEM_PROMPT)\]"
)


def check_text(trajectory: Trajectory, escaped: bool = False) -> Trajectory | None:
    """Every character can be written; a text that looks like a control token is flagged `escaped_markers`.

    Such a text is kept: what renders prompts and targets escapes it (see `dialogue.escape`). Tools that the
    prompt shows `escaped`, but that are not in ASCII, are flagged `escaped_tools`; a text with what some
    family's tokenizer takes for a token, `family_markers`.

    Raises:
        RowError: `bad_character`, `not_finite`, `tool_shape`.
    """
    markers = foreign = False
    for tool in trajectory.tools:
        bad, odd, ascii = _tool_text(tool)
        if bad:
            raise _bad_character("the tools")
        markers |= odd
        foreign |= not ascii
    texts = [trajectory.system or ""]
    for turn in trajectory.turns:
        texts.append(turn.user)
        for step in turn.steps:
            texts += (step.thought, step.text, *step.results)
    together = "\n".join(texts)  # one search; where it finds something, each text is asked
    if _BAD.search(together):
        raise _bad_character(_where_bad(trajectory))
    markers |= has_markers(together) and any(map(has_markers, texts))
    raised = ["escaped_markers"] * markers + ["escaped_tools"] * (escaped and foreign)
    if _OF_FAMILIES.search(together):
        raised.append("family_markers")
    return _flagged(trajectory, raised) if raised else None


def _flagged(trajectory: Trajectory, raised: Iterable[str], **meta: Any) -> Trajectory:
    flags = [*trajectory.meta.get("flags", ()), *raised]
    return replace(trajectory, meta={**trajectory.meta, **meta, "flags": flags})


@once(8192)
def _tool_text(tool: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    """Whether a tool holds what cannot be written, or a text like a control token; whether it is ASCII."""
    try:
        text = json.dumps(tool, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise RowError("not_finite", "a tool holds a number that is not finite") from None
    except TypeError as error:  # a date or the like, out of a table
        raise RowError("tool_shape", f"a tool holds a value without a form in JSON: {error}"[:200]) from None
    return _BAD.search(text) is not None, has_markers(text), text.isascii()


def _where_bad(trajectory: Trajectory) -> str:
    """Which text of a conversation holds a character that cannot be written."""
    if _BAD.search(trajectory.system or ""):
        return "the system prompt"
    for number, turn in enumerate(trajectory.turns):
        if _BAD.search(turn.user):
            return f"user message {number}"
        for step in turn.steps:
            for what, texts in (
                ("a thought", [step.thought]),
                ("a reply", [step.text]),
                ("a tool result", step.results),
            ):
                if any(map(_BAD.search, texts)):
                    return f"{what} in turn {number}"
    return "a text"


def _bad_character(where: str) -> RowError:
    return RowError("bad_character", f"{where} holds a NUL or an unpaired surrogate")


def check_calls(trajectory: Trajectory, wrong_types: str = "reject") -> Trajectory | None:
    """Every call can be written; every gold call names an offered tool and fits its parameters.

    A response that is history alone (`meta["untrained"]`) may show a mistake that a later one corrects.

    Args:
        trajectory: The conversation.
        wrong_types: What becomes of an argument that is not of its declared type. `repair`: it is converted
            if nothing is lost (see `types`), unless the response has results, which belong to the call as it
            was made; it is rejected otherwise. `reject`. `keep`: it stays and is flagged.

    Raises:
        RowError: `name_not_callable`, `not_finite`, `unknown_tool`, `unknown_argument`, `missing_argument`,
            `argument_type`.
    """
    called = {call.name for turn in trajectory.turns for step in turn.steps for call in step.calls}
    tools: Sequence[Mapping[str, Any]] = trajectory.tools
    schemas = index_tools(tool for tool in tools if tool["name"] in called)
    untrained = trajectory.meta.get("untrained", ())
    repaired: dict[tuple[int, int, int], Call] = {}
    kinds: Counter[str] = Counter()
    kept = False
    for turn_number, turn in enumerate(trajectory.turns):
        if (more := offered(tools, (turn.user,))) is not tools:
            tools, schemas = more, index_tools(tool for tool in more if tool["name"] in called)
        for number, step in enumerate(turn.steps):
            for place, call in enumerate(step.calls):
                _check_names(call)
                if untrained and f"{turn_number}.{number}" in untrained:
                    continue
                problems = check_call(call, schemas)
                if not problems:
                    continue
                if wrong_types == "repair" and not step.results and call.name in schemas:
                    made: Counter[str] = Counter()
                    better = converted(call, schemas[call.name], made)
                    if made and not check_call(better, schemas):
                        repaired[turn_number, number, place] = better
                        kinds += made
                        continue
                others = [one for one in problems if not one.startswith("wrong_type:")]
                if wrong_types == "keep" and not others:
                    kept = True
                    continue
                slug = (others or problems if wrong_types == "keep" else problems)[0].partition(":")[0]
                raise RowError(_PROBLEMS.get(slug, slug), _under_own_names(problems, trajectory.meta))
    if not repaired:
        return _flagged(trajectory, ["wrong_types_kept"]) if kept else None
    changed = replace(trajectory, turns=_with_calls(trajectory.turns, repaired))
    return _flagged(changed, ["types_repaired"], repairs=dict(kinds))


def _under_own_names(problems: Sequence[str], meta: Mapping[str, Any]) -> str:
    """Problems with the names that stand in the row, where those have aliases."""
    text = "; ".join(problems)
    for pairs in meta.get("names", {}).values():
        for alias, name in pairs.items():
            shown = name if name == name.strip() else repr(name)
            text = re.sub(rf"(?<![\w.]){re.escape(alias)}(?!\w)", shown.replace("\\", r"\\"), text)
    return text


def _check_names(call: Call) -> None:
    """Makes sure that the call language can write a call.

    Raises:
        RowError: `name_not_callable`, `not_finite`.
    """
    for name in (call.name, *call.arguments):
        if not (is_tool_name(name) if name is call.name else is_argument_name(name)):
            raise RowError("name_not_callable", f"{name!r} is not a name of the call language")
    if not all(map(_finite, call.arguments.values())):
        raise RowError("not_finite", f"{call.name} has an argument that is not a finite number")


def _with_calls(turns: tuple[Turn, ...], calls: Mapping[tuple[int, int, int], Call]) -> tuple[Turn, ...]:
    """The turns with other calls in some places, (turn, response, call)."""
    changed = []
    for number, turn in enumerate(turns):
        steps = []
        for response, step in enumerate(turn.steps):
            mine = (calls.get((number, response, place), call) for place, call in enumerate(step.calls))
            steps.append(replace(step, calls=tuple(mine)))
        changed.append(replace(turn, steps=tuple(steps)))
    return tuple(changed)


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(_finite, value))
    return all(map(_finite, value.values())) if isinstance(value, dict) else True


def check_answers(trajectory: Trajectory) -> None:
    """Every target, read back as the reward reads a completion, means what the row says.

    Raises:
        RowError: `call_syntax` for a text that would be read as calls, or calls that would not be.
    """
    try:
        answers = rendered_answers(trajectory)
    except ValueError as error:
        raise RowError("call_syntax", str(error)[:200]) from None
    steps = [step for turn in trajectory.turns for step in turn.steps]
    users = (turn.user for turn in trajectory.turns)
    names = frozenset(tool["name"] for tool in offered(trajectory.tools, users))
    for step, answer in zip(steps, answers, strict=True):
        completion = read_completion(render_target(step.thought, answer), tool_names=names)
        if completion.calls != list(step.calls):
            raise RowError("call_syntax", _misread(step.text, completion.error, answer, names))


def _misread(text: str, error: str, answer: str, names: Collection[str]) -> str:
    reading = read_notation(text, names) if text else None
    if reading is not None and reading.notation:
        why = f": {reading.detail or reading.problem}" if reading.problem else ""
        return f"a reply holds calls ({reading.notation}{why}), not plain text: {answer[:120]}"
    return f"the reward would misread this answer ({error}): {answer[:120]}"


def content_digest(trajectory: Trajectory, said: bytes | None = None) -> bytes:
    """Hash of a conversation's tools, messages and answers, whatever its source and id.

    Args:
        trajectory: The conversation.
        said: Its `spool.body`, where that has been made already.
    """
    return hashlib.blake2b(body(trajectory) if said is None else said, digest_size=16).digest()
