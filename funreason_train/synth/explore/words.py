"""Names as words, and values for parameters that nothing else gives."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from random import Random
from typing import Any

from ...plain import is_finite

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PARTS_OF_ANY = re.compile(r"\d+|[^\W\d_]+")  # of names in other letters than A to Z, as `größe`
_EXAMPLE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}:\d{2}\b")
_DATE, _TIME = re.compile(r"\d{4}-\d{2}-\d{2}"), re.compile(r"\d{1,2}:\d{2}")
_LISTED = re.compile(r"(?:\[Enum\]|[Oo]ptions(?: are)?|[Oo]ne of)\s*:\s*(.+?)(?:\.(?:\s|$)|$)")
_SLASHED = re.compile(r"\((\w+(?:/\w+)+)\)")
_QUOTED = re.compile(r"'(\w+)' for ")
_OF = re.compile(r" (?:of|in|inside|within) ")
_COUNTS = {word: number for number, word in enumerate(["one", "two", "three", "four", "five", "six"], 1)}
_COUNTED = re.compile(rf"\b({'|'.join(_COUNTS)}) (?:numbers|values|items|texts)\b", re.IGNORECASE)
_FILLERS = frozenset(
    (
        *("the", "and", "for", "that", "this", "which", "with", "its", "are", "not", "from", "only", "all"),
        *("has", "have", "one", "given", "used"),
    )
)
_BOUNDS = re.compile(r"(?:between|from) (-?\d+(?:\.\d+)?)(?: \([^)]*\))? (?:and|to) (-?\d+(?:\.\d+)?)")
_RANGE = re.compile(
    r"(?<![\w.:/-])(-?\d+(?:\.\d+)?) ?(?:-|–|\.\.|to) ?(-?\d+(?:\.\d+)?)(?![\w:/]|[.-]\d)"
)  # `(1-5)`, `0 to 1`; no date and no time
_LETTERS = re.compile(r"(?:\(|\bletters? (?:from )?)([A-Z]) ?(?:-|–|to) ?([A-Z])\b")
_STEP = re.compile(r"multiple of (\d+)")

_VAGUE = frozenset({"name", "id", "value", "text", "number", "key", "code", "title", "type", "status"})

_SEARCHED = frozenset(("query", "search", "keyword", "term", "pattern", "q"))
_SIDES = frozenset(("from", "to", "old", "new", "source", "target", "first", "second", "other", "parent"))

_ADJECTIVES = (
    *("quiet", "green", "early", "narrow", "plain", "bright", "spare", "round", "heavy", "second"),
    *("northern", "wooden"),
)
_NOUNS = (
    *("harbour", "ladder", "garden", "kettle", "window", "ledger", "lantern", "bridge", "cellar", "orchard"),
    *("parcel", "notebook"),
)
_NAMES = ("Marlow", "Petra", "Anton", "Ilse", "Ruben", "Clara", "Niels", "Edda", "Tobin", "Vera", "Oskar")
_CITIES = ("Norford", "Belham", "Corwick", "Danvale", "Falholm", "Gorrow", "Halroth", "Jorburn")


@lru_cache(maxsize=8192)
def tokens(name: str) -> frozenset[str]:
    """The words of a name or a path, in lower case and without a plural's s: `flightIds` is flight, id."""
    found = (part.lower() for part in _parts(name))
    return frozenset(part[:-1] if len(part) > 3 and part.endswith("s") else part for part in found)


def stem(word: str) -> str:
    """A verb without its ending: `locked` and `locking` are lock."""
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return word[: -len(ending)]
    return word


def is_vague(name: str) -> bool:
    """Whether a parameter's name says nothing of what it is: `id`, `value`."""
    return not telling_words(name)


def is_searched(name: str) -> bool:
    """Whether a parameter, as its name says, is what is looked for: `query`, `search_term`."""
    return tokens(name) <= _SEARCHED


def telling_words(name: str) -> frozenset[str]:
    """The words of a parameter's name, or of its dotted path's last part, that say what it is."""
    return tokens(name.rpartition(".")[2]) - _VAGUE


def thing_of(name: str) -> str:
    """A parameter's name without the word for one of two: `from_number` and `new_number` are numbers."""
    parts = _parts(name)
    return "_".join(parts[1:]) if len(parts) > 1 and parts[0].lower() in _SIDES else name


@lru_cache(maxsize=65536)
def likeness(name: str, other: str) -> float:
    """How far a parameter's name is found in the name of a value, from 0 to 1; vague words count little."""
    mine, theirs = tokens(name), tokens(other)
    if not mine:
        return 0.0
    weights = {word: 0.4 if word in _VAGUE else 1.0 for word in mine}
    return sum(weight for word, weight in weights.items() if word in theirs) / sum(weights.values())


@lru_cache(maxsize=65536)
def names_it(name: str, label: str, described: str = "") -> float:
    """How likely a value under a label is one for a parameter, as far as names tell, from 0 to 1.

    Args:
        name: The parameter's.
        label: Where the value stands, parts set apart by `/`; the last one that is not `*` names it. Where
            that says little (`id`, `name`), the parts before count as well.
        described: The parameter's description; its first words count as names as well, if somewhat less.
    """
    parts = [part for part in label.split("/") if part != "*"]
    best = 0.0
    for number, one in enumerate((name, *_meant(described))):
        like = likeness(one, parts[-1]) * (0.8 if number else 1.0)
        if tokens(parts[-1]) <= _VAGUE:
            like = max(like, likeness(one, label))
        best = max(best, like)
    return best


@lru_cache(maxsize=8192)
def _meant(described: str) -> tuple[str, ...]:
    """The words of a description's beginning that say what it is of: `content`, of the content of a file, and
    `patient`, of the id of a patient.
    """
    said = re.split(r"[.;\[(]", described)[0].lower()
    for part in (_OF.split(said)[0], said):
        words = [one for one in re.findall(r"\w+", part)[:10] if one not in _FILLERS and len(one) > 2]
        if any(telling_words(one) for one in words):
            break
    return tuple(words)


def spoken(name: str) -> str:
    """A name as people say it: `card_id` is card id."""
    return " ".join(part.lower() if not part.isupper() else part for part in _parts(name)) or name


def _parts(name: str) -> list[str]:
    return (_PARTS if name.isascii() else _PARTS_OF_ANY).findall(name)


def text_for(name: str, rng: Random, told: str = "") -> str:
    """A text that could be the value of a parameter of this name.

    Args:
        name: The parameter.
        rng: Draws it.
        told: Its description and what errors said; an example in it shows how a value is written.
    """
    words = tokens(name)
    for example in _EXAMPLE.findall(told):
        if _DATE.fullmatch(example):
            words |= {"date"}
        elif _TIME.fullmatch(example):
            words |= {"time"}
    if words & {"date", "time"} == {"date", "time"}:
        words -= {"time" if "date" in tokens(name) or "day" in tokens(name) else "date"}
    if "date" in words or "day" in words:
        return f"2026-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    if "time" in words or "hour" in words:
        return f"{rng.randint(7, 20):02d}:{rng.choice((0, 15, 30, 45)):02d}"
    if "email" in words or "mail" in words:
        return f"{rng.choice(_NAMES).lower()}@{rng.choice(_NOUNS)}.example"
    if "phone" in words:
        return f"0{rng.randint(100, 999)} {rng.randint(100000, 999999)}"
    if words & {"file", "filename"}:
        return f"{rng.choice(_NOUNS)}.txt"
    if words & {"city", "town", "location", "place", "origin", "destination"}:
        return rng.choice(_CITIES)
    if words & {"name", "user", "passenger", "person", "contact", "recipient", "author"}:
        return rng.choice(_NAMES)
    return f"{rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}"


@lru_cache(maxsize=8192)
def options_in(described: str) -> tuple[str, ...]:
    """The values that a description lists, where the schema has no enum: `[Enum]: a, b`, `(Buy/Sell)` or
    `(A-Z)`.
    """
    if found := _LISTED.search(described):
        parts = [part.strip(" \"'[]().") for part in re.split(r",|\bor\b|\band\b", found.group(1))]
        parts = [part for part in parts if 0 < len(part) < 40]
        if len(parts) > 1:
            return tuple(parts)
    if found := _SLASHED.search(described):
        return tuple(found.group(1).split("/"))
    if (found := _LETTERS.search(described)) and found[1] < found[2]:
        return tuple(map(chr, range(ord(found[1]), ord(found[2]) + 1)))
    return tuple(_QUOTED.findall(described)) if len(_QUOTED.findall(described)) > 1 else ()


def listed_in(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts that a parameter's schema or its description lists."""
    listed = tuple(one for one in schema.get("enum") or () if isinstance(one, str))
    return listed or options_in(str(schema.get("description", "")))


def count_for(told: str) -> int | None:
    """How many items a list has to have, where a text says so: `a color is three numbers`."""
    found = _COUNTED.search(told)
    return _COUNTS[found.group(1).lower()] if found else None


def _bound(schema: dict[str, Any], including: str, excluding: str) -> tuple[float | None, bool]:
    """The narrowest bound, and whether it is no such number itself; older schemas mark that with a truth."""
    held, apart = schema.get(including), schema.get(excluding)
    found = [(one, out) for one, out in ((held, apart is True), (apart, True)) if is_finite(one)]
    if not found:
        return None, False
    return max(found) if including == "minimum" else min(found, key=lambda one: (one[0], not one[1]))


def _rising(found: re.Match[str] | None) -> re.Match[str] | None:
    return found if found and float(found[1]) < float(found[2]) else None


def number_for(schema: dict[str, Any], rng: Random, told: str = "", edge: float = 0.0) -> int | float:
    """A number within a schema's bounds, or those that a text states: `from 0 to 100`, `(1-5)`.

    Args:
        schema: The parameter's.
        rng: Draws it.
        told: Its description and what errors said.
        edge: The share of draws that take the least number or the greatest, in halves.
    """
    stated = "minimum" in schema or "maximum" in schema
    if not stated and (bounds := _BOUNDS.search(told) or _rising(_RANGE.search(told))):
        schema = {**schema, "minimum": float(bounds.group(1)), "maximum": float(bounds.group(2))}
        if step := _STEP.search(told):
            unit = int(step.group(1))
            return unit * rng.randint(1, max(1, int(bounds.group(2).split(".")[0]) // unit))
    whole = "integer" in str(schema.get("type"))
    low, above = _bound(schema, "minimum", "exclusiveMinimum")
    high, below = _bound(schema, "maximum", "exclusiveMaximum")
    held = schema.get("multipleOf")
    multiple = Fraction(str(held)) if is_finite(held) else Fraction(0)
    wide = max(1, math.ceil(multiple))
    if low is None:
        low, above = (1 if high is None or high > wide else 0 if high > 0 else high - 30 * wide), False
    if high is None:
        high, below = low + 30 * wide, False
    high = min(high, low + 1000 * wide)
    if multiple > 0:
        times = range(math.ceil(Fraction(low) / multiple), math.floor(Fraction(high) / multiple) + 1)
        edges = {*((low,) if above else ()), *((high,) if below else ())}
        fitting = [one for one in times[:1001] if multiple * one not in edges]
        value = multiple * (rng.choice(fitting) if fitting else 1)
        return int(value) if value.denominator == 1 else float(value)
    if edge and not (above or below) and rng.random() < edge:
        return rng.choice((math.ceil(low), math.floor(high)) if whole else (float(low), float(high)))
    if whole:
        least = math.ceil(low) + (above and low == math.ceil(low))
        most = math.floor(high) - (below and high == math.floor(high))
        return rng.randint(least, max(least, most))
    drawn = rng.uniform(float(low), float(high))
    rounded = round(drawn, 2) or float(high)
    inside = (low < rounded if above else low <= rounded) and (rounded < high if below else rounded <= high)
    return rounded if inside else drawn
