"""One message of a conversation in any chat format, handed to a `Conversation`.

Roles and fields of OpenAI's chat format, of ShareGPT and its relatives, of Anthropic's and LLaMA-Factory's
content parts, and the tags in which Hermes and Qwen wrap results are read alike, whatever the format is
called. A field that is not read is flagged by its name, if it has content.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ....calls.notations.objects import is_call_object
from ....calls.types import Call
from ....dialogue.messages import Trajectory
from ..fields import blank, field_name, says_nothing, unread
from ..json_text import opened, opened_if_text, unwrap
from ..rows import RowError
from .calls import call_id, read_calls
from .chat import RESULT_IDS, RESULT_NAMES, Conversation, identity, messages_of
from .endings import REASONS, check_ending, without_end_marker
from .padding import without_padding
from .parallel import joined
from .parts import Said, identifier, one_of, sorted_content, stated
from .responses import read_response
from .results import tagged_results
from .thought_fields import THOUGHTS, stated_thoughts
from .tool_lists import TOOLS, check_media, check_unread, stated_lists

ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "model", "bot", "ai", "chatbot"), "assistant"),
    **dict.fromkeys(("function_call", "tool_call", "tool_calls", "function_calls", "functioncall"), "calls"),
    **dict.fromkeys(("tool", "observation", "tool_response", "function_response"), "result"),
    **dict.fromkeys(("function", "tool_result", "ipython", "tool_output", "function_result"), "result"),
}

#: Fields that say whether a response is a target: 0, false or a text of these, it is history alone.
_WEIGHTS = (
    *("weight", "loss_weight", "train", "loss", "loss_mask", "loss_scale", "trainable", "training"),
    *("should_train", "compute_loss", "is_trained", "supervised", "train_mask", "step_loss_mask"),
    *("loss_multiplier",),
)
#: Fields that say it the other way round: if true, a response is history alone.
_MASKS = ("masked", "ignore_loss", "no_loss")
_CALLS = (
    *("tool_calls", "function_call", "tool_call", "function_calls", "toolCalls", "functionCall", "calls"),
    *("functionCalls", "tool_uses"),
)
_WHO, _SAID = ("role", "from"), ("content", "value")

_WEIGHED = frozenset((*_WEIGHTS, *_MASKS))
_WANTED = ("label", "kto_tag")  # whether a row's answer is wanted, as TRL and LLaMA-Factory have it for KTO
_OF_ROWS = frozenset(("id", "task_id", "system", *TOOLS))
_OF_ALL = frozenset((*_WHO, *_SAID, *_WEIGHTS, *_MASKS))
_FIELDS = {
    "system": _OF_ALL | set(TOOLS),
    "user": _OF_ALL,
    "assistant": _OF_ALL | {*THOUGHTS, *_CALLS, *REASONS, "refusal"},
    "calls": _OF_ALL | {*THOUGHTS, *_CALLS, *REASONS},
    "result": _OF_ALL | {*RESULT_IDS, *RESULT_NAMES},
}
_EVERYBODY = ("all", "user", "assistant", "human")  # whom a reply is for; a call is for its tool
_SAYS = {"false": 0, "no": 0, "true": 1, "yes": 1}


def read_chat(
    row: Any,
    options: Mapping[str, Any],
    source: str,
    *,
    of_rows: Collection[str] = (),
    of_messages: Collection[str] = (),
) -> Trajectory:
    """One row as a conversation.

    Args:
        row: An object with a list of messages, or the list itself (see `chat.messages_of`).
        options: The data set's node of the config: `tools_missing` (infer: the tools are what the gold calls
            show; reject) and, if the format has it, `text_with_calls` (see `add_message`).
        source: The format's name.
        of_rows: Fields of the row that the format itself looks at.
        of_messages: Those of its messages.

    Raises:
        RowError: the row cannot be used.
    """
    outer, messages = messages_of(row)
    check_media(outer)
    judged = [key for key in _WANTED if isinstance(outer.get(key), bool)]
    if not all(outer[key] for key in judged):
        raise RowError("unwanted", f"the row's {' and '.join(judged)} says that its answer is not wanted")
    listed, elsewhere = stated_lists(outer)
    chat = Conversation(listed[0] if listed else None)
    for other in listed[1:]:
        if not blank(other):
            chat.declare(other)
    known = _OF_ROWS | {*of_rows, *elsewhere, *judged}
    flags = unread("row", outer, known)
    policy = sorted_content(outer.get("system"), "system", flags)
    if "".join(policy.texts).strip():
        chat.system(_text(policy, outer))
    for message in joined(messages, _is_call):
        add_message(
            chat, message, text_with_calls=options.get("text_with_calls", "reject"), also_read=of_messages
        )
    turns = chat.finish()
    if chat.offer.tools is None and not chat.offer.none:
        check_unread(outer, known)
    tools, raised = chat.offer.infer(turns, options["tools_missing"], chat.untrained)
    flags = [*chat.flags, *raised, *flags]
    if chat.offer.tools is not None:
        turns = without_padding(turns, tools, flags)
    return Trajectory(
        id=identity(outer),
        source=source,
        tools=tools,
        turns=turns,
        system=chat.offer.system,
        meta=({"flags": flags} if flags else {}) | ({"untrained": chat.untrained} if chat.untrained else {}),
    )


def add_message(
    chat: Conversation,
    message: Mapping[str, Any],
    *,
    text_with_calls: str,
    also_read: Collection[str] = (),
) -> None:
    """Reads a message.

    Args:
        chat: Receives it.
        message: The message.
        text_with_calls: What becomes of a text beside calls: `thought`, `drop` or `reject`.
        also_read: Fields that the format itself looks at.

    Raises:
        RowError: the row cannot be used.
    """
    who = _who(message)
    if not _FIELDS[who].issuperset(message):
        used = {"id"} if who == "result" and chat.is_call(message.get("id")) else set()
        chat.flags += _unread(message, who, _FIELDS[who] | set(also_read) | used)
    said = sorted_content(stated(message, _SAID), who, chat.flags)
    if who in ("assistant", "calls"):
        _respond(chat, message, said, who, text_with_calls)
        return
    if not _WEIGHED.isdisjoint(message) and any(
        _weight(message.get(key)) not in (None, 0) for key in _WEIGHTS
    ):
        chat.flags.append("message_weight_ignored")  # whoever speaks here is never a target
    if who == "result":
        _results(chat, message, said)
    elif who == "system":
        declared = [message[key] for key in TOOLS if not blank(message.get(key))]
        for one in declared:
            chat.declare(one)
        text = _text(said, message)
        if text.strip() or not declared:
            chat.system(text)
    else:
        _user(chat, said, message)


def _who(message: Mapping[str, Any]) -> str:
    role = stated(message, _WHO)
    who = _kind(role)
    if who is None and role is None:
        raise RowError("row_shape", f"a message has no role{_but(message)}")
    if who is None:
        raise RowError("row_shape", f"a message has the role {role!r:.40}, which is not read")
    return who


def _but(message: Mapping[str, Any]) -> str:
    """The fields that a message does have, for one that lacks what it needs."""
    named = ", ".join(
        field_name(key) for key, value in message.items() if key not in _WHO and not blank(value)
    )
    return f", but {named:.120}" if named else ""


def _is_call(message: Mapping[str, Any]) -> bool:
    return _kind(message.get("role", message.get("from"))) == "calls"


def _kind(role: Any) -> str | None:
    if not isinstance(role, str):
        return None
    return ROLES.get(role) or ROLES.get(role.lower().replace("-", "_"))


def _unread(message: Mapping[str, Any], who: str, known: Collection[str]) -> list[str]:
    """A flag for each field that is not read; a response without its calls would be another one.

    Raises:
        RowError: `call_syntax` for calls in such a field, `row_shape` for a result that stands in one alone.
    """
    flags = unread("message", message, known)
    if not flags:
        return flags
    named = ", ".join(flag.partition(":")[2] for flag in flags)
    if who == "result" and all(blank(message.get(key)) for key in _SAID):
        raise RowError("row_shape", f"a tool message has no content, but {named}, which is not read")
    if who == "assistant":
        addressed = message.get("recipient")
        if not blank(addressed) and addressed not in _EVERYBODY:
            raise RowError("call_syntax", f"a response is addressed to {addressed!s:.60}, which is not read")
        rest = {key: value for key, value in message.items() if key not in known and not blank(value)}
        if (len(rest) > 1 and is_call_object(rest)) or any(
            is_call_object(opened_if_text(one)) for one in rest.values()
        ):
            raise RowError("call_syntax", f"a response has calls under {named}, which is not read")
    return flags


def _text(said: Said, message: Mapping[str, Any]) -> str:
    """The text of a message that is nothing else.

    Raises:
        RowError: `row_shape`.
    """
    if said.calls or said.thoughts or said.results:
        raise RowError("row_shape", "a message that is not a response holds calls, thoughts or results")
    if not said.texts and stated(message, _SAID) is None:
        raise RowError("row_shape", f"a message has no content{_but(message)}")
    return "".join(said.texts)


def _user(chat: Conversation, said: Said, message: Mapping[str, Any]) -> None:
    """A user's message; Anthropic's API and Qwen's template put the results of calls into one."""
    if said.results:
        for text, named in said.results:
            chat.result(text, named)
        said.results = []
        if not "".join(said.texts).strip():
            return
    text = _text(said, message)
    if chat.awaits_results and (found := tagged_results(text)):
        for one in found:
            chat.result(one.text, one.id, one.name)
        return
    chat.user(text)


def _results(chat: Conversation, message: Mapping[str, Any], said: Said) -> None:
    if said.calls or said.thoughts:
        raise RowError("row_shape", "a tool message holds calls or thoughts")
    for text, named in said.results:
        chat.result(text, named)
    if said.results and not said.texts:
        return
    text = "".join(said.texts)
    own = chat.answered(message), identifier(one_of(message, RESULT_NAMES))
    found = tagged_results(text)
    if len(found) == 1 and (own[0] or own[1]):
        chat.result(found[0].text, *own)
        return
    for one in found:
        chat.result(one.text, one.id, one.name)
    if not found:
        chat.result(text, *own)


def _respond(
    chat: Conversation, message: Mapping[str, Any], said: Said, who: str, text_with_calls: str
) -> None:
    tools = chat.offer.tools
    calls, ids = _declared_calls(chat, message, said)
    check_ending(message, chat.flags)
    content = without_end_marker("".join(said.texts), chat.flags)
    if who == "calls" and content.strip():
        if calls:
            raise RowError("call_syntax", "a message of calls has others in another field")
        try:
            calls, content = read_calls(content, tools, chat.flags), ""
        except RowError as error:  # a call list, tags, a thought before it
            if error.reason != "invalid_json":
                raise
            calls, thought = _called(content, chat, error)
            said.thoughts.append(thought)
            content = ""
    refusal = message.get("refusal")
    if calls and says_nothing(content):
        content = ""  # a table's null
    if not calls and not content.strip() and isinstance(refusal, str):
        content = refusal
    elif not blank(refusal) and refusal != content:
        chat.flags.append("unread_message_field:refusal")
    thoughts = [one.strip() for one in stated_thoughts(message, chat.flags) + said.thoughts]
    text = ""
    if content.strip():
        thought, made, text = read_response(
            content, chat.flags, tools, text_beside=True, calls_beside=bool(calls)
        )
        thoughts.append(thought)
        if calls and made and made != calls:
            raise RowError("call_syntax", "a message has tool_calls and other calls in its content")
        calls = calls or made
        if calls and text:
            if text_with_calls == "reject":
                raise RowError("call_syntax", "text and calls stand in one response")
            if text_with_calls == "thought":
                thoughts.append(text)
            chat.flags.append(
                f"text_with_calls_{'in_thought' if text_with_calls == 'thought' else 'dropped'}"
            )
    elif not calls:
        raise RowError("empty_answer")
    thought = "\n\n".join(dict.fromkeys(one for one in thoughts if one))
    chat.respond(thought, calls, "" if calls else text, ids, trained=_trained(message, chat.flags))


def _called(content: str, chat: Conversation, error: RowError) -> tuple[tuple[Call, ...], str]:
    """The calls and the thought of a message of calls that is not plain JSON.

    Raises:
        RowError: what the JSON lacks, if it is no other form of calls either.
    """
    if content.lstrip()[:1] not in ("[", "<"):
        raise error
    try:
        thought, calls, _ = read_response(content, chat.flags, chat.offer.tools)
    except RowError:
        raise error from None
    if not calls:
        raise error
    return calls, thought


def _declared_calls(
    chat: Conversation, message: Mapping[str, Any], said: Said
) -> tuple[tuple[Call, ...], list[str | None]]:
    """The calls that stand in fields and parts of their own, and their ids.

    Raises:
        RowError: as `read_calls`.
    """
    found: list[list[Any]] = [said.calls] if said.calls else []
    for key in _CALLS:
        value = message.get(key)
        if blank(value) or says_nothing(value):
            continue
        if isinstance(value, str):
            value = opened(value)
        if not blank(value):
            found.append(value if isinstance(value, list) else [value])
    if not found:
        return (), []
    made = []
    for one in found[0]:
        if isinstance(one, str) and one.lstrip()[:1] in ("{", "["):
            one = unwrap(one)
        made += one if isinstance(one, list) else [one]
    calls = read_calls(made, chat.offer.tools, chat.flags)
    for others in found[1:]:
        if read_calls(others, chat.offer.tools) != calls:
            raise RowError("call_syntax", "a message declares different calls in two fields")
    ids = [identifier(call_id(one)) for one in made]
    stated = [one for one in ids if one is not None]
    return calls, [] if len(set(stated)) < len(stated) else ids  # ids that repeat name nothing


def _trained(message: Mapping[str, Any], flags: list[str]) -> bool:
    """Whether a response is a target: no field weighs it 0. Weights other than 0 and 1 are flagged."""
    if _WEIGHED.isdisjoint(message):
        return True
    weights = [_weight(message.get(key)) for key in _WEIGHTS]
    weights += [None if one is None else 1 - one for one in (_weight(message.get(key)) for key in _MASKS)]
    told = [one for one in weights if one is not None]
    if any(one not in (0, 1) for one in told):
        flags.append("message_weight_ignored")
    return 0 not in told


def _weight(value: Any) -> float | None:
    """A weight as a number; None where none is stated, NaN for one that cannot be understood."""
    if blank(value):
        return None
    if isinstance(value, str):
        value = _SAYS.get(value.strip().lower(), value)
    try:
        return float(value) if isinstance(value, (str, bool, int, float)) else float("nan")
    except (ValueError, OverflowError):
        return float("nan")
