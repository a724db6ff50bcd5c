"""What the formats that hold whole conversations share: the order of messages, and how a response is read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ....calls.parse import CallSyntaxError
from ....calls.types import Call
from ....dialogue.messages import AssistantStep, Turn
from ..names import parse_odd_calls
from ..rows import RowError
from ..toolsets import Tool, find_tools, infer_tools, read_tools, unwrap
from .apigen import read_calls
from .results import Result, arranged, literal

#: Where a row holds its messages, if it is an object.
LISTS = ("conversations", "conversation", "messages", "dialogue")

_WRAPPER = re.compile(r"<(tool_call|answer)>")
_FENCE = re.compile(r"```(?:json|python)?[^\S\n]*\n")
_CALL_LIKE = re.compile(r"\[\s*[\w.-]+\(|\[\s*\{\s*[\"'](name|arguments|function)[\"']|[\w.-]+\([^)]*\)\s*\Z")
_JSON_CALL = re.compile(
    r"\{\s*[\"'](?:name|function|type|id)[\"']\s*:.*[\"'](?:arguments|parameters)[\"']", re.DOTALL
)
_BFCL_SYSTEM = "You are an expert in composing functions"


def messages_of(row: Any) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """What stands on the row beside the messages, and the messages.

    Args:
        row: A list of messages, or an object that holds one under a name of `LISTS`, or in the hub viewer's
            columns '0', '1', … '10', which are put into numeric order; JSON text of a list or a message is
            opened.

    Raises:
        RowError: `row_shape`, `invalid_json`.
    """
    outer: Mapping[str, Any] = row if isinstance(row, Mapping) else {}
    messages = row
    if isinstance(row, Mapping):
        key = next((key for key in LISTS if row.get(key)), None)
        numbered = sorted((key for key in row if key.isascii() and key.isdecimal()), key=int)
        messages = row[key] if key else [row[number] for number in numbered if row[number] is not None]
    if isinstance(messages, str):
        messages = unwrap(messages)
    if not isinstance(messages, Sequence) or isinstance(messages, (str, bytes)) or not messages:
        raise RowError("row_shape", "the row holds no list of messages")
    opened = [unwrap(message) if isinstance(message, str) else message for message in messages]
    for message in opened:
        if not isinstance(message, Mapping):
            raise RowError("row_shape", f"a message is a {type(message).__name__}, not an object")
    return outer, opened


def identity(outer: Mapping[str, Any]) -> str:
    """The row's own id, as text; empty if it has none."""
    found = next((outer[key] for key in ("id", "task_id") if outer.get(key) is not None), "")
    return found if isinstance(found, str) else json.dumps(found, default=str)


@dataclass(frozen=True)
class Offer:
    """The tools that a row offers.

    Attributes:
        tools: None where the row has no list.
        system: The system prompt without them; None for the protocol's default.
        flags: What had to be mended.
    """

    tools: tuple[Tool, ...] | None
    system: str | None
    flags: list[str]

    def infer(
        self, turns: Sequence[Turn], missing: str, untrained: Sequence[str] = ()
    ) -> tuple[tuple[Tool, ...], list[str]]:
        """The tools and flags, whatever the row says.

        Args:
            turns: The conversation.
            missing: What to do without any list: `infer` (offer what the gold calls show) or `reject`.
            untrained: `TURN.RESPONSE` of those whose calls are no gold.

        Raises:
            RowError: `no_tools`.
        """
        if self.tools is not None:
            return self.tools, self.flags
        if missing == "reject":
            raise RowError("no_tools")
        calls = (
            call
            for number, turn in enumerate(turns)
            for place, step in enumerate(turn.steps)
            if f"{number}.{place}" not in untrained
            for call in step.calls
        )
        return infer_tools(calls), [*self.flags, "tools_inferred"]


def offered_tools(declared: Any, system: str | None) -> Offer:
    """The tools that a row states.

    Args:
        declared: The row's own tool list; None if it has none.
        system: The system prompt, which is searched for a list where there is no other.

    Raises:
        RowError: as `read_tools`.
    """
    if declared is not None:
        tools, flags = read_tools(declared)
        return Offer(tools, _instructions(system), flags)
    found = find_tools(system) if system else None
    if found is None:
        return Offer(None, _instructions(system), [])
    tools, flags = read_tools(found[0])
    return Offer(tools, _instructions(found[1]), flags)


class Conversation:
    """Takes the messages one by one and insists on their order.

    Attributes:
        instructions: The system message; None without one.
        flags: What had to be mended.
        untrained: `TURN.RESPONSE` of the responses that are history alone.

    Args:
        declared: The row's own tool list; None if it has none.
    """

    def __init__(self, declared: Any = None) -> None:
        self._declared = declared
        self.instructions: str | None = None
        self.flags: list[str] = []
        self.untrained: list[str] = []
        self._turns: list[Turn] = []
        self._user: str | None = None
        self._steps: list[AssistantStep] = []
        self._ids: Sequence[str | None] = ()
        self._results: list[Result] = []
        self._last = ""

    @cached_property
    def offer(self) -> Offer:
        """The tools that the row states; asked for once the system message is there.

        Raises:
            RowError: as `read_tools`.
        """
        return offered_tools(self._declared, self.instructions)

    def system(self, text: str) -> None:
        """A system message; several at the beginning are joined.

        Raises:
            RowError: `role_order`.
        """
        if self._last not in ("", "system"):
            raise RowError("role_order", "a system message after the first message")
        self.instructions = text if self.instructions is None else f"{self.instructions}\n\n{text}"
        self._last = "system"

    def user(self, text: str) -> None:
        """A user message.

        Raises:
            RowError: `role_order`, `missing_field`, `call_without_result`.
        """
        if self._last == "user":
            raise RowError("role_order", "two user messages in a row")
        if not text.strip():
            raise RowError("missing_field", "a user message is empty")
        self._close_turn(ended=False)
        self._user, self._last = text, "user"

    def respond(
        self,
        thought: str,
        calls: tuple[Call, ...],
        text: str,
        ids: Sequence[str | None] = (),
        trained: bool = True,
    ) -> None:
        """An assistant message; `ids` name its calls, if the format names them.

        One that is not `trained` stands in the history of those after it, and is no target itself.

        Raises:
            RowError: `role_order`, `call_without_result`.
        """
        if self._user is None:
            raise RowError("role_order", "a response before the first user message")
        if self._last == "assistant":
            raise RowError("role_order", "two responses in a row")
        self._close_step(ended=False)
        if not trained:
            self.untrained.append(f"{len(self._turns)}.{len(self._steps)}")
        self._steps.append(AssistantStep(thought, calls, text))
        self._ids = ids if all(ids) else ()
        self._last = "assistant"

    def result(self, text: str, id: str | None = None, name: str | None = None) -> None:
        """A tool message; `id` or else `name` tells the call that it answers, if the format does.

        Raises:
            RowError: `role_order`, `result_without_call`.
        """
        if self._last not in ("assistant", "tool"):
            raise RowError("role_order", "a tool message that answers no response")
        if not self._steps[-1].calls:
            raise RowError("result_without_call")
        if self._ids and id is not None:
            if id not in self._ids:
                raise RowError(
                    "result_without_call", f"a tool message answers the call {id!r:.60}, which is not there"
                )
            if any(id == other.id for other in self._results):
                raise RowError("result_without_call", f"two tool messages answer the call {id!r:.60}")
        self._results.append(Result(text, id, name))
        self._last = "tool"

    def finish(self) -> tuple[Turn, ...]:
        """The conversation's turns.

        Raises:
            RowError: `missing_field`, `call_without_result`, `untrained`.
        """
        if self._last == "user":
            self.flags.append("unanswered_user_dropped")
            self._user = None
        self._close_turn(ended=True)
        if not self._turns:
            raise RowError("missing_field", "the conversation has no response")
        if len(self.untrained) == sum(len(turn.steps) for turn in self._turns):
            raise RowError("untrained")
        return tuple(self._turns)

    def _close_turn(self, ended: bool) -> None:
        self._close_step(ended)
        if self._user is not None:
            self._turns.append(Turn(self._user, tuple(self._steps)))
        self._user, self._steps = None, []

    def _close_step(self, ended: bool) -> None:
        if not self._steps or not self._steps[-1].calls:
            return
        step = self._steps[-1]
        if not self._results:
            if not ended:
                if self._ids:
                    raise RowError("call_without_result")
                self.flags.append("calls_unanswered")
            return
        results, whole = arranged(self._results, self._ids, [call.name for call in step.calls])
        if not whole:
            self.flags.append("results_not_one_a_call")
        self._steps[-1] = AssistantStep(step.thought, step.calls, step.text, results)
        self._results, self._ids = [], ()


def read_response(
    content: str, flags: list[str], tools: Sequence[Tool] | None = None
) -> tuple[str, tuple[Call, ...], str]:
    """An assistant message as thought, calls and text.

    Args:
        content: As the data set writes it.
        tools: The offered ones; a call list may use their names even where the call language has no spelling.
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
    wrapped, outside = _wrapped(body)
    tagged = any(tag == "tool_call" for tag, _ in wrapped)
    if wrapped and outside:
        raise RowError("call_syntax", "text stands beside the tagged answer")
    parts = [text for _, text in wrapped] or [body]
    if not any(parts):
        raise RowError("empty_answer")
    calls: list[Call] = []
    for part in parts:
        bare = _unfenced(part)
        try:
            calls += parse_odd_calls(bare, tools or ())
        except CallSyntaxError as error:
            if by_name := _calls_by_name(bare, tools or ()):
                calls += by_name
                flags.append("json_calls")
                continue
            in_json = _JSON_CALL.match(bare) or (tagged and bare[:1] == "{")
            if not in_json and not _CALL_LIKE.match(bare):
                if len(parts) > 1:
                    raise RowError("call_syntax", "calls and text in one response") from None
                if tagged:
                    flags.append("text_in_tool_call")
                return thought, (), part
            if bare[:1] not in "[{" or not ('"name"' in bare or "'name'" in bare):
                raise RowError("call_syntax", f"{error}: {bare[:120]}") from None
            calls += _json_calls(bare)
            flags.append("json_calls")
    return thought, tuple(calls), ""


def _wrapped(body: str) -> tuple[list[tuple[str, str]], str]:
    """What stands inside pairs of tags, as (tag, text), and what stands outside; in linear time."""
    found, outside, at, unclosed = [], [], 0, set()  # type: list[tuple[str, str]], list[str], int, set[str]
    for opening in _WRAPPER.finditer(body):
        tag = opening.group(1)
        if opening.start() < at or tag in unclosed:
            continue
        end = body.find(f"</{tag}>", opening.end())
        if end < 0:
            unclosed.add(tag)
            continue
        found.append((tag, body[opening.end() : end].strip()))
        outside.append(body[at : opening.start()])
        at = end + len(f"</{tag}>")
    return found, "".join([*outside, body[at:]]).strip()


def _unfenced(text: str) -> str:
    """The text inside a Markdown fence that is all there is; any other text as it stands."""
    opening = _FENCE.match(text)
    if opening is None or not text.endswith("```"):
        return text
    inside, _, last = text[opening.end() - 1 : -3].rpartition("\n")
    return text if last.strip() else inside.strip()


def _json_calls(text: str) -> tuple[Call, ...]:
    """Calls written as JSON, as objects one after the other, or as Python writes such a list.

    Raises:
        RowError: as `read_calls`.
    """
    try:
        return read_calls(text)
    except RowError as error:
        if error.reason != "invalid_json":
            raise
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1 and all(line.lstrip().startswith("{") for line in lines):
            return tuple(call for line in lines for call in read_calls(line))
        value = literal(text)
        if not isinstance(value, (list, dict)):
            raise
        return read_calls(value)


def _calls_by_name(text: str, tools: Sequence[Tool]) -> tuple[Call, ...]:
    """Calls written as `{TOOL: {ARGUMENT: VALUE}}` or a list of these, as BFCL has them; else none.

    Raises:
        RowError: `call_syntax` for JSON that names a tool in another way, beside what may be its arguments.
    """
    if text[:1] not in ("[", "{"):
        return ()
    try:
        value = unwrap(text)
    except RowError:
        value = literal(text)
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(one, Mapping) and one for one in found):
        return ()
    names = {tool["name"] for tool in tools}
    pairs = [pair for one in found for pair in one.items()]
    if all(name in names and isinstance(arguments, Mapping) for name, arguments in pairs):
        return tuple(Call(name, dict(arguments)) for name, arguments in pairs)
    named = any(isinstance(one, str) and one in names for _, one in pairs)
    if named and any(isinstance(one, Mapping) for _, one in pairs) and not _JSON_CALL.match(text):
        raise RowError("call_syntax", f"JSON that names a tool is no form of a call: {text[:120]}")
    return ()


def _instructions(system: str | None) -> str | None:
    return None if not system or not system.strip() or system.lstrip().startswith(_BFCL_SYSTEM) else system
