"""Arguments of another type than their tool declares: converted where nothing is lost and one value is meant.

`"3"` for an integer, `5.0` for 5, `"true"` for a boolean, JSON text (or Python's form of it) for a list or an
object, 7 for a text. Not converted: what could be meant in two ways (5.0 for a text, 1 for a boolean, one
value for a list of them), and what would be another value afterwards (`"3.7"` for an integer, `"007"`).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from ...calls import Call, Schema
from ...calls.schema import type_of
from ...plain import literal
from ..read.json_text import loads
from ..read.rows import RowError

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}")
_BOOLEANS = {"true": True, "True": True, "false": False, "False": False}
_EXACT = 2**53  # beyond, a float is one of several integers
_NOTHING = object()


def converted(call: Call, schema: Schema, kinds: Counter[str]) -> Call:
    """The call with each argument in its declared type, as far as one value can be meant.

    Args:
        call: The call.
        schema: Its tool's parameters.
        kinds: Receives what was converted: `string to integer` -> how often.
    """
    return Call(call.name, _value(dict(call.arguments), schema, kinds))


def _value(value: Any, schema: Schema, kinds: Counter[str]) -> Any:
    kind = type_of(value)
    if schema.types is not None and kind not in schema.types and not (kind == "integer" and schema.is_number):
        found = [_CONVERT[wanted](value) for wanted in sorted(schema.types) if wanted in _CONVERT]
        distinct = {repr(one): one for one in found if one is not _NOTHING and _allowed(one, schema)}
        if len(distinct) != 1:
            return value
        (value,) = distinct.values()
        kinds[f"{kind} to {type_of(value)}"] += 1
    if isinstance(value, list) and schema.items is not None:
        return [_value(item, schema.items, kinds) for item in value]
    if isinstance(value, Mapping):
        return {
            key: _value(item, part, kinds) if (part := schema.properties.get(key, schema.others)) else item
            for key, item in value.items()
        }
    return value


def _allowed(value: Any, schema: Schema) -> bool:
    return schema.enum is None or any(value == one and type(value) is type(one) for one in schema.enum)


def _integer(value: Any) -> Any:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return _NOTHING if value == 0 and math.copysign(1, value) < 0 else int(value)
    return _NOTHING


def _number(value: Any) -> Any:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        found = float(value)
        return found if Decimal(value) == Decimal(repr(found)) else _NOTHING
    return _integer(value) if isinstance(value, str) else _NOTHING


def _boolean(value: Any) -> Any:
    return _BOOLEANS.get(value, _NOTHING) if isinstance(value, str) else _NOTHING


def _null(value: Any) -> Any:
    return None if value in ("null", "None") else _NOTHING


def _string(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _NOTHING


def _opened(kind: type, marks: str) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if not isinstance(value, str) or value.strip()[:1] + value.strip()[-1:] != marks:
            return _NOTHING
        try:
            found = loads(value)
        except RowError:
            found = literal(value)
        try:
            plain = type(found) is kind and json.loads(json.dumps(found, allow_nan=False)) == found
        except (TypeError, ValueError, RecursionError):
            return _NOTHING
        return found if plain else _NOTHING

    return convert


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "null": _null,
    "string": _string,
    "array": _opened(list, "[]"),
    "object": _opened(dict, "{}"),
}
