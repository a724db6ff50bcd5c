"""How the job that is asked for differs from the one that was recorded (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..plain import is_number
from .fingerprint import for_people
from .stage import Decides

Inputs = Mapping[str, Mapping[str, Any]]
"""Path to `{"digest", "bytes"}` of each file that a stage reads; `bytes` is None for a missing one."""


@dataclass(frozen=True)
class Changes:
    """What differs, each as a phrase.

    Attributes:
        another: Settings and inputs that decide the result: with these it is another job.
        grown: Settings of the length, of which there is more now.
        harmless: Settings that do not touch the result.
    """

    another: tuple[str, ...] = ()
    grown: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()


def changes(
    decides: Decides, record: Mapping[str, Any], settings: Mapping[str, Any], inputs: Inputs
) -> Changes:
    """What differs between a stage's record and what is asked for now.

    Args:
        decides: What the stage says of its settings.
        record: Of the manifest, with `settings` and `inputs`.
        settings: Of now, flat (see `flat`).
        inputs: Of now.
    """
    another, grown, harmless = [], [], []
    for key in sorted({*record["settings"], *settings}):
        old, new = record["settings"].get(key), settings.get(key)
        if old == new:
            continue
        phrase = f"{key}: {_shown(old)} -> {_shown(new)}"
        if decides.is_harmless(key):
            harmless.append(phrase)
        elif decides.may_grow(key):
            if is_number(old) and is_number(new) and new < old:
                another.append(f"{phrase}, which may only grow")
            else:  # what decided the length before (steps or epochs) may be left out: the stage counts steps
                grown.append(phrase)
        else:
            another.append(phrase)
    another += _input_changes(record["inputs"], inputs)
    return Changes(tuple(another), tuple(grown), tuple(harmless))


def _input_changes(old: Inputs, new: Inputs) -> list[str]:
    found = []
    known = {*old, *new}
    for path in sorted(known):
        before, now = old.get(path), new.get(path)
        if before is None and path.endswith(".py"):
            continue  # which code a job used was not always noted; which is asked for is a setting
        if before == now or (for_people(path) and str(Path(path).with_name("config.json")) in known):
            continue  # a model's card says nothing about the model
        if now is None or now["bytes"] is None:
            found.append(
                f"the input {path} is not there any more" if before else f"the input {path} is missing"
            )
        elif before is None or before["bytes"] is None:
            found.append(f"the input {path} is new")
        elif before["bytes"] == now["bytes"]:
            found.append(f"the input {path} has changed (as long as before, {now['bytes']:,} bytes)")
        else:
            found.append(f"the input {path} has changed ({before['bytes']:,} bytes -> {now['bytes']:,})")
    return found


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys; an empty mapping stays a value."""
    if not isinstance(value, Mapping) or not value:
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return found


def _shown(value: Any) -> str:
    """As in YAML, and short."""
    plain = {None: "null", True: "true", False: "false"}.get(value, value) if _plain(value) else value
    text = str(plain)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool)
