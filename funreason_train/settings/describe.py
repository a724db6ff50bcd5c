"""The words for a type: what a message says is allowed, and what the reference lists."""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import Tag
from pydantic.fields import FieldInfo

from .section import MOST, OneOf, Says, Section

_UNIONS = (Union, types.UnionType)


def fields(section: type[Section]) -> dict[str, Any]:
    """Key -> type, `Annotated` where the field has more than a plain one."""
    return {name: annotation_of(info) for name, info in section.model_fields.items()}


def annotation_of(info: FieldInfo) -> Any:
    """The type of a field as it was written."""
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


def split(annotation: Any) -> tuple[Any, list[Any]]:
    """A type without its `Annotated` wrappers, and what stood in them."""
    marks: list[Any] = []
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        marks = [*more, *marks]
    return annotation, marks


def members(annotation: Any) -> list[Any]:
    """The members of a union, or the type itself; null among them."""
    base, marks = split(annotation)
    if get_origin(base) not in _UNIONS:
        return [annotation]
    found = [member for part in get_args(base) for member in members(part)]
    passed = [mark for mark in marks if isinstance(mark, Says)]
    return [Annotated[member, *passed] if passed else member for member in found]


def takes_null(annotation: Any) -> bool:
    """Whether null is allowed."""
    return any(split(member)[0] in (type(None), Any) for member in members(annotation))


def takes_text(annotation: Any) -> bool:
    """Whether a text is allowed, and no number that could be written alike."""
    bases = [split(member)[0] for member in members(annotation)]
    return str in bases and not {int, float, bool, Any} & set(bases)


def choices(annotation: Any) -> list[str]:
    """The names to choose from, if there are any."""
    found: list[str] = []
    for member in members(annotation):
        base, marks = split(member)
        if get_origin(base) is Literal:
            found += map(str, get_args(base))
        elif base is bool:
            found += ["true", "false"]
        found += [name for mark in marks if isinstance(mark, OneOf) for name in mark.names]
    return found


def sections(annotation: Any) -> dict[str, type[Section]]:
    """The groups of keys that a type may be, by their tag (empty for a single one)."""
    found = {}
    for member in members(annotation):
        base, marks = split(member)
        if isinstance(base, type) and issubclass(base, Section):
            tags = [mark.tag for mark in marks if isinstance(mark, Tag)]
            found[tags[0] if tags else ""] = base
    return found


def describe(annotation: Any, value: Any = 0) -> str:
    """What is allowed, following "must be".

    Args:
        annotation: The type.
        value: What was given; a limit that no one meets by accident is named only where it is crossed.
    """
    found = [_one(member, value) for member in members(annotation) if split(member)[0] is not type(None)]
    said = ", or ".join(dict.fromkeys(found))
    return f"{said}, or null" if takes_null(annotation) and found != ["anything"] else said


def _one(annotation: Any, value: Any) -> str:
    base, marks = split(annotation)
    noun = next((mark.noun for mark in marks if isinstance(mark, Says)), "")
    names = choices(annotation)
    if base is bool:
        return noun or "true or false"
    if names:
        return _names(names)
    if base in (int, float):
        return _range(noun or ("a whole number" if base is int else "a number"), marks, value)
    if base is str:
        return noun or "text"
    if get_origin(base) is list:
        some = any(isinstance(mark, MinLen) for mark in marks)
        inner = describe(get_args(base)[0])
        return f"a list of at least one item, each {inner}" if some else f"a list, each item {inner}"
    if get_origin(base) is dict:
        return f"keys of your own, each {describe(get_args(base)[1])}"
    if isinstance(base, type) and issubclass(base, Section):
        keys = list(base.model_fields)
        return (
            f"a group of keys ({', '.join(keys[:6])}{', …' * (len(keys) > 6)})" if keys else "a group of keys"
        )
    return "anything"


def _names(names: Sequence[str]) -> str:
    return " or ".join(names) if len(names) < 3 else f"one of {', '.join(names)}"


def _range(noun: str, marks: Iterable[Any], value: Any) -> str:
    low: Ge | Gt | None = None
    high: Le | Lt | None = None
    for mark in marks:
        if isinstance(mark, (Ge, Gt)):
            low = mark
        if isinstance(mark, (Le, Lt)):
            high = mark
    least = low.ge if isinstance(low, Ge) else low.gt if low else None
    most = high.le if isinstance(high, Le) else high.lt if high else None
    too_much = type(value) in (int, float) and not math.isnan(value) and value > MOST
    if most == MOST and not too_much:
        high = most = None
    if isinstance(low, Ge) and isinstance(high, Le):
        return f"{noun} from {number(least)} to {number(most)}"
    parts = []
    if low:
        parts.append(f"{'of at least' if isinstance(low, Ge) else 'above'} {number(least)}")
    if high:
        parts.append(f"{'at most' if isinstance(high, Le) else 'below'} {number(most)}")
    return f"{noun} {' and '.join(parts)}" if parts else noun


def number(value: Any) -> str:
    """A limit, digits grouped."""
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def shown(value: Any, width: int = 80) -> str:
    """A value as YAML writes it on one line, cut if it is long."""
    text = _written(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def _written(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_written, value)) + "]"
    return "".join(map(_visible, str(value))) if not isinstance(value, str) or value else "''"


def _visible(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()
