"""What stands in an answer's text, as JSON values, so that later calls can use it (pure).

Servers answer with JSON, with Python's notation, or with lines that people read. Only values that stand in
the text are found, so that whoever reads the text can know them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from ...calls import CallSyntaxError, parse_calls

_LONGEST: Final = 200_000
_MOST_LINES: Final = 500
_LINE: Final = re.compile(r"^[-*•\s]{0,4}([A-Za-z][\w /-]{0,40}?)\s*[:=]\s+(\S.{0,300}?)\s*$")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,12})?")
_START: Final = re.compile(r"(?:^|(?<=\n)|(?<=: ))[\[{]")

_MADE: Final = (
    r"(?:created|added|saved|stored|inserted|made|registered|scheduled|recorded|opened|started|logged)"
)
_ID: Final = r"(?P<{0}>(?!\d{{4}}-\d\d|\d+:\d)[A-Za-z]{{0,12}}[-_]?\d[\w-]{{0,40}})(?![.:,]?\w)"
#: `Created note 42`, `Task T-7 was added`, `It is saved (ID: 3)`: what has been made, and its id.
_TOLD: Final = (
    re.compile(
        rf"\b{_MADE} (?:(?:a|an|the|new) ){{0,2}}(?P<what>[a-z]+) (?:#|no\. )?{_ID.format('id')}", re.I
    ),
    re.compile(
        rf"(?:^|\n)\W{{0,4}}(?P<what>[a-z]+) #?{_ID.format('id')} (?:(?:is|was|has been) )?{_MADE}\b",
        re.I,
    ),
    re.compile(
        rf"\b{_MADE} (?:(?:a|an|the|new) ){{0,2}}(?P<what>[a-z]+):? [^\n(]{{1,80}} "
        rf"\((?:id:? ?)?#?{_ID.format('id')}\)",
        re.I,
    ),
    re.compile(rf"(?:\b(?P<what>[a-z]+)[ _])?\bid(?: is|[:=])? ?#?[\"'`]?{_ID.format('id')}", re.I),
)
#: A thing with its id: `TASK-1 - Buy paint`, `Document doc-2: Plan`, `3. Buy paint (ID: 7)`, `[#7] Paint`.
_ENTRIES: Final = (
    re.compile(
        r"^[-*•\s]{0,6}(?:(?P<what>[A-Z][a-z]+) )?(?P<id>[A-Za-z]{1,12}-\d{1,9})(?: +[-–—] +|: +| *\| *)"
        r"(?P<title>\S.{0,200}?)\s*$"
    ),
    re.compile(
        r"^[-*•\s]{0,6}(?:\d{1,3}[.)] )?(?P<what>)(?:\[#?|#)(?P<id>(?:[A-Za-z]{1,12}-)?\d{1,9})\]?:? +"
        r"(?P<title>\S.{0,200}?)\s*$"
    ),
    re.compile(
        rf"^(?!.*\b(?i:{_MADE})\b)[-*•\s]{{0,6}}(?:\d{{1,3}}[.)] )?(?P<what>)(?P<title>\S.{{0,200}}?) *"
        r"[\[(](?:ID|[Ii]d)[:=]? *#?(?P<id>[\w-]{1,64})[\])]"
    ),
)
_MOST_TOLD: Final = 400  # characters of an answer in a sentence or two
_NONE: Final = frozenset(
    ("none", "(none)", "n/a", "null", "(empty)", "empty", "(not set)", "not set", "unset")
)
_NO_THING: Final = frozenset(
    {"with", "the", "its", "and", "by", "has", "an", "new", "a", "for", "of", "this"}
)


def value_in(text: str) -> Any:
    """The value that a text shows; None if it shows none.

    JSON first, as the whole text or as a part that begins a line; then the same in Python's notation; then
    things with their ids, one a line, and lines like `Name: value`, as an object, or as a list of objects
    where names come again; then the id that a sentence tells of what was made.
    """
    if len(text) > _LONGEST:
        return None
    stripped = text.strip()
    for read in (_json, _python):
        try:
            return read(stripped)
        except (ValueError, RecursionError):
            continue
    if (found := _part(stripped)) is not None:
        return found
    things, rest = _things(stripped)
    found = _lines(rest)
    if things and not isinstance(found, list):
        if len(things) == 1:
            return {**things[0], **(found or {})}
        return things if found is None else {**found, "entries": things}
    if found is None or (isinstance(found, dict) and len(found) == 1):
        return _told(stripped) or found
    return found


def is_json(value: Any) -> bool:
    """Whether a value can be written as JSON: no NaN, no infinity, not nested beyond all measure."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _json(text: str) -> Any:
    return _written_value(json.loads(text))


def _written_value(value: Any) -> Any:
    """The value, which has to be one that JSON can hold; Python reads NaN and 1e999 as well."""
    if not is_json(value):
        raise ValueError("NaN, or a number without end")
    return value


def _python(text: str) -> Any:
    if not text.startswith(("[", "{", "(")):
        raise ValueError("no list and no object")
    try:
        (call,) = parse_calls(f"[f(a={text})]")
    except CallSyntaxError as error:
        raise ValueError(str(error)) from None
    return _written_value(call.arguments["a"])


def _part(text: str) -> Any:
    """The first list or object of JSON that begins a line or follows a colon."""
    decoder = json.JSONDecoder()
    for match in list(_START.finditer(text))[:20]:
        try:
            value, _ = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if value and isinstance(value, (dict, list)) and is_json(value):
            return value
    return None


def _things(text: str) -> tuple[list[dict[str, Any]], str]:
    """The things that a text lists with their ids, a line each, and the text without these lines."""
    things, rest = [], []
    for line in text.splitlines()[:_MOST_LINES]:
        match = next(filter(None, (one.match(line) for one in _ENTRIES)), None)
        if match is None:
            rest.append(line)
            continue
        prefix = match["id"].rpartition("-")[0]
        kind = match["what"] or (prefix if prefix.isalpha() and len(prefix) > 1 else "")
        title = match["title"].partition(" (")[0].strip(" *_`-:")
        things.append({f"{kind.lower()}_id" if kind else "id": _scalar(match["id"])} | {"title": title})
    return things, "\n".join(rest)


def _lines(text: str) -> Any:
    records: list[dict[str, Any]] = []
    for line in text.splitlines()[:_MOST_LINES]:
        if (match := _LINE.match(line)) is None:
            continue
        name = "_".join(match[1].lower().replace("-", " ").replace("/", " ").split())
        if not records or name in records[-1]:
            records.append({})
        records[-1][name] = None if match[2].lower() in _NONE else _scalar(match[2])
    if not records:
        return None
    return records[0] if len(records) == 1 else records


def _told(text: str) -> dict[str, Any] | None:
    """The id in a sentence such as `Created note 42`; None where there is none, or several of one kind."""
    if len(text) > _MOST_TOLD:
        return None
    for pattern in _TOLD:
        if found := list(pattern.finditer(text)):
            what = str(found[0]["what"] or "").lower()
            name = f"{what}_id" if what and what not in _NO_THING else "id"
            return {name: _scalar(found[0]["id"])} if len(found) == 1 else None
    return None


def _scalar(text: str) -> Any:
    """A number where the text is one exactly, else the text."""
    if _NUMBER.fullmatch(text):
        number = float(text) if "." in text else int(text)
        if str(number) == text:
            return number
    return text.strip("\"'`") or text
