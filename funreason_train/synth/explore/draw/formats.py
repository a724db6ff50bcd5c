"""Values that a JSON schema asks for beyond its type: formats, patterns, lengths, counts (pure)."""

from __future__ import annotations

import re
import uuid
from base64 import b64encode
from collections.abc import Mapping
from random import Random
from typing import Any

from ....plain import is_finite
from ..words import tokens
from .patterned import text_like

_COUNTING = frozenset(
    [
        "count",
        "number",
        "num",
        "page",
        "limit",
        "offset",
        "size",
        "step",
        "steps",
        "line",
        "lines",
        "max",
        "min",
        "maximum",
        "minimum",
        "head",
        "tail",
        "top",
        "index",
        "id",
        "year",
        "month",
        "day",
        "days",
        "week",
        "weeks",
        "hour",
        "hours",
        "minute",
        "minutes",
        "second",
        "seconds",
        "quantity",
        "amount",
        "age",
        "total",
        "level",
        "depth",
        "width",
        "height",
        "port",
        "length",
        "duration",
        "copies",
        "stock",
        "times",
    ]
)
_ADDRESSES = frozenset({"url", "uri", "link", "website", "homepage"})
_MEASURED = frozenset({"price", "cost", "rate", "ratio", "score", "weight", "temperature", "balance"})
_EXAMPLES = re.compile(r"(?:e\.g\.|for example|for instance|such as)[,:]?\s*([^()\n]{0,300})", re.IGNORECASE)
_QUOTED = re.compile(r"'([^'\n]{1,80})'|\"([^\"\n]{1,80})\"|`([^`\n]{1,80})`")

_WORD = re.compile(r"[\w.+/-]+")


def in_format(schema: Mapping[str, Any], text: str, rng: Random) -> str:
    """A text that keeps to the schema's `format`, or else to its `pattern` and lengths.

    Args:
        schema: Of a string.
        text: What would be said without them; stays as it is where the schema asks for nothing.
        rng: Draws what is made.
    """
    made = _FORMATS.get(str(schema.get("format")))
    if made is not None:
        return made(rng)
    pattern, least, most = schema.get("pattern"), schema.get("minLength", 0), schema.get("maxLength")
    if isinstance(pattern, str) and (found := text_like(pattern, text, rng, least, most)) is not None:
        return found
    while len(text) < least:
        text = f"{text} {text}" if text else "a note"
    if most is None or len(text) <= most:
        return text
    cut = text[:most].rpartition(" ")[0] or text[:most]
    return cut if len(cut) >= least else text[:most]


def keeps(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a text keeps to the lengths that a schema states, and a number to its bounds."""
    size, least, most = value, "minimum", "maximum"
    if isinstance(value, str):
        size, least, most = len(value), "minLength", "maxLength"
    low, high = schema.get(least), schema.get(most)
    return not ((is_finite(low) and size < low) or (is_finite(high) and size > high))


def named_format(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A schema of a string with the format that its name tells, where it states nothing of the kind."""
    if schema.keys() & {"format", "pattern", "maxLength"}:
        return schema
    if tokens(name) & _ADDRESSES:
        return {**schema, "format": "uri"}
    encoded = str(schema.get("contentEncoding", "")).lower() == "base64" or "base64" in name.lower()
    return {**schema, "format": "byte"} if encoded else schema


def examples_in(described: str) -> list[str]:
    """The quoted values that a description gives as examples: `(e.g. 'Europe/London', 'Asia/Tokyo')`.

    Where it says of none that it is one, two single words or more in quotation marks are taken for values
    that there are: `local branches ('local') or all ('all')`.
    """
    if found := _EXAMPLES.search(described):
        return _quoted(found.group(1))
    words = list(dict.fromkeys(one for one in _quoted(described) if _WORD.fullmatch(one)))
    return words if len(words) > 1 else []


def _quoted(text: str) -> list[str]:
    return [one[0] or one[1] or one[2] for one in _QUOTED.findall(text)]


def counts(name: str) -> bool:
    """Whether a number of this name is a whole one: servers write `number` in a schema for both."""
    words = tokens(name)
    return bool(words & _COUNTING) and not words & _MEASURED


def _date(rng: Random) -> str:
    return f"2026-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def _time(rng: Random) -> str:
    return f"{rng.randint(7, 20):02d}:{rng.choice((0, 15, 30, 45)):02d}:00"


_FORMATS = {
    "date": _date,
    "time": _time,
    "date-time": lambda rng: f"{_date(rng)}T{_time(rng)}Z",
    "email": lambda rng: f"{rng.choice(('ada', 'noor', 'sven', 'mia'))}@mail.example",
    "uri": lambda rng: f"https://example.org/{rng.choice(('news', 'about', 'items', 'help'))}",
    "url": lambda rng: f"https://example.org/{rng.choice(('news', 'about', 'items', 'help'))}",
    "byte": lambda rng: b64encode(
        f"Note {rng.randint(1, 99)}: {rng.choice(('milk', 'paint'))}".encode()
    ).decode(),
    "hostname": lambda rng: f"{rng.choice(('mail', 'web', 'files'))}.example.org",
    "ipv4": lambda rng: f"192.0.2.{rng.randint(1, 250)}",
    "uuid": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    "duration": lambda rng: f"PT{rng.randint(1, 12)}H",
}
