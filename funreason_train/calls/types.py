"""What a function call is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """One call of one tool, with keyword arguments only.

    Attributes:
        name: The tool's name as offered to the model.
        arguments: Argument name to a JSON value (str, int, float, bool, None, list, dict with str keys).
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The call as `{"name": …, "arguments": {…}}`, the form of a ground truth."""
        return {"name": self.name, "arguments": dict(self.arguments)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Call:
        """The inverse of `to_json`."""
        return cls(value["name"], dict(value["arguments"]))
