"""Whether two sessions of a server see each other's changes; found out before anything is built on it.

A fresh process is not a fresh state: servers keep a file beside their code, or a database. So one session
changes what it can while another looks, before and after, with the tools that only read.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from ...calls import Call, check_call, index_tools
from ...errors import UserError
from ..protocol import Result
from .environment import McpEnvironment, in_folder
from .servers import SESSION

_WRITES = 12  # calls that try to change something
_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?")
_A_SECOND = 1.1  # seconds, after which a clock shows another time
_SLOW_LOOK = 2.0  # seconds; what always takes longer is not asked after every call
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
    kind.forget(_unsteady(kind))
    writer, other = kind(), kind()
    try:
        writer.reset({})
        other.reset({})
        before = _look(other)
        if not before:
            return f"{kind.name}: nothing shows the state, so whether sessions are apart is not known"
        made, changed = 0, False
        for call in _writes(writer):
            if not writer.call(call).ok:
                if writer.fault:
                    writer.reset({})
                continue
            made += 1
            # After each call, since a later one may bring everything back.
            after = _look(other)
            if leaked := _seen_elsewhere(kind, call, before, _changed(before, after)):
                raise UserError(
                    f"two sessions of {kind.name} see each other's changes: after {call.name} in one, "
                    f"{_told(leaked)} answered the other differently",
                    fix="Give each session a state of its own: {session} in args, env or cwd of the server's "
                    "description, session.files for what it starts from, or session.reset.",
                )
            before = _look(other)  # what is no part of the state may have turned out just now
            changed = changed or bool(_changed(before, _look(writer)))
        if changed:
            return f"{kind.name}: {made} calls changed one session and not the other"
        seen = _told(sorted(before))
        unknown = "so whether sessions are apart is not known"
        if not made:
            return f"{kind.name}: none of the calls that were tried succeeded, {unknown}"
        return f"{kind.name}: {made} calls were tried and changed nothing that {seen} shows, {unknown}"
    finally:
        writer.close()
        other.close()


def _unsteady(kind: type[McpEnvironment]) -> set[str]:
    """What does not show the state: it fails, is slow, or answers untouched sessions in several ways."""
    one, two = kind(), kind()
    found: set[str] = set()
    answers: dict[str, list[Result]] = {}
    try:
        one.reset({})
        two.reset({})
        for name in one.observers():
            answers[name] = []
            fastest = _SLOW_LOOK
            for environment in (one, two):
                began = time.monotonic()
                answers[name].append(environment.look(name))
                fastest = min(fastest, time.monotonic() - began)
            if fastest >= _SLOW_LOOK or not all(answer.ok for answer in answers[name]):
                found.add(name)
            for environment in (one, two):
                if environment.fault:
                    found.add(name)
                    environment.reset({})
        time.sleep(_A_SECOND)
        for name in answers.keys() - found:
            texts = [*answers[name], two.look(name)]
            if name == SESSION:
                files = [answer.value or {} for answer in texts]
                found |= {
                    in_folder(path)
                    for path in {path for some in files for path in some}
                    if not all(path in some and some[path] == files[0].get(path) for some in files)
                }
            elif not all(answer.ok and answer.text == texts[0].text for answer in texts):
                found.add(name)
    finally:
        one.close()
        two.close()
    return found


def _seen_elsewhere(
    kind: type[McpEnvironment], call: Call, untouched: Mapping[str, Any], suspects: list[str]
) -> list[str]:
    """The suspects that answer another session differently because of this call, and not by themselves.

    A clock may have moved on between two looks: what differs again without any call is no part of the state
    and is left out from now on. A change that lasts may not happen a second time, so a new session that is
    not in the first state counts as well, times of day aside.
    """
    if not suspects:
        return []
    writer, other = kind(), kind()
    try:
        writer.reset({})
        other.reset({})
        first = _look(other)
        time.sleep(_A_SECOND)
        still = _look(other)
        kind.forget(_moving(first, still, suspects))
        left = [name for name in suspects if name in other.observers()]
        before = _look(other)
        lasting = [name for name in left if _timeless(before[name]) != _timeless(untouched[name])]
        writer.call(call)
        return lasting or [name for name in _changed(before, _look(other)) if name in left]
    finally:
        writer.close()
        other.close()


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The observers that both looks have and that answered differently."""
    return sorted(name for name in before if name in after and after[name] != before[name])


def _timeless(value: Any) -> str:
    """What was seen, without times of day."""
    return _TIME.sub("", json.dumps(value, sort_keys=True))


def _moving(first: Mapping[str, Any], second: Mapping[str, Any], suspects: list[str]) -> set[str]:
    """What changes by itself: observers, and files of the folder."""
    found: set[str] = set()
    for name in set(_changed(first, second)) & set(suspects):
        if name == SESSION:
            files = {*first[name], *second[name]}
            found |= {in_folder(path) for path in files if first[name].get(path) != second[name].get(path)}
        else:
            found.add(name)
    return found


def _look(environment: McpEnvironment) -> dict[str, Any]:
    """What each observer answers; nothing of the files that are no part of the state."""
    found: dict[str, Any] = {}
    for name in environment.observers():
        answer = environment.look(name)
        found[name] = environment.settled(answer.value) if name == SESSION else answer.text
    return found


def _told(observers: list[str]) -> str:
    return ", ".join("its session's folder" if name == SESSION else name for name in observers)


def _writes(environment: McpEnvironment) -> list[Call]:
    """Calls that may change something, with arguments that fit."""
    random, documents = Random(0), environment.tools()
    schemas = index_tools(documents)
    reading = {
        own for own, original in environment.own_names().items() if original in environment.observers()
    }
    calls = [
        Call(document["name"], arguments)
        for document in documents
        for arguments in (document.get("examples") or [_arguments(document["parameters"], random)])[:2]
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
