"""FunReason-MT / HardGen: multi-turn conversations with a thought before every answer.

Row: a list of `{role, content}`; or an object with such a list (`conversations`, `messages`), or with the hub
viewer's columns '0', '1', … '10', which are put into numeric order. Content of the assistant:
`<think> … </think>` and then a call list or text, bare or inside `<tool_call>` or `<answer>`.
Source: the data set's card, Apache-2.0, and appendix A of arXiv:2510.24645v2.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...calls.parse import CallSyntaxError, parse_calls
from ...calls.types import Call
from ...dialogue.messages import AssistantStep, Trajectory, Turn
from ..rows import RowError
from ..toolsets import find_tools, infer_tools, read_tools, unwrap
from .apigen import read_calls

#: Keys of its node beyond those of every data set, and the values they take.
OPTIONS = {"error_tool_response": ("keep", "drop"), "tools_missing": ("infer", "reject")}

_LISTS = ("conversations", "conversation", "messages", "dialogue")
_ROLES = {
    "system": "system",
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "function_call"), "assistant"),
    **dict.fromkeys(("tool", "observation", "function"), "tool"),
}
_WRAPPED = re.compile(r"<(tool_call|answer)>(.*?)</\1>", re.DOTALL)
_RESULT = re.compile(r"\A\s*<tool_response>(.*)</tool_response>\s*\Z", re.DOTALL)
_CALL_LIKE = re.compile(r"\[\s*[\w.-]+\(|\[\s*\{\s*\"(name|arguments|function)\"|[\w.-]+\([^)]*\)\s*\Z")
_BFCL_SYSTEM = "You are an expert in composing functions"
_NO = (None, False, 0, "", "false", "False", "none", "None", "0")


def convert(row: Any, options: Mapping[str, Any]) -> Trajectory:
    """One row as a conversation.

    Args:
        row: The row.
        options: The data set's node of the config: `error_tool_response` (keep or drop conversations whose
            environment replies are deliberately wrong) and `tools_missing` (infer: the tools are what the
            gold calls show; reject).

    Raises:
        RowError: the row cannot be used.
    """
    outer, messages = _messages(row)
    wrong = _flagged(outer) or any(map(_flagged, messages))
    if wrong and options["error_tool_response"] == "drop":
        raise RowError("error_tool_response")
    builder = _Builder()
    for message in messages:
        builder.add(_role(message), _content(message))
    turns = builder.finish()
    flags = builder.flags + (["error_tool_response"] if wrong else [])
    tools, system, raised = _tools(outer, builder.system, turns, options)
    identity = outer.get("id", outer.get("task_id"))
    return Trajectory(
        id="" if identity is None else str(identity),
        source="funreason_mt",
        tools=tools,
        turns=turns,
        system=system,
        meta={"flags": flags + raised} if flags or raised else {},
    )


def _messages(row: Any) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """What stands on the row beside the messages, and the messages."""
    outer: Mapping[str, Any] = row if isinstance(row, Mapping) else {}
    messages = row
    if isinstance(row, Mapping):
        key = next((key for key in _LISTS if row.get(key)), None)
        numbered = sorted((key for key in row if key.isdecimal()), key=int)
        messages = row[key] if key else [row[number] for number in numbered if row[number] is not None]
    if isinstance(messages, str):
        messages = unwrap(messages)
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise RowError("row_shape", "the row holds no list of messages")
    opened = [unwrap(message) if isinstance(message, str) else message for message in messages]
    for message in opened:
        if not isinstance(message, Mapping):
            raise RowError("row_shape", f"a message is a {type(message).__name__}, not an object")
    return outer, opened


def _flagged(holder: Mapping[str, Any]) -> bool:
    value = holder.get("error_tool_response")
    return value not in _NO if not isinstance(value, (list, dict)) else bool(value)


def _role(message: Mapping[str, Any]) -> str:
    role = message.get("role", message.get("from"))
    if not isinstance(role, str) or role not in _ROLES:
        raise RowError("row_shape", f"a message has the role {role!r:.40}")
    return _ROLES[role]


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content", message.get("value"))
    if not isinstance(content, str):
        raise RowError("row_shape", f"a message's content is a {type(content).__name__}, not text")
    return content


@dataclass
class _Builder:
    """Takes the messages one by one and insists on their order."""

    system: str | None = None
    flags: list[str] = field(default_factory=list)
    _turns: list[Turn] = field(default_factory=list)
    _user: str | None = None
    _steps: list[AssistantStep] = field(default_factory=list)
    _results: list[str] = field(default_factory=list)
    _last: str = ""

    def add(self, role: str, content: str) -> None:
        """The next message."""
        getattr(self, f"_add_{role}")(content)
        self._last = role

    def _add_system(self, content: str) -> None:
        if self._last:
            raise RowError("role_order", "a system message after the first message")
        self.system = content

    def _add_user(self, content: str) -> None:
        if self._last == "user":
            raise RowError("role_order", "two user messages in a row")
        if not content.strip():
            raise RowError("missing_field", "a user message is empty")
        self._close_turn()
        self._user = content

    def _add_assistant(self, content: str) -> None:
        if self._user is None:
            raise RowError("role_order", "a response before the first user message")
        if self._last == "assistant":
            raise RowError("role_order", "two responses in a row")
        self._close_step()
        thought, calls, text = read_response(content, self.flags)
        self._steps.append(AssistantStep(thought, calls, text))

    def _add_tool(self, content: str) -> None:
        if self._last not in ("assistant", "tool"):
            raise RowError("role_order", "a tool message that answers no response")
        if not self._steps[-1].calls:
            raise RowError("result_without_call")
        wrapped = _RESULT.match(content)
        self._results.append(wrapped.group(1).strip() if wrapped else content)

    def _close_step(self) -> None:
        if self._results:
            step = self._steps[-1]
            results = _split(self._results, len(step.calls))
            if len(results) != len(step.calls):
                self.flags.append("results_not_one_a_call")
            self._steps[-1] = AssistantStep(step.thought, step.calls, step.text, results)
            self._results = []

    def _close_turn(self) -> None:
        self._close_step()
        if self._user is not None:
            self._turns.append(Turn(self._user, tuple(self._steps)))
        self._user, self._steps = None, []

    def finish(self) -> tuple[Turn, ...]:
        """The conversation's turns."""
        if self._last == "user":
            self.flags.append("unanswered_user_dropped")
            self._user = None
        self._close_turn()
        if not self._turns:
            raise RowError("missing_field", "the conversation has no response")
        return tuple(self._turns)


def read_response(content: str, flags: list[str]) -> tuple[str, tuple[Call, ...], str]:
    """An assistant message as thought, calls and text.

    Args:
        content: As the data set writes it.
        flags: Receives what had to be mended: `json_calls` (calls in JSON instead of the call language),
            `text_in_tool_call` (a plain reply inside call tags).

    Raises:
        RowError: `unclosed_think`, `empty_answer`, `call_syntax`.
    """
    thought, body = "", content.strip()
    if body.startswith("<think>"):
        thought, closed, body = body.removeprefix("<think>").partition("</think>")
        if not closed:
            raise RowError("unclosed_think")
    elif "</think>" in body:  # the prompt itself ended in <think>
        thought, _, body = body.partition("</think>")
    if "<think>" in thought or "<think>" in body or "</think>" in body:
        raise RowError("unclosed_think", "more than one think block in a response")
    thought, body = thought.strip(), body.strip()
    wrapped = list(_WRAPPED.finditer(body))
    tagged = any(match.group(1) == "tool_call" for match in wrapped)
    if wrapped:
        outside = _WRAPPED.sub("", body).strip()
        if outside:
            raise RowError("call_syntax", "text stands beside the tagged answer")
        parts = [match.group(2).strip() for match in wrapped]
    else:
        parts = [body]
    if not any(parts):
        raise RowError("empty_answer")
    calls: list[Call] = []
    for part in parts:
        try:
            calls += parse_calls(part)
        except CallSyntaxError as error:
            if not _CALL_LIKE.match(part) and not (tagged and part[:1] == "{"):
                if len(parts) > 1:
                    raise RowError("call_syntax", "calls and text in one response") from None
                if tagged:
                    flags.append("text_in_tool_call")
                return thought, (), part
            if part[:1] not in "[{" or '"name"' not in part:
                raise RowError("call_syntax", f"{error}: {part[:120]}") from None
            calls += read_calls(part)
            flags.append("json_calls")
    return thought, tuple(calls), ""


def _split(results: list[str], calls: int) -> tuple[str, ...]:
    """One result a call: a single message that holds Python's `str(list)` of all of them is taken apart."""
    if len(results) == 1 and results[0].startswith("[") and results[0].endswith("]"):
        try:
            value = ast.literal_eval(results[0])
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return tuple(results)
        if isinstance(value, list) and len(value) == calls and all(isinstance(one, str) for one in value):
            return tuple(value)
    return tuple(results)


def _tools(
    outer: Mapping[str, Any], system: str | None, turns: tuple[Turn, ...], options: Mapping[str, Any]
) -> tuple[tuple[Mapping[str, Any], ...], str | None, list[str]]:
    """The offered tools, the system prompt without them (None for the protocol's default), and flags."""
    if outer.get("tools") is not None:
        tools, flags = read_tools(outer["tools"])
        return tools, _instructions(system), flags
    found = find_tools(system) if system else None
    if found is not None:
        tools, flags = read_tools(found[0])
        return tools, _instructions(found[1]), flags
    if options["tools_missing"] == "reject":
        raise RowError("no_tools")
    calls = (call for turn in turns for step in turn.steps for call in step.calls)
    return infer_tools(calls), _instructions(system), ["tools_inferred"]


def _instructions(system: str | None) -> str | None:
    return None if not system or not system.strip() or system.lstrip().startswith(_BFCL_SYSTEM) else system
