"""Which of a server's tools are offered, and how their documents are written (pure).

The annotations of the protocol are hints and often missing, so a tool without them is taken for one that
changes the session's own state; one that says of itself that it is destructive is offered only if the user
names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...calls import is_tool_name
from .servers import SessionRules

if TYPE_CHECKING:
    from mcp_types import Tool


def reads_only(tool: Tool) -> bool:
    """Whether the tool says that it changes nothing."""
    return tool.annotations is not None and tool.annotations.read_only_hint is True


def destroys(tool: Tool) -> bool:
    """Whether the tool says that it may destroy something."""
    hints = tool.annotations
    return hints is not None and hints.read_only_hint is not True and hints.destructive_hint is True


def offered(tools: Sequence[Tool], rules: SessionRules) -> list[Tool]:
    """The tools that may be called: those that only read first, each part in the server's order."""
    kept = [
        tool
        for tool in tools
        if tool.name != rules.reset and (not destroys(tool) or tool.name in rules.allow)
    ]
    return sorted(kept, key=lambda tool: not reads_only(tool))


def names(tools: Iterable[Tool]) -> dict[str, str]:
    """The names under which tools are offered -> the server's own; a name no call can hold gets another."""
    found: dict[str, str] = {}
    for tool in tools:
        name = tool.name if is_tool_name(tool.name) else "tool_" + re.sub(r"\W+", "_", tool.name).strip("_")
        if not is_tool_name(tool.name) and is_tool_name(name.removeprefix("tool_")):
            name = name.removeprefix("tool_")
        unique, number = name, 2
        while unique in found:
            unique, number = f"{name}_{number}", number + 1
        found[unique] = tool.name
    return found


def documents(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """The tools' documents, as `Environment.tools` has them."""
    own = {original: name for name, original in names(tools).items()}
    return [_document(own[tool.name], tool) for tool in tools]


def _document(name: str, tool: Tool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": name,
        "description": tool.description or (tool.annotations and tool.annotations.title) or tool.title or "",
        "parameters": _parameters(tool.input_schema),
    }
    if tool.output_schema:
        document["returns"] = dict(tool.output_schema)
    return document


def _parameters(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """The schema as it stands, with the parts that every tool's has."""
    return {"type": "object", "properties": {}, **{k: v for k, v in (schema or {}).items() if k != "$schema"}}
