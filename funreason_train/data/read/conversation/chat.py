"""What the formats that hold whole conversations share: where the messages are, and their order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ....calls.types import Call
from ....dialogue.messages import AssistantStep, Turn
from ..fields import field_name
from ..instructions import own_instructions
from ..json_text import opened, unwrap
from ..rows import RowError
from ..system import find_tools
from ..toolsets import Tool, infer_tools, no_tools, read_tools
from .parts import identifier, one_of
from .results import Result, arranged

#: Where a row holds its messages, if it is an object.
LISTS = ("conversations", "conversation", "messages", "dialogue", "traj")


def messages_of(row: Any) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """What stands on the row beside the messages, and the messages.

    Args:
        row: A list of messages, or an object that holds one under a name of `LISTS`, or in the hub viewer's
            columns '0', '1', … '10', which are put into numeric order; JSON text of a list or a message is
            opened.

    Raises:
        RowError: `row_shape`, `invalid_json`.
    """
    outer: Mapping[str, Any] = {}
    messages = row
    if isinstance(row, Mapping):
        key = next((key for key in LISTS if row.get(key)), None)
        numbered = sorted((key for key in row if key.isascii() and key.isdecimal()), key=int)
        messages = row[key] if key else [row[number] for number in numbered if row[number] is not None]
        used = {key} if key else set(numbered)
        outer = {name: value for name, value in row.items() if name not in used}
    if isinstance(messages, str):
        messages = opened(messages)
    if not isinstance(messages, Sequence) or isinstance(messages, (str, bytes)) or not messages:
        named = ", ".join(map(field_name, list(row)[:8])) if isinstance(row, Mapping) else ""
        raise RowError("row_shape", f"the row holds no list of messages{', but ' * bool(named)}{named}")
    listed = [unwrap(message) if isinstance(message, str) else message for message in messages]
    for message in listed:
        if not isinstance(message, Mapping):
            raise RowError("row_shape", f"a message is a {type(message).__name__}, not an object")
    return outer, listed


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
        flags: What had to be repaired.
        none: Whether the row says in so many words that it has no tools.
    """

    tools: tuple[Tool, ...] | None
    system: str | None
    flags: list[str]
    none: bool = False

    def infer(
        self, turns: Sequence[Turn], missing: str, untrained: Sequence[str] = ()
    ) -> tuple[tuple[Tool, ...], list[str]]:
        """The tools and flags, whatever the row says.

        Args:
            turns: The conversation.
            missing: What to do without any list: `infer` (offer what the gold calls show) or `reject`.
            untrained: `TURN.RESPONSE` of those whose calls are not gold.

        Raises:
            RowError: `no_tools`.
        """
        if self.tools is not None:
            return self.tools, self.flags
        calls = [
            call
            for number, turn in enumerate(turns)
            for place, step in enumerate(turn.steps)
            if f"{number}.{place}" not in untrained
            for call in step.calls
        ]
        if self.none and not calls:
            return (), self.flags
        if missing == "reject":
            raise RowError("no_tools")
        return infer_tools(calls), [*self.flags, "tools_inferred"]


def offered_tools(declared: Any, system: str | None) -> Offer:
    """The tools that a row states.

    Args:
        declared: The row's own tool list; None, or an empty text or its like (see `no_tools`), if it has
            none.
        system: The system prompt, which is searched for a list where there is no other. A list in it that
            says the same as the row's own does not stay there.

    Raises:
        RowError: as `read_tools`.
    """
    found = find_tools(system) if system else None
    if no_tools(declared):
        if found is None:
            own, dropped = own_instructions(system)
            return Offer(None, own, dropped, none=declared is not None)
        tools, flags = read_tools(found[0])
        own, dropped = own_instructions(found[1])
        return Offer(tools, own, flags + dropped)
    tools, flags = read_tools(declared)
    if found is not None and {tool["name"] for tool in _readable(found[0])} <= {
        tool["name"] for tool in tools
    }:
        system = found[1]
    own, dropped = own_instructions(system)
    return Offer(tools, own, flags + dropped)


def _readable(declared: Any) -> tuple[Tool, ...]:
    try:
        return read_tools(declared)[0]
    except RowError:
        return ()


#: Fields of a tool message that say which call it answers, and of which tool.
RESULT_IDS = ("tool_call_id", "tool_use_id", "call_id", "toolCallId", "toolUseId")
RESULT_NAMES = ("name", "tool_name", "toolName")


class Conversation:
    """Takes the messages one by one and insists on their order.

    Attributes:
        instructions: The system message; None without one.
        flags: What had to be repaired.
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

    def declare(self, declared: Any) -> None:
        """A tool list that stands on a message.

        Raises:
            RowError: `tool_shape` if there is another one.
        """
        if no_tools(self._declared):
            self._declared = declared
        elif self._declared != declared:
            raise RowError("tool_shape", "the row declares two different tool lists")

    @property
    def awaits_results(self) -> bool:
        """Whether the response before has called something and a result may come."""
        return self._last in ("assistant", "tool") and bool(self._steps and self._steps[-1].calls)

    def answered(self, message: Mapping[str, Any]) -> str | None:
        """The id of the call that a tool message answers; its own id, where that is a call's."""
        stated, own = one_of(message, RESULT_IDS), message.get("id")
        return identifier(own if stated is None and self.is_call(own) else stated)

    def is_call(self, id: Any) -> bool:
        """Whether this is the id of a call of the last response."""
        return id is not None and identifier(id) in self._ids

    def system(self, text: str) -> None:
        """A system message; several at the beginning are joined, unless they say the same.

        Raises:
            RowError: `role_order`.
        """
        if self._last not in ("", "system"):
            raise RowError("role_order", "a system message after the first message")
        if self.instructions is None:
            self.instructions = text
        elif self.instructions.strip() != text.strip():  # a row may state it beside its messages as well
            self.instructions = f"{self.instructions}\n\n{text}"
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
        self._ids = ids if any(ids) else ()
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
            if id not in self._ids and all(self._ids):
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
                if self._ids and all(self._ids):
                    raise RowError("call_without_result")
                self.flags.append("calls_unanswered")
            return
        results, whole = arranged(self._results, self._ids, [call.name for call in step.calls])
        if not whole:
            self.flags.append("results_not_one_a_call")
        called = {call.name for call in step.calls}
        if any(one.name is not None and one.name not in called for one in self._results):
            self.flags.append("result_of_another_tool")
        self._steps[-1] = AssistantStep(step.thought, step.calls, step.text, results)
        self._results, self._ids = [], ()
