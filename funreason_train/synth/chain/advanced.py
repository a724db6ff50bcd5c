"""The advanced tool: a turn's trace as one tool, whose inputs are what the trace does not itself find out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...calls import is_tool_name
from ..explore.graph import Graph
from .needs import Needs


@dataclass(frozen=True)
class AdvancedTool:
    """One tool that does what a whole trace does.

    Attributes:
        name: Of none of the sub-tools.
        description: What it does for the user.
        inputs: Name -> JSON schema.
        output: What it answers, in words.
    """

    name: str
    description: str
    inputs: Mapping[str, Any]
    output: str

    def to_json(self) -> dict[str, Any]:
        """The tool as JSON values."""
        return {
            "name": self.name,
            "description": self.description,
            "inputs": dict(self.inputs),
            "output": self.output,
        }


def inputs_of(needs: Needs, graph: Graph) -> dict[str, Any]:
    """The inputs that the trace does not itself produce, as JSON schemas."""
    found: dict[str, Any] = {}
    for one in (*needs.given, *needs.earlier):
        name, value = one.shown
        schema = {"type": json_type(value)}
        described = graph.told(needs.trace[one.step].call.name, one.parameter) if one.named is None else ""
        if described.strip():
            schema["description"] = described.strip().split("{")[0].strip()
        key, number = name, 2
        while key in found:
            key, number = f"{name}_{number}", number + 1
        found[key] = schema
    return found


def advanced_problems(tool: AdvancedTool, needs: Needs) -> list[str]:
    """What is wrong with an advanced tool for a trace, as reasons; empty if nothing.

    Returns:
        `advanced_name` (no name, or a sub-tool's), `advanced_inputs` (an input that the trace itself yields).
    """
    found = []
    if not is_tool_name(tool.name) or tool.name in {one.call.name for one in needs.trace}:
        found.append("advanced_name")
    allowed = {one.shown[0] for one in (*needs.given, *needs.earlier)}
    if any(
        name.rstrip("0123456789").rstrip("_") not in allowed and name not in allowed for name in tool.inputs
    ):
        found.append("advanced_inputs")
    return found


def json_type(value: Any) -> str:
    """JSON schema's name of a value's type."""
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")
