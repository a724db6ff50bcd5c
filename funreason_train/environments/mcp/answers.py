"""A server's answer as a `Result`: text that a model can read, and the value behind it (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..protocol import Result
from .reading import is_json, value_in

_FAILURE = re.compile(
    r"\W{0,4}(?:(?:\w+[ ]){0,3}\w*(?:error|exception)\b[^\n]{0,60}?(?::|$)"
    r"|[^\s:]+:[ ]error\b"  # of one thing of several
    r"|(?:failed|unable) to\b|(?:request|call|operation) failed\b|traceback\b|not found\b"
    r"|(?:i )?(?:could|can|was|were)(?:not| not|n[o'’]?t|['’]t)\b"
    r"|http(?:/[\d.]+)? (?:\w+ )?[45]\d\d\b"
    r"|[45]\d\d (?:bad|unauthorized|forbidden|not found|internal|service)\b"
    r"|(?:invalid|unknown|unsupported|missing) \w+|(?:access|permission) denied\b|no such \w+"
    r"|[^\n{\[]{1,120}\b(?:not found|(?:does|do) not exist|already exists)\b[^\w\n]*$)"  # all that it says
    r"|\s*[❌✖✗⛔🚫][^\n]*$",
    re.IGNORECASE,
)
#: The same in other languages: at the beginning, and anywhere in what says little else.
_FAILURE_ELSEWHERE = re.compile(
    r"\W{0,4}(?:系[統统])?(?:[錯错][誤误]|エラー|오류)(?!\w)"
    r"|\W{0,4}(?:fehler|erreur|erro|errore|fout|ошибка|błąd)\b[^\n]{0,40}?(?::|$)",
    re.IGNORECASE,
)
_FAILED_ELSEWHERE = re.compile(
    r"找不到|未找到|不存在|失[敗败]|[無无]效|(?:[錯错][誤误]|エラー|오류)(?=[：:，,。！!]|\s|$)"
    r"|見つかりません|存在しません|찾을 수 없|실패"
    r"|\bnicht gefunden\b|\bkonnten? nicht\b|fehlgeschlagen|\bungültig|\bintrouvable|n['’]existe pas|\béchou"
    r"|\bno encontrad|\bno existe\b|\bno se pudo\b|\bnão (?:encontrad|existe)|\bnon (?:trovat|esiste)"
    r"|\bniet gevonden\b|\bnie znaleziono\b|не найден|не удалось|не существует",
    re.IGNORECASE,
)
_FAILED_HEADING = re.compile(r"(?:\w+ ){0,2}(?:error|failed|failure|not found)\W*", re.IGNORECASE)
_LITTLE, _FIRST = 240, 5  # characters; lines
#: What an object says of itself where its call has failed: `"status": "error"`, `"status": "task_not_found"`.
#: What is so `already` was not done by the call, and nobody should learn to ask for it.
_FAILED = re.compile(
    r"error|(?:\w+[_ ])?(?:fail(?:ed|ure)?|not[_ ]?found|denied|error)|invalid\w*"
    r"|already[_ ]\w+|no[_-]?op|unauthori[sz]ed|forbidden|conflict|time(?:d_?)?out",
    re.IGNORECASE,
)
_SAYING = ("message", "error", "detail", "result", "reason")
_WHY = ("message", "error", "reason")
_ERRORS = ("error", "errors", "error_message", "errorMessage")
_MISSED = ("not_found", "notFound")  # what was asked for and is not there
_HAPPY = ("success", "ok", "successful", "succeeded")
_SAD = ("isError", "is_error")
_CODES = ("status", "code", "statusCode", "status_code")
_COUNTS = ("count", "total", "total_count", "totalCount", "length", "size")
_REQUEST = frozenset(  # a part of an answer that repeats the call
    ("filter", "filters", "query", "criteria", "params", "parameters", "arguments", "request", "input")
)
_CHANGED = ("rows_affected", "affected_rows", "rowsAffected", "affectedRows", "rowcount")
_FEW = 4  # entries of an object that does nothing but report

#: What no text holds: control characters, and what stands for bytes that are no letters.
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ufffd]")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/])(?=[a-z0-9+/]*[A-Z])(?=[A-Z0-9+/]*[a-z])[A-Za-z0-9+/]{200,}")
_REPORTED = r"^\W{{0,4}}{}[\"'`]?[ \t]*[:-][ \t]*error\b"
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

_NOTHING = frozenset({"", "[]", "{}", "()", "null", "None"})
_NO_RESULT = re.compile(
    r"(?:there (?:are|is) )?no (?:\w+[ ]){0,3}(?:found|match(?:es)?|results?|records?|rows)\W*", re.IGNORECASE
)
_HEADING = re.compile(r"[^\n:\[{]{1,60}:")

if TYPE_CHECKING:
    from mcp_types import CallToolResult


def result_of(
    answer: CallToolResult,
    most: int,
    hidden: Mapping[str, str] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> Result:
    """What a tool answered.

    An answer without any text (an image alone, bytes that are shown as one) is a failed call, since a model
    would learn to call what it cannot read. Where the structured content holds values that the text does not
    show, it is written below the text: a later call may need them.

    Args:
        answer: As the SDK has it.
        most: The longest text, in characters; a longer one is a failed call.
        hidden: Name -> value of what no answer may show, such as keys; an answer that holds one is a failed
            call without it.
        aliases: What stands in answers -> what is shown instead (the session's own folder).
    """
    shown = [_shown(part) for part in answer.content]
    text = _COLOURS.sub("", "\n".join(text for text, _ in shown))
    if len(text) > most:
        return _too_long(text, most)
    structured = answer.structured_content
    if any(_stands_in(data, structured) for data in map(_bytes_of, answer.content) if data):
        structured = None  # what is not shown, once more
    if structured is not None and (not is_json(structured) or _is_text(structured, text)):
        structured = None  # NaN and infinity; or the text once more under the one name that SDKs give it
    if structured is not None and not (text.strip() and _holds(text, structured)):
        written = json.dumps(structured, ensure_ascii=False)
        text = f"{text}\n{written}" if any(readable for _, readable in shown) else written
    elif shown and not any(readable for _, readable in shown):
        return Result(f"Error: the answer holds nothing that can be read as text: {text}"[:most], False)
    if len(text) > most:
        return _too_long(text, most)
    if reason := _no_text(text):
        return Result(f"Error: the answer is no text ({reason})", False)
    if name := next((n for n, value in (hidden or {}).items() if value in text), None):
        return Result(
            f"Error: the answer was withheld, since it shows {name} of the server's environment", False
        )
    text, structured = renamed(text, aliases or {}), renamed(structured, aliases or {})
    if answer.is_error:
        return Result(text or "Error: the tool failed without a word", False)
    value = structured if structured is not None else value_in(text)
    return Result(text, not is_failure(text, value), value)


def is_failure(text: str, value: Any) -> bool:
    """Whether an answer that does not say so tells of a failure, as many servers' do: in its first words, or
    as an object whose `error` is not empty.
    """
    if not text.lstrip().startswith(("{", "[")):
        whole = text.strip()
        return bool(
            _FAILURE.match(text.rstrip())
            or _FAILURE_ELSEWHERE.match(whole)
            or any(map(_FAILED_HEADING.fullmatch, _headings(whole)))
            or (len(whole) < _LITTLE and _FAILED_ELSEWHERE.search(whole))
        )
    if isinstance(value, list):
        return _all_failed(value)
    if not isinstance(value, Mapping):
        return False
    if _has_error(value) or any(_all_failed(one) for one in value.values()):
        return True
    if value and all(isinstance(one, Mapping) and one.keys() & set(_WHY) for one in value.values()):
        return all(is_failure("{}", one) for one in value.values())  # a report of each of several things
    if len(value) > _FEW:  # a record, whose status may be that of what was asked for
        return False
    if any(_FAILED.fullmatch(str(value.get(key, ""))) for key in ("status", "result")):
        return True
    if any(_is_status(value.get(key)) for key in _CODES) and value.keys() & set(_SAYING):
        return True
    said = [value[key] for key in _SAYING if isinstance(value.get(key), str)]
    return bool(said) and len(said) == len(value) and _FAILURE.match(said[0].rstrip()) is not None


def _all_failed(value: Any) -> bool:
    """Whether a value is a list of reports, each of an error."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, Mapping) and _has_error(one) for one in value)
    )


def _has_error(value: Mapping[str, Any]) -> bool:
    """Whether an object says in so many words that it reports an error."""
    return (
        any(value.get(key) for key in _ERRORS)
        or any(value.get(key) and isinstance(value[key], (list, Mapping)) for key in _MISSED)
        or any(str(value.get(key)).lower() == "false" for key in _HAPPY if key in value)
        or any(value.get(key) is True for key in _SAD)
        or any(value.get(key) == 0 for key in _CHANGED)  # what it was to change is not there
    )


def _is_status(value: Any) -> bool:
    """Whether a number is an HTTP status that no success has."""
    return isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600


def first_flaw(error: BaseException) -> str:
    """What is wrong with something that a server sent, in a few words: the first of a list of flaws, where.

    Args:
        error: A `pydantic.ValidationError`, or any other.
    """
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def failed_in_part(result: Result, arguments: Mapping[str, Any]) -> bool:
    """Whether a call over several things reports an error for one of them; whoever asked for all has not got
    what they asked for.

    Args:
        result: The answer.
        arguments: Of the call; the things are the elements of its lists.
    """
    value = result.value
    for things in (one for one in arguments.values() if isinstance(one, list)):
        names = [str(one) for one in things if isinstance(one, (str, int))]
        if isinstance(value, Mapping) and names and value.keys() == set(names):
            value = list(value.values())
        reports = [value, *value.values()] if isinstance(value, Mapping) else [value]
        each = [
            one
            for listed in reports
            if isinstance(listed, list) and len(listed) == len(things)
            for one in listed
        ]
        if any(isinstance(one, Mapping) and _has_error(one) for one in each):
            return True
        if any(re.search(_REPORTED.format(re.escape(one)), result.text, re.I | re.M) for one in names):
            return True
    return False


def found_nothing(
    result: Result, arguments: Mapping[str, Any] | None = None, usual: Mapping[str, Any] | None = None
) -> bool:
    """Whether an answer is empty: of a call that looks something up, a sign that there is no such thing.

    Args:
        result: The answer. That the call went well, that it found 0, and what it was asked for is nothing.
        arguments: What it was asked for.
        usual: What the call takes for parameters that are not given.
    """
    text, value = result.text.strip(), result.value
    if isinstance(value, Mapping):
        given = arguments or {}
        known, asked = {**(usual or {}), **given}, [one for one in given.values() if one]
        value = {key: one for key, one in value.items() if not _repeats(key, one, known, asked)}
        if not value:  # it only says that it went well, or repeats what it was told
            value = result.value
    if text in _NOTHING or _is_empty(value) or _HEADING.fullmatch(text):  # a heading with nothing below
        return True
    return any(map(_NO_RESULT.fullmatch, (text, *_headings(text))))


def _headings(text: str) -> list[str]:
    """What stands in the headings at the beginning of a text."""
    return [line.strip("# *") for line in text.splitlines()[:_FIRST] if line.startswith("#")]


def _repeats(key: str, value: Any, known: Mapping[str, Any], asked: Sequence[Any]) -> bool:
    """Whether a field of an answer holds nothing but what the call was asked for."""
    if key.lower() in _REQUEST and isinstance(value, Mapping) and value:
        return all(_repeats(inner, one, known, asked) for inner, one in value.items())
    return _says_nothing(key, value) or (key in known and value == known[key]) or value in asked


def _says_nothing(key: str, value: Any) -> bool:
    return (key in _HAPPY and value is True) or (key in _COUNTS and value == 0)


def counts_none(result: Result) -> bool:
    """Whether an answer says in a number that it found none: `{"count": 0, "notes": []}`."""
    value = result.value
    return isinstance(value, Mapping) and any(
        _says_nothing(key, value[key]) for key in _COUNTS if key in value
    )


def made_nothing(result: Result) -> bool:
    """Whether an answer lists what a call has made, and the list is empty; no answer at all is none."""
    return result.value not in (None, {}) and _is_empty(result.value)


def _is_empty(value: Any) -> bool:
    """Whether a list or an object holds nothing but empty ones."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else None
    return inner is not None and all(map(_is_empty, inner))


def _is_text(structured: Any, text: str) -> bool:
    """Whether structured content is an object around the answer's text and nothing else."""
    if not isinstance(structured, Mapping) or len(structured) != 1:
        return False
    (held,) = structured.values()
    return isinstance(held, str) and held.strip() == text.strip() != ""


def _too_long(text: str, most: int) -> Result:
    return Result(f"Error: the answer has {len(text):,} characters; at most {most:,} are read", False)


def _shown(part: Any) -> tuple[str, bool]:
    """A part of an answer as text, and whether it is one; what is not text is named."""
    if part.type == "text":
        return str(part.text), True
    if part.type == "resource":
        if (text := getattr(part.resource, "text", None)) is not None:
            return str(text), True
        return f"[{part.resource.mime_type or 'binary'} resource {part.resource.uri}, not shown]", False
    if part.type == "resource_link":
        told = f": {part.description}" if part.description else ""
        return f"[{part.name}: {part.uri}{told}]", True
    return f"[{getattr(part, 'mime_type', None) or part.type}, not shown]", False


def _no_text(text: str) -> str:
    """Why an answer is no text, though it is sent as one; empty if it is."""
    if found := _NO_TEXT.search(text):
        return f"it holds the character U+{ord(found[0]):04X}"
    if found := _BASE64.search(text):
        return f"it holds bytes in letters, {found[0][:16]}…"
    return ""


def _bytes_of(part: Any) -> str:
    """The bytes of a part that is not text, as the protocol writes them; empty if it has none."""
    resource = getattr(part, "resource", None)
    return str(getattr(part, "data", None) or getattr(resource, "blob", None) or "")


def _stands_in(data: str, value: Any) -> bool:
    """Whether some text of a value is this one."""
    if isinstance(value, Mapping):
        return any(_stands_in(data, one) for one in value.values())
    if isinstance(value, list):
        return any(_stands_in(data, one) for one in value)
    return isinstance(value, str) and data in value


def _holds(text: str, value: Any) -> bool:
    """Whether a text shows every scalar of a value."""
    shown = value_in(text)
    if shown is not None and shown in (value, value.get("result") if isinstance(value, Mapping) else None):
        return True
    return all(any(one in text for one in spellings) for spellings in _written(value))


def _written(value: Any) -> Iterator[tuple[str, ...]]:
    """The ways in which a text may show each scalar; what is true, false or nothing is not looked for."""
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _written(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _written(one)
    elif isinstance(value, str):
        yield value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    elif not isinstance(value, bool) and value is not None:
        yield (json.dumps(value),)


def replaced(value: Any, there: str, instead: str) -> Any:
    """A JSON value with one text for another in every text of it, keys included."""
    return _rewritten(value, lambda text: text.replace(there, instead))


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A JSON value with other texts for some in every text of it."""
    for there, instead in names.items():
        value = replaced(value, there, instead)
    return value


def located(value: Any, names: Mapping[str, str]) -> Any:
    """A JSON value with the paths for their names, the other way round than `renamed`; `/sessions` and
    `notes/session` name no folder of ours, and a name that is no path is a word like any other.
    """
    paths = [
        (re.compile(rf"(?<![\w.]){re.escape(instead)}(?!\w)"), there.replace("\\", r"\\"))
        for there, instead in names.items()
        if instead.startswith("/")
    ]

    def change(text: str) -> str:
        for named, there in paths:
            text = named.sub(there, text)
        return text

    return _rewritten(value, change)


def _rewritten(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(str(key)): _rewritten(one, change) for key, one in value.items()}
    if isinstance(value, list):
        return [_rewritten(one, change) for one in value]
    return value
