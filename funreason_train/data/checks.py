"""What a conversation must satisfy to be trained on: a list of passes, each of which may raise `RowError`."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..calls import check_call, index_tools, is_argument_name, is_tool_name
from ..dialogue import Trajectory, has_markers, read_completion, render_answer, render_target
from .names import alias_names
from .rows import RowError
from .spool import encode

Pass = Callable[[Trajectory], Trajectory | None]
"""Looks at one conversation, and raises `RowError` or gives it back mended; None leaves it as it is."""

_BAD = re.compile("[\x00\ud800-\udfff]")
_PROBLEMS = {"wrong_type": "argument_type", "not_in_enum": "argument_type"}


def passes() -> list[Pass]:
    """The checks that a run applies to each conversation, in order; each looks at one conversation alone."""
    return [check_text, check_calls, check_answers]


def naming(policy: str) -> list[Pass]:
    """What comes before the checks where `names` is `alias`: odd names are replaced (see `names`)."""
    return [alias_names] if policy == "alias" else []


def check_text(trajectory: Trajectory) -> Trajectory | None:
    """Every character can be written; a text that looks like a control token is flagged `escaped_markers`.

    Such a text is kept: what renders prompts and targets escapes it (see `dialogue.escape`).

    Raises:
        RowError: `bad_character`.
    """
    tools = json.dumps(list(trajectory.tools), ensure_ascii=False)
    escaped = _check(tools, "the tools")
    escaped |= _check(trajectory.system or "", "the system prompt")
    for number, turn in enumerate(trajectory.turns):
        escaped |= _check(turn.user, f"user message {number}")
        for step in turn.steps:
            escaped |= _check(step.thought, f"a thought in turn {number}")
            escaped |= _check(step.text, f"a reply in turn {number}")
            for result in step.results:
                escaped |= _check(result, f"a tool result in turn {number}")
    if not escaped:
        return None
    flags = [*trajectory.meta.get("flags", ()), "escaped_markers"]
    return replace(trajectory, meta={**trajectory.meta, "flags": flags})


def _check(text: str, where: str) -> bool:
    """Whether the text will be escaped."""
    if _BAD.search(text):
        raise RowError("bad_character", f"{where} holds a NUL or an unpaired surrogate")
    return has_markers(text)


def check_calls(trajectory: Trajectory) -> None:
    """Every call can be written; every gold call names an offered tool and fits its parameters.

    A response that is history alone (`meta["untrained"]`) may show a mistake that a later one mends.

    Raises:
        RowError: `name_not_callable`, `not_finite`, `unknown_tool`, `unknown_argument`, `missing_argument`,
            `argument_type`.
    """
    called = {call.name for turn in trajectory.turns for step in turn.steps for call in step.calls}
    schemas = index_tools(tool for tool in trajectory.tools if tool["name"] in called)
    untrained = trajectory.meta.get("untrained", ())
    for turn_number, turn in enumerate(trajectory.turns):
        for number, step in enumerate(turn.steps):
            for call in step.calls:
                for name in (call.name, *call.arguments):
                    if not (is_tool_name(name) if name is call.name else is_argument_name(name)):
                        raise RowError("name_not_callable", f"{name!r} is no name of the call language")
                if not all(map(_finite, call.arguments.values())):
                    raise RowError("not_finite", f"{call.name} has an argument that is not a finite number")
                if untrained and f"{turn_number}.{number}" in untrained:
                    continue
                problems = check_call(call, schemas)
                if problems:
                    slug = problems[0].partition(":")[0]
                    raise RowError(_PROBLEMS.get(slug, slug), "; ".join(problems))


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    return all(map(_finite, value)) if isinstance(value, list) else True


def check_answers(trajectory: Trajectory) -> None:
    """Every target, read back as the reward reads a completion, means what the row says.

    Raises:
        RowError: `call_syntax` for a text that would be read as calls, or calls that would not be.
    """
    for turn in trajectory.turns:
        for step in turn.steps:
            try:
                answer = render_answer(step.calls, step.text)
            except ValueError as error:
                raise RowError("call_syntax", str(error)[:200]) from None
            completion = read_completion(render_target(step.thought, answer))
            if completion.calls != list(step.calls):
                raise RowError(
                    "call_syntax",
                    f"the reward would misread this answer ({completion.error}): {answer[:120]}",
                )


def content_digest(trajectory: Trajectory) -> bytes:
    """Hash of a conversation's tools, messages and answers, whatever its source and id."""
    bare = replace(trajectory, id="", source="", meta={})
    return hashlib.blake2b(encode(bare), digest_size=16).digest()
