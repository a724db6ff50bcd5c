"""Whether two sessions of a server see each other's changes; found out before anything is built on it.

A fresh process is not a fresh state: servers keep a file beside their code, or a database. So one session
changes what it can while another looks, before and after, with the tools that only read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from ...calls import Call, check_call, index_tools
from ...errors import UserError
from .environment import McpEnvironment

_WRITES = 12  # calls that try to change something
_TEXTS = ("isolation check", "alpha", "note", "/tmp/isolation", "2026-01-01")


def check_isolation(kind: type[McpEnvironment]) -> str:
    """Looks, changes, and looks again.

    Observers that fail, hang, or answer two untouched sessions differently (a clock) do not show the state
    and are left out from now on.

    Returns:
        What was found, as a sentence.

    Raises:
        UserError: One session saw what another had changed.
    """
    kind._unsteady = frozenset(_unsteady(kind))
    writer, other = kind(), kind()
    try:
        writer.reset({})
        other.reset({})
        before = _look(other)
        if not before:
            return f"{kind.name}: no tool shows the state, so whether sessions are apart is not known"
        made, changed = 0, False
        for call in _writes(writer):
            if not writer.call(call).ok:
                if writer.fault:
                    writer.reset({})
                continue
            made += 1
            # After each call, since a later one may bring everything back.
            after = _look(other)
            if leaked := sorted(name for name in before if after[name] != before[name]):
                raise UserError(
                    f"two sessions of {kind.name} see each other's changes: after {call.name} in one, "
                    f"{', '.join(leaked)} answered the other differently",
                    fix="Give each session a state of its own: {session} in args, env or cwd of the server's "
                    "description, session.files for what it starts from, or session.reset.",
                )
            changed = changed or _look(writer) != before
        return f"{kind.name}: " + (
            f"{made} calls changed one session and not the other"
            if changed
            else f"{made} calls changed nothing that its reading tools show"
        )
    finally:
        writer.close()
        other.close()


def _unsteady(kind: type[McpEnvironment]) -> set[str]:
    """The observers that do not answer two untouched sessions alike."""
    one, two = kind(), kind()
    found = set()
    try:
        one.reset({})
        two.reset({})
        for name in one.observers():
            answers = [environment._ask(name, {}) for environment in (one, two)]
            if not all(answer.ok for answer in answers) or answers[0].text != answers[1].text:
                found.add(name)
            for environment in (one, two):
                if environment.fault:
                    environment.reset({})
    finally:
        one.close()
        two.close()
    return found


def _look(environment: McpEnvironment) -> dict[str, str]:
    return {name: environment._ask(name, {}).text for name in environment.observers()}


def _writes(environment: McpEnvironment) -> list[Call]:
    """Calls that may change something, with arguments that fit."""
    random, documents = Random(0), environment.tools()
    schemas, reading = index_tools(documents), set(environment.observers())
    calls = [
        Call(document["name"], _arguments(document["parameters"], random))
        for document in documents
        if document["name"] not in reading
    ]
    return [call for call in calls if not check_call(call, schemas)][:_WRITES]


def _arguments(parameters: Mapping[str, Any], random: Random) -> dict[str, Any]:
    required: Iterable[str] = parameters.get("required", ())
    properties = parameters.get("properties", {})
    return {name: _value(properties.get(name, {}), random) for name in required}


def _value(schema: Mapping[str, Any], random: Random, depth: int = 0) -> Any:
    """Some value of a schema's type; what it stands for does not matter here."""
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return _value(schema[key][0], random, depth)
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" and depth < 4:
        return _arguments(schema, random) if schema.get("required") else {}
    if kind == "array":
        return [_value(schema.get("items") or {}, random, depth + 1)] if depth < 4 else []
    simple: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "null": None, "object": {}}
    return simple[kind] if kind in simple else random.choice(_TEXTS)
