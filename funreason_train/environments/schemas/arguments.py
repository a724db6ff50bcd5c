"""Arguments as what annotations say: JSON values become dates, records, sets."""

from __future__ import annotations

import contextlib
import copy
import enum
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, is_typeddict

from ...calls.schema import type_of
from .hints import ARRAYS, OBJECTS, OF_A_KEY, WRITTEN, is_record, members, record_hints, type_schema


def called(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Calls a function with arguments by name, also those that it takes by their place alone."""
    rest, placed = dict(arguments), []
    for one in inspect.signature(function).parameters.values():
        if one.kind is one.POSITIONAL_ONLY and (one.name in rest or one.default is not one.empty):
            placed.append(rest.pop(one.name, one.default))
    return function(*placed, **rest)


def convert(hint: Any, value: Any) -> Any:
    """A checked JSON value as its annotation has it: floats are floats, dataclasses are instances.

    What comes back shares nothing with `value`, which a tool may therefore keep.
    """
    if hint is str or hint is int or hint is bool:  # of a checked value nothing is to be done
        return value
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated or origin in OF_A_KEY:
        return convert(arguments[0], value)
    if hint is float and type(value) is int:
        return float(value)
    if isinstance(hint, typing.NewType):
        return convert(hint.__supertype__, value)
    if origin is Union or origin is types.UnionType:
        *others, last = [one for one in arguments if _fits(one, value)] or [Any]
        for one in others:
            with contextlib.suppress(TypeError, ValueError, LookupError):  # other fields, or no such member
                return convert(one, value)
        return convert(last, value)
    if isinstance(value, (str, int, float)):
        if hint in WRITTEN:
            return WRITTEN[hint][1](value)
        return members(hint)[value] if isinstance(hint, enum.EnumMeta) else value
    if isinstance(value, list) and (origin or hint) in ARRAYS:
        kinds = (
            arguments if len(arguments) == len(value) and ... not in arguments else arguments[:1] or (Any,)
        )
        if origin is tuple and not all(map(_fits, kinds, value)):  # which a schema does not say
            raise TypeError(f"{value} is no {hint}")
        made = [convert(kinds[min(n, len(kinds) - 1)], item) for n, item in enumerate(value)]
        return ARRAYS[origin or hint](made)
    if isinstance(value, Mapping):
        if callable(validated := getattr(hint, "model_validate", None)):
            return validated(value)
        if origin in OBJECTS:
            return {key: convert(arguments[1], item) for key, item in value.items()}
        if is_record(hint):
            hints = record_hints(hint)
            parts = {key: convert(hints.get(key, Any), item) for key, item in value.items()}
            return parts if is_typeddict(hint) else typing.cast(Callable[..., Any], hint)(**parts)
    return copy.deepcopy(value) if isinstance(value, (list, Mapping)) else value


def _fits(hint: Any, value: Any) -> bool:
    names, kind = _type_names(hint), type_of(value)
    return not names or kind in names or (kind == "integer" and "number" in names)


@cache
def _type_names(hint: Any) -> frozenset[str]:
    """The JSON types that an annotation allows; empty for any."""
    stated = type_schema(hint).get("type", ())
    return frozenset([stated] if isinstance(stated, str) else stated)
