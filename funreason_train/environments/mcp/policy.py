"""Which of a server's tools are offered, and how their documents are written (pure).

The annotations of the protocol are hints and often missing, so a tool without them is taken for one that
changes the session's own state; one that says of itself that it is destructive is offered only if the user
names it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ...calls import is_tool_name
from ...calls.names import is_argument_name
from .schemas import parameters_of
from .servers import SESSION, SessionRules

if TYPE_CHECKING:
    from mcp_types import Tool

_MAKING = re.compile(r"^(create|add|insert|append|make|put|register|import|upload)(?![a-z])")
#: The same where no more follows from it than that an empty answer has found nothing: `note_search`.
_ASKING = re.compile(
    r"^(?:open|query|lookup|look|inspect|browse|select|retrieve|find|filter)(?![a-z])"
    r"|_(?:get|read|find|search|list|show|lookup|query|view|describe)$"
)
_REMOVING = re.compile(r"^(?:delete|remove|drop|erase|unregister)(?![a-z])|_(?:delete|remove)$")
_EDITING = re.compile(
    r"^(?:update|edit|modify|patch|rename|change|amend)(?![a-z])|_(?:update|edit|modify|rename)$"
)
_WRITING = re.compile(
    r"^(?:touch|record|log|mark|complete|finish|start|stop|pause|resume|begin|end|set|save|close|archive"
    r"|clock_in|clock_out|check_in|check_out)(?![a-z])"
)
_READING = re.compile(r"^(list|get|read|show|describe|count|view|status|current|fetch|search|find)(?![a-z])")


def reads_only(tool: Tool) -> bool:
    """Whether the tool says that it changes nothing."""
    return tool.annotations is not None and tool.annotations.read_only_hint is True


def destroys(tool: Tool) -> bool:
    """Whether the tool says that it may destroy something."""
    hints = tool.annotations
    return hints is not None and hints.read_only_hint is not True and hints.destructive_hint is True


def may_observe(tool: Tool) -> bool:
    """Whether the tool may show the state: it needs no argument and reads, as it says or as its name does.

    The SDKs' defaults mark no tool as read-only; whether such a tool answers the same twice is found out
    before it is relied on (`isolation`).
    """
    return not parameters_of(tool.input_schema).get("required") and looks_up(tool)


def looks_up(tool: Tool) -> bool:
    """Whether the tool reads and changes nothing, as it says or as its name does."""
    return not destroys(tool) and (reads_only(tool) or reads_by_name(tool.name))


def reads_by_name(name: str) -> bool:
    """Whether a tool reads and changes nothing, as its name says."""
    return _READING.match(_words(name)) is not None


def asks(tool: Tool) -> bool:
    """Whether the tool looks for something, as it says or as its name does at either end."""
    return not destroys(tool) and (reads_only(tool) or asks_by_name(tool.name))


def asks_by_name(name: str) -> bool:
    """Whether a tool looks for something, as its name says at either end."""
    return reads_by_name(name) or _ASKING.search(_words(name)) is not None


def makes(tool: Tool) -> bool:
    """Whether the tool makes something, as its name says."""
    return not reads_only(tool) and _MAKING.match(_words(tool.name)) is not None


def removes_by_name(name: str) -> bool:
    """Whether a tool takes something away, as its name says."""
    return _REMOVING.search(_words(name)) is not None


def writes_by_name(name: str) -> bool:
    """Whether a tool writes something down, as its name says, be it the time alone."""
    words = _words(name)
    return any(one.search(words) for one in (_MAKING, _EDITING, _REMOVING, _WRITING))


def edits_by_name(name: str) -> bool:
    """Whether a tool makes something that is there another, as its name says."""
    return _EDITING.search(_words(name)) is not None


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.rpartition(".")[2]).lower()


def mended_tool(sent: Any) -> Tool | None:
    """A tool as the protocol has it, from a document that is not quite one; None if it has no name.

    Of hints that cannot be read the worst is believed.
    """
    from mcp_types import Tool
    from pydantic import ValidationError

    if not isinstance(sent, Mapping) or not isinstance(name := sent.get("name"), str):
        return None
    schema = sent.get("inputSchema")
    schema = {**(schema if isinstance(schema, Mapping) else {}), "type": "object"}
    with suppress(ValidationError):
        return Tool.model_validate({**sent, "inputSchema": schema}, by_name=False)
    told = sent.get("description")
    destroys = {"annotations": {"destructiveHint": True}} if sent.get("annotations") else {}
    return Tool.model_validate(
        {
            "name": name,
            "description": told if isinstance(told, str) else "",
            "inputSchema": schema,
            **destroys,
        },
        by_name=False,
    )


def left_out(tools: Sequence[Tool], rules: SessionRules) -> dict[str, str]:
    """The tools that are not offered, each with the reason."""
    found = {tool.name: reason for tool in tools if (reason := _reason(tool, rules))}
    for name, count in Counter(tool.name for tool in tools).items():
        if count > 1:
            found.setdefault(name, f"{count} tools have this name, and only the first is offered")
    return found


def offered(tools: Sequence[Tool], rules: SessionRules) -> list[Tool]:
    """The tools that may be called: those that only read first, each part in the server's order."""
    first: dict[str, Tool] = {}
    for tool in tools:
        first.setdefault(tool.name, tool)
    kept = [tool for tool in first.values() if not _reason(tool, rules)]
    return sorted(kept, key=lambda tool: not reads_only(tool))


def _reason(tool: Tool, rules: SessionRules) -> str:
    """Why a tool is not offered; empty if it is."""
    if tool.name == rules.reset:
        return "resets the server"
    if tool.name in rules.leave_out:
        return "session.leave_out names it"
    if destroys(tool) and tool.name not in rules.allow:
        return "destructive by its own word; session.allow would let it be called"
    if tool.execution is not None and tool.execution.task_support == "required":
        return "works only as a task of the protocol, which calls are not"
    return ""


def unknown_names(tools: Iterable[Tool], rules: SessionRules) -> list[str]:
    """What the rules name and the server does not have, each as a sentence."""
    known = {tool.name for tool in tools}
    named = {
        "reset": [rules.reset] if rules.reset else [],
        "allow": rules.allow,
        "leave_out": rules.leave_out,
        "observe": [one for one in rules.observe or () if one != SESSION],
        "examples": rules.examples,
    }
    found = []
    for key, names_ in named.items():
        for name in names_:
            if name not in known:
                near = get_close_matches(name, known, 1)
                meant = f"; did you mean {near[0]}?" if near else ""
                found.append(f"session.{key} names {name}, which the server does not offer{meant}")
    return found


def names(tools: Iterable[Tool]) -> dict[str, str]:
    """The names under which tools are offered -> the server's own; a name no call can hold gets another."""
    found: dict[str, str] = {}
    for tool in tools:
        name = _spelt(tool.name, "tool") if not is_tool_name(tool.name) else tool.name
        found[_unique(name, found)] = tool.name
    return found


def argument_names(tool: Tool) -> dict[str, str]:
    """The same for a tool's parameters."""
    found: dict[str, str] = {}
    for name in parameters_of(tool.input_schema)["properties"]:
        found[_unique(name if is_argument_name(name) else _spelt(name, "argument"), found)] = name
    return found


def defaults(tool: Tool) -> dict[str, Any]:
    """The parameters that have a default, each with it, under the server's own names."""
    properties = parameters_of(tool.input_schema)["properties"]
    return {name: part["default"] for name, part in properties.items() if "default" in part}


def documents(tools: Sequence[Tool], rules: SessionRules) -> list[dict[str, Any]]:
    """The tools' documents, as `Environment.tools` has them; `examples` besides, which no model is shown."""
    own = {original: name for name, original in names(tools).items()}
    return [_document(own[tool.name], tool, rules) for tool in tools]


def _document(name: str, tool: Tool, rules: SessionRules) -> dict[str, Any]:
    shown = {original: spelt for spelt, original in argument_names(tool).items()}
    parameters = parameters_of(tool.input_schema)
    parameters["properties"] = {shown[one]: part for one, part in parameters["properties"].items()}
    if "required" in parameters:
        parameters["required"] = [shown[one] for one in parameters["required"]]
    document: dict[str, Any] = {
        "name": name,
        "description": tool.description or (tool.annotations and tool.annotations.title) or tool.title or "",
        "parameters": parameters,
    }
    if tool.output_schema:
        document["returns"] = dict(tool.output_schema)
    if examples := rules.examples.get(tool.name):
        document["examples"] = [{shown.get(key, key): v for key, v in one.items()} for one in examples]
    return document


def _spelt(name: str, kind: str) -> str:
    """A name that calls can hold, for one that they cannot."""
    plain = re.sub(r"\W+", "_", name).strip("_")
    fits = is_tool_name if kind == "tool" else is_argument_name
    return plain if fits(plain) else f"{kind}_{plain}".rstrip("_")


def _unique(name: str, taken: Mapping[str, str]) -> str:
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique
