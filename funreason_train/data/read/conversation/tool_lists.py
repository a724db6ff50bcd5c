"""The tool lists that stand beside a conversation's messages, under whichever key of the row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..fields import blank, field_name
from ..json_text import opened_if_text
from ..parameters import PARAMETERS, is_schema
from ..rows import RowError

#: Where a row or a system message holds its tools.
TOOLS = ("tools", "functions", "tools_json")
#: Where some rows hold them; other rows mean something else by these names.
_OFTEN_TOOLS = (
    *("available_tools", "available_functions", "tool_list", "tools_list", "function_list", "functions_list"),
    *(
        "tool_schemas",
        "tool_definitions",
        "function_definitions",
        "function_descriptions",
        "api_list",
        "apis",
    ),
    *("function_description", "tool_descriptions", "function", "tool", "tools_str", "functions_json", "func"),
)
_HOLDERS = (*TOOLS, *_OFTEN_TOOLS)
_MEDIA = ("images", "image", "videos", "video", "audios", "audio")


def stated_lists(outer: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
    """The tool lists of a row.

    Args:
        outer: The row without its messages.

    Returns:
        Those that say something first; and the keys other than `TOOLS` that they stand under.
    """
    declared = [key for key in TOOLS if key in outer]
    listed = [outer[key] for key in declared if not blank(outer[key])]
    if listed:
        return listed, []
    for key in _OFTEN_TOOLS:
        if _are_tools(outer.get(key)):
            return [outer[key]], [key]
    return [outer[key] for key in declared], []


def check_unread(outer: Mapping[str, Any], known: Collection[str]) -> None:
    """Makes sure that a row without tools has none under a key that is not read, at the row or below it.

    Raises:
        RowError: `tool_shape`.
    """
    for key, value in outer.items():
        if key in known or blank(value):
            continue
        below = opened_if_text(value)
        held = [(key, value)]
        if isinstance(below, Mapping):
            held += [(f"{key}.{inner}", below[inner]) for inner in _HOLDERS if inner in below]
        for name, one in held:
            if _are_tools(one):
                raise RowError("tool_shape", f"the row has tools under {field_name(name)}, which is not read")


def check_media(outer: Mapping[str, Any]) -> None:
    """Makes sure that no picture or sound belongs to a row.

    Raises:
        RowError: `row_shape`.
    """
    for key in _MEDIA:
        if not blank(outer.get(key)):
            raise RowError("row_shape", f"the row has {key}, which are not read")


def _are_tools(value: Any) -> bool:
    """Whether a value is a list of tools beyond doubt, also as JSON text."""
    value = opened_if_text(value)
    return isinstance(value, list) and bool(value) and all(map(_is_tool, value))


def _is_tool(value: Any) -> bool:
    if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping):
        value = value["function"]
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return False
    parameters = next((value[key] for key in PARAMETERS if key in value), None)
    described = isinstance(value.get("description"), str) and parameters is not None
    return described or (isinstance(parameters, Mapping) and is_schema(parameters))
