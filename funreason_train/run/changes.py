"""How the job that is asked for differs from the one that was recorded (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..plain import is_number
from .fingerprint import for_people
from .stage import Decides

_INPUT = "the input "  # how the phrase for a file begins

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

    def of_settings(self) -> Changes:
        """Without the inputs, for when a stage before may yet make them anew."""
        return replace(self, another=tuple(one for one in self.another if not one.startswith(_INPUT)))


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
    moved: set[str] = set()
    for key in sorted({*record["settings"], *settings}):
        old, new = record["settings"].get(key), settings.get(key)
        if old == new:
            continue
        phrase = f"{key}: {_shown(old)} -> {_shown(new)}"
        if decides.is_harmless(key):
            harmless.append(phrase)
        elif was := _same_files(_under(old, record["inputs"]), _under(new, inputs)):
            harmless.append(phrase)
            moved |= was
        elif decides.may_grow(key):
            if is_number(old) and is_number(new) and new < old:
                another.append(f"{phrase}, which may only grow")
            else:  # what decided the length before (steps or epochs) may be left out: the stage counts steps
                grown.append(phrase)
        else:
            another.append(phrase)
    before = {path: entry for path, entry in record["inputs"].items() if path not in moved}
    another += _input_changes(before, {path: entry for path, entry in inputs.items() if path not in moved})
    return Changes(tuple(another), tuple(grown), tuple(harmless))


def _under(value: Any, inputs: Inputs) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """The inputs that a setting names, a file or those in a folder: path -> place there and entry."""
    if not isinstance(value, str) or not value:
        return {}
    root = str(Path(value))
    found = {path: (path[len(root) :], entry) for path, entry in inputs.items() if _is_in(path, root)}
    return {} if any(entry["bytes"] is None for _, entry in found.values()) else found


def _is_in(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")


def _same_files(
    was: Mapping[str, tuple[str, Mapping[str, Any]]], now: Mapping[str, tuple[str, Mapping[str, Any]]]
) -> set[str]:
    """The paths of both, if what stands there is the same: files that were moved or copied."""
    return {*was, *now} if was and _contents(was) == _contents(now) else set()


def _contents(found: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Place -> digest, without a model's card."""
    places = {place for place, _ in found.values()}
    model = "/config.json" in places
    return {place: entry["digest"] for place, entry in found.values() if not (model and for_people(place))}


def _input_changes(old: Inputs, new: Inputs) -> list[str]:
    found = []
    known, noted = {*old, *new}, any(path.endswith(".py") for path in old)
    for path in sorted(known):
        before, now = old.get(path), new.get(path)
        if before is None and path.endswith(".py") and not noted:
            continue  # which code a job used was not always noted; which is asked for is a setting
        if before == now or (for_people(path) and str(Path(path).with_name("config.json")) in known):
            continue  # a model's card says nothing about the model
        if now is None and before and before["bytes"] is not None:  # it may lie where it did
            found.append(f"{_INPUT}{path} is no longer read")
        elif now is None or now["bytes"] is None:
            found.append(f"{_INPUT}{path} is not there any more" if before else f"{_INPUT}{path} is missing")
        elif before is None or before["bytes"] is None:
            found.append(f"{_INPUT}{path} is new")
        elif before["bytes"] == now["bytes"]:
            found.append(f"{_INPUT}{path} has changed (as long as before, {now['bytes']:,} bytes)")
        else:
            found.append(f"{_INPUT}{path} has changed ({before['bytes']:,} bytes -> {now['bytes']:,})")
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
