"""Nulls that a table put where an object has no field."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ....calls.types import Call
from ....dialogue.messages import Turn
from ..toolsets import Tool


def _takes(parameters: Mapping[str, Any]) -> Collection[str] | None:
    """The arguments that a tool declares; None if it takes others as well."""
    if parameters.keys() & {"anyOf", "patternProperties"} or parameters.get("additionalProperties"):
        return None
    names: Collection[str] = parameters["properties"]
    return names


def without_padding(turns: tuple[Turn, ...], tools: Iterable[Tool], flags: list[str]) -> tuple[Turn, ...]:
    """The turns without the nulls that tables put into an object's missing fields.

    Arrow gives every `arguments` object of a column the keys of all others; a null under a name that its tool
    does not declare is such a key.
    """
    declared = {tool["name"]: _takes(tool["parameters"]) for tool in tools}

    def padding(call: Call) -> set[str]:
        known = declared.get(call.name)
        return {
            key
            for key, value in call.arguments.items()
            if value is None and known is not None and key not in known
        }

    if not any(padding(call) for turn in turns for step in turn.steps for call in step.calls):
        return turns
    flags.append("null_arguments_dropped")

    def cleaned(call: Call) -> Call:
        drop = padding(call)
        return Call(call.name, {key: value for key, value in call.arguments.items() if key not in drop})

    return tuple(
        replace(
            turn, steps=tuple(replace(step, calls=tuple(map(cleaned, step.calls))) for step in turn.steps)
        )
        for turn in turns
    )
