"""What was learnt of one tool by calling it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .evidence import is_about

MOST_MESSAGES = 20
"""Different errors of a tool that are kept."""

_MOST_WAYS = 12  # different arguments of a tool that are kept for each error they removed
_MOST_LABELS = 400  # different sources of a parameter that are kept


@dataclass
class ToolRecord:
    """What is known of one tool.

    Attributes:
        document: As a model is shown it.
        requires: Its declared pre-conditions.
        ok, failed: How its calls ended.
        changes: Successful calls that changed the state.
        errors: Message (without values) -> how often.
        sources: Parameter -> source -> [successful calls, failed calls] with a value from there.
        enabled: Tool -> how often a failed call of this one succeeded after that one.
        unaided: [successful, failed] calls while none of `enabled` had been called.
        fields: Names of what its answers hold, declared or seen.
        said: One whole message of each kind of error, which may show how a value is written.
        examples: Arguments that the user says it can be called with.
        remedies: Message of an error -> tool -> what the same call answered after that tool: the message of
            another error, or nothing where it succeeded -> how often.
        helped: The same, and then the arguments by which it did, as `trace.free` has them -> how often.
        asked: Parameter -> source (`result:TOOL/FIELD`) whose value an error of this tool quoted -> count.
    """

    document: Mapping[str, Any]
    requires: tuple[str, ...] = ()
    ok: int = 0
    failed: int = 0
    changes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    sources: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    enabled: Counter[str] = field(default_factory=Counter)
    unaided: list[int] = field(default_factory=lambda: [0, 0])
    fields: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    _about: dict[tuple[str, int], str] = field(default_factory=dict, repr=False, compare=False)
    examples: tuple[Mapping[str, Any], ...] = ()
    remedies: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    helped: dict[str, dict[str, dict[str, Counter[str]]]] = field(default_factory=dict)
    asked: dict[str, Counter[str]] = field(default_factory=dict)

    def learn_help(self, obstacle: str, enabler: str, left: str, arguments: str) -> None:
        """A call of `enabler` with these arguments turned one obstacle into another, or removed it."""
        self.remedies.setdefault(obstacle, {}).setdefault(enabler, Counter())[left] += 1
        ways = self.helped.setdefault(obstacle, {}).setdefault(enabler, {})
        known = ways.setdefault(left, Counter())
        if arguments in known or len(known) < _MOST_WAYS:
            known[arguments] += 1

    def merge(self, other: ToolRecord) -> None:
        """Adds what another record of the same tool has seen."""
        self.ok += other.ok
        self.failed += other.failed
        self.changes += other.changes
        for message, count in other.errors.items():
            if message in self.errors or len(self.errors) < MOST_MESSAGES:
                self.errors[message] += count
        self.enabled += other.enabled
        self.fields |= other.fields
        self.said = list(dict.fromkeys([*self.said, *other.said]))[:MOST_MESSAGES]
        self._about.clear()
        for message, tools in other.remedies.items():
            for tool, counts in tools.items():
                self.remedies.setdefault(message, {}).setdefault(tool, Counter()).update(counts)
        for message, helpers in other.helped.items():
            for tool, lefts in helpers.items():
                ways = self.helped.setdefault(message, {}).setdefault(tool, {})
                for left, counts in lefts.items():
                    known = ways.setdefault(left, Counter())
                    for arguments, count in counts.items():
                        if arguments in known or len(known) < _MOST_WAYS:
                            known[arguments] += count
        for parameter, asked in other.asked.items():
            self.asked.setdefault(parameter, Counter()).update(asked)
        self.unaided = [one + two for one, two in zip(self.unaided, other.unaided, strict=True)]
        for parameter, sources in other.sources.items():
            labels = self.sources.setdefault(parameter, {})
            for label, seen in sources.items():
                if label in labels or len(labels) < _MOST_LABELS:
                    held = labels.setdefault(label, [0, 0])
                    held[:] = [held[0] + seen[0], held[1] + seen[1]]

    def said_of(self, parameter: str) -> str:
        """The errors that may speak of a parameter: those that name it, or none."""
        key = (parameter, len(self.said))
        if key not in self._about:
            names = self.document["parameters"].get("properties", ())
            self._about[key] = " ".join(one for one in self.said if is_about(one, parameter, names))
        return self._about[key]

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values, in an order that does not depend on what was seen first."""
        return {
            "description": self.document["description"],
            "parameters": self.document["parameters"],
            "requires": list(self.requires),
            **({"examples": list(self.examples)} if self.examples else {}),
            **self.counts(),
        }

    def counts(self) -> dict[str, Any]:
        """What was seen, without the document, as JSON values; `read` is the inverse."""
        return {
            "ok": self.ok,
            "failed": self.failed,
            "changes": self.changes,
            "errors": dict(sorted(self.errors.items())),
            "sources": {p: dict(sorted(s.items())) for p, s in sorted(self.sources.items())},
            "enabled": dict(sorted(self.enabled.items())),
            "unaided": self.unaided,
            "fields": sorted(self.fields),
            "said": self.said,
            "remedies": ordered(self.remedies),
            "helped": ordered(self.helped),
            "asked": {p: dict(sorted(counts.items())) for p, counts in sorted(self.asked.items())},
        }

    def read(self, value: Mapping[str, Any]) -> None:
        """Takes over what `to_json` or `counts` wrote; what is not there was not seen."""
        self.ok, self.failed, self.changes = (value.get(key, 0) for key in ("ok", "failed", "changes"))
        self.errors, self.enabled = (Counter(value.get(key, {})) for key in ("errors", "enabled"))
        self.unaided, self.fields = list(value.get("unaided", (0, 0))), set(value.get("fields", ()))
        self.said = list(value.get("said", ()))
        self.remedies = {
            message: {tool: Counter(lefts) for tool, lefts in tools.items()}
            for message, tools in value.get("remedies", {}).items()
        }
        self.helped = {
            message: {
                tool: {left: Counter(ways) for left, ways in lefts.items()} for tool, lefts in tools.items()
            }
            for message, tools in value.get("helped", {}).items()
        }
        self.asked = {p: Counter(counts) for p, counts in value.get("asked", {}).items()}
        self.sources = {p: {k: list(v) for k, v in s.items()} for p, s in value.get("sources", {}).items()}


def ordered(value: Any) -> Any:
    """A mapping of mappings by key, whatever came first."""
    return {key: ordered(one) for key, one in sorted(value.items())} if isinstance(value, Mapping) else value
