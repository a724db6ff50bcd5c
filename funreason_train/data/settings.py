"""What is wrong with the section `data` of a configuration, seen without reading a row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from .read.files import locate
from .read.formats import source_module

_CHOICES = {
    "dedup": ("near", "exact", "off"),
    "decontaminate": ("bfcl", "off"),
    "names": ("alias", "reject"),
    "overlong": ("drop", "fail"),
    "parity": ("sample", "off"),
    "wrong_types": ("repair", "reject", "keep"),
}


@dataclass(frozen=True)
class _Number:
    """Which numbers a key takes.

    Attributes:
        low: The least one; itself forbidden if `above`.
        high: The greatest one; itself forbidden if `below`.
        whole: Whether it must be an integer.
        null: What null stands for, if it may be given.
        what: What the number is, for the sentence.
    """

    low: float
    high: float = math.inf
    whole: bool = False
    above: bool = False
    below: bool = False
    null: str = ""
    what: str = ""

    def holds(self, value: Any) -> bool:
        """Whether the key may have this value."""
        if value is None:
            return bool(self.null)
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        return (self.low < value if self.above else self.low <= value) and (
            value < self.high if self.below else value <= self.high
        )

    def __str__(self) -> str:
        kind = self.what or ("a whole number" if self.whole else "a number")
        span = f"{'above' if self.above else 'from'} {self.low:g}"
        if self.high < math.inf:
            span += f" {'to below' if self.below else 'up to' if self.above else 'to'} {self.high:g}"
        else:
            span += " on"
        return f"{kind}, {span}" + (f", or null for {self.null}" if self.null else "")


_SHARE = _Number(0, 1, what="a share")
_SHARE_ABOVE = _Number(0, 1, above=True, what="a share")
_NUMBERS = {
    "near_threshold": _SHARE_ABOVE,
    "decontaminate_share": _SHARE_ABOVE,
    "decontaminate_ngram": _Number(1, 100, whole=True),
    "val_share": _Number(0, 1, below=True, what="a share"),
    "max_dropped_share": _SHARE,
    "max_rejected_share": _SHARE,
    "rl_closing_share": _SHARE,
    "max_prompt_tokens": _Number(1, whole=True, null="no limit"),
    "max_target_tokens": _Number(1, whole=True, null="no limit"),
    "parity_rows": _Number(1, whole=True),
    "processes": _Number(1, 1024, whole=True, null="one a core"),
    "augment.irrelevance": _SHARE,
    "augment.mask_names": _SHARE,
    "augment.distractors": _Number(0, 100, whole=True, what="a number of tools"),
}
_OF_SOURCES = {
    "rows": _Number(1, whole=True, null="all"),
    "weight": _Number(0, 100, above=True, what="how often a conversation counts"),
}
_SWITCHES = ("augment.shuffle_tools",)


def problems(data: Any, awaited: Path | None = None) -> list[str]:
    """Every problem, as sentences.

    Args:
        data: The section, as OmegaConf holds it.
        awaited: A file that another stage has yet to make, and which is not missed.
    """
    return [*_sources(data, awaited), *_choices(data), *_values("data", data, _NUMBERS), *_switches(data)]


def word(value: Any) -> Any:
    """`off` is a boolean to YAML."""
    return "off" if value is False else value


def _sources(data: Any, awaited: Path | None) -> Iterator[str]:
    names = data.datasets
    if isinstance(names, str) or not isinstance(names, Sequence):
        yield f"data.datasets is {names}; it is a list: datasets=[{names or 'apigen'}]"
        return
    if not names:
        yield "data.datasets names no data set; set for instance datasets=[apigen]"
    for name in dict.fromkeys(names):
        if list(names).count(name) > 1:
            yield f"data.datasets names {name} twice; {name}.weight says how often its conversations count"
        node = data.get(name) if isinstance(name, str) else None
        if not isinstance(node, Mapping) and not hasattr(node, "keys"):
            yield (
                f"there is no data set '{name}'; declare one of your own with {name}.format=openai"
                f" {name}.path=FILE, or use {', '.join(_known(data))}"
            )
            continue
        yield from _node(name, node, awaited)


def _known(data: Any) -> list[str]:
    """The data sets that the configuration declares."""
    return [str(name) for name in data if hasattr(data.get(name), "keys") and "format" in data.get(name)]


def _node(name: str, node: Any, awaited: Path | None) -> Iterator[str]:
    try:
        module = source_module(node.format)
        if "path" in node:
            if not node.path:
                yield f"data.{name}.path is not set; give a file, a folder or a hub id"
                return
            if awaited is None or Path(str(node.path)) != awaited:
                locate(str(node.path))
    except UserError as error:
        yield f"data.{name}: {error}"
        return
    options = getattr(module, "OPTIONS", {})
    needed = ["rows", "weight", "path", "split", *options]
    if missing := [key for key in needed if key not in node]:
        yield f"data.{name} lacks {', '.join(missing)}; configs/dataset/{node.format}.yaml explains each key"
        return
    for key, choices in options.items():
        if node[key] not in choices:
            yield f"data.{name}.{key} is '{node[key]}'; it takes {' or '.join(choices)}"
    if "dedup" in node and node.dedup not in ("exact", None):
        yield f"data.{name}.dedup is '{node.dedup}'; it takes exact, or null for what data.dedup says"
    yield from _values(f"data.{name}", node, _OF_SOURCES)


def _choices(data: Any) -> Iterator[str]:
    for key, choices in _CHOICES.items():
        if word(data[key]) not in choices:
            yield f"data.{key} is '{data[key]}'; it takes {' or '.join(choices)}"


def _values(place: str, node: Any, numbers: Mapping[str, _Number]) -> Iterator[str]:
    for key, number in numbers.items():
        value = _value(node, key)
        if not number.holds(value):
            yield f"{place}.{key} is {value}; it is {number}"


def _switches(data: Any) -> Iterator[str]:
    for key in _SWITCHES:
        value = _value(data, key)
        if not isinstance(value, bool):
            yield f"data.{key} is {value}; it is true or false"


def _value(node: Any, key: str) -> Any:
    for part in key.split("."):
        node = node[part]
    return node
