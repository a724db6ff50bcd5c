"""Every setting there is, with its type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .describe import fields, sections
from .root import models
from .section import Section


def every_key() -> dict[str, Any]:
    """Dotted key -> its type, groups of keys included; of keys that only some variants have, too."""
    found: dict[str, Any] = {}
    for name, model in models().items():
        for key, annotation in _of(model, f"{name}." if name else ""):
            found.setdefault(key, annotation)
    return found


def _of(model: type[Section], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, annotation in fields(model).items():
        yield f"{prefix}{name}", annotation
        for inner in sections(annotation).values():
            yield from _of(inner, f"{prefix}{name}.")


def annotation_of_key(key: str) -> Any:
    """The type of one setting; `Any` for a key that no model names."""
    name, _, rest = key.partition(".")
    known = models()
    groups = [known[name]] if name in known and name else [known[""]]
    parts = rest.split(".") if name in known else key.split(".")
    annotation: Any = Any
    for part in parts:
        found = [fields(group)[part] for group in groups if part in fields(group)]
        found = found or [group.EXTRA for group in groups if group.EXTRA is not None]
        if not found:
            return Any
        annotation = found[0]
        groups = [inner for one in found for inner in sections(one).values()]
    return annotation
