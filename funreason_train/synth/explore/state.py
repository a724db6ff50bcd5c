"""What a configuration holds, as values that a user may know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .trace import traits

_HIDDEN = frozenset(
    {"fresh", "met"}
)  # parts of a configuration that nobody knows: ids to come, what was called


class State:
    """What a configuration holds, as values a user may know.

    Args:
        config: The configuration.

    Attributes:
        values: Label -> [(place, value, whether it names a record)]; a place is the record a value stands in,
            so that the values of one call can be taken from one record.
        keys: Name of a record -> the places of such records.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.values: dict[str, list[tuple[tuple[str, str], Any, bool]]] = {}
        self.keys: dict[Any, list[str]] = {}
        self._records: dict[tuple[str, str], Any] = {}
        self._traits: dict[tuple[str, str], tuple[str, ...]] = {}
        for key, value in config.items():
            if key not in _HIDDEN:
                self._walk(value, str(key), ("", ""))

    def _walk(self, value: Any, label: str, place: tuple[str, str], depth: int = 0) -> None:
        if depth > 12:
            return
        if isinstance(value, Mapping):
            records = value and all(isinstance(one, (Mapping, list)) for one in value.values())
            for key, one in value.items():
                if records:
                    here = (f"{label}/*", str(key))
                    self._add(f"{label}/*", here, key, True)
                    self._records[here] = one
                    self._walk(one, f"{label}/*", here, depth + 1)
                else:
                    self._walk(one, f"{label}/{key}", place, depth + 1)
        elif isinstance(value, list):
            for number, one in enumerate(value):
                here = (f"{label}/*", str(number)) if isinstance(one, Mapping) else place
                self._records[here] = one
                self._walk(one, f"{label}/*" if isinstance(one, Mapping) else label, here, depth + 1)
        elif value is not None:
            self._add(label, place, value, False)

    def traits(self, place: tuple[str, str]) -> tuple[str, ...]:
        """What a record says of itself; see `trace.traits`."""
        if place not in self._traits:
            self._traits[place] = traits(self._records.get(place))
        return self._traits[place]

    def _add(self, label: str, place: tuple[str, str], value: Any, key: bool) -> None:
        self.values.setdefault(label, []).append((place, value, key))
        if key:
            self.keys.setdefault(value, []).append(place[0])
