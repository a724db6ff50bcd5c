"""Whether a text gives a value away, in whatever form people write it: other letters, digits, dates.

Rather too much is found than too little: a text that is refused costs one draw, and one that gives an answer
away teaches nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import date, datetime
from functools import lru_cache
from typing import Any

_NUMBER = re.compile(r"(?<![^\W_])[-+]?\d+(?:[,\u00a0\u202f' _]\d{3})*(?:\.\d+)?(?![^\W_])")
_SEPARATED = re.compile(r"[,\u00a0\u202f' _](?=\d{3})")
_PLAIN_NUMBER = re.compile(r"[-+]?(?:0|[1-9]\d*)(?:\.\d+)?")
_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    "twelve",
)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october"),
    *("november", "december"),
)
_DATES = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d %B %Y", "%B %d %Y", "%d %b %Y")
_TIME = re.compile(r"([01]?\d|2[0-3])[:.]([0-5]\d)(?::[0-5]\d(?:\.\d+)?)?(?:z|[+-]\d\d:?\d\d)?")
_LONGEST_CODE = 40  # letters and digits of a value that may be written with other marks between them


def gives_away(text: str, value: Any) -> bool:
    """Whether a text holds a value in some form.

    Args:
        text: Anything.
        value: A JSON value; of a list or an object, any part counts. For a boolean see `tells_flag`: here the
            words `true` and `false` count alone.
    """
    if isinstance(value, dict):
        return any(gives_away(text, one) for one in value.values())
    if isinstance(value, (list, tuple)):
        return any(gives_away(text, one) for one in value)
    if value is None:
        return False
    folded = fold(text)
    if isinstance(value, bool):
        return re.search(rf"\b{'true' if value else 'false'}\b", folded) is not None
    if isinstance(value, (int, float)):
        return _has_number(folded, float(value) if abs(value) < 1e15 else value)
    shown = fold(str(value))
    if not shown:
        return False
    if _PLAIN_NUMBER.fullmatch(shown) and len(shown) < 16 and _has_number(folded, float(shown)):
        return True
    return any(one.search(folded) for one in _patterns(shown))


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """A text in one spelling: composed or not, wide or narrow, in whatever case; spaces are one space."""
    alike = unicodedata.normalize("NFKC", text).upper().casefold()  # ß is ss, and ı is i
    return " ".join(unicodedata.normalize("NFKC", alike).split())


def _has_number(folded: str, value: float) -> bool:
    for found in _NUMBER.findall(folded):
        read = _SEPARATED.sub("", found)
        if value in (float(read), float(found.rpartition(" ")[2].replace(",", "") or "nan")):
            return True
    if value == int(value) and 0 <= value < len(_WORDS):
        return re.search(rf"\b{_WORDS[int(value)]}\b", folded) is not None
    return False


@lru_cache(maxsize=4096)
def _patterns(shown: str) -> tuple[re.Pattern[str], ...]:
    """Every form in which a text, folded already, may stand in another."""
    found = [_whole(r"[\W_]*\s?".join(map(re.escape, shown.split())), shown[0], shown[-1])]
    characters = [one for one in shown if one.isalnum()]
    if characters and any(one.isdigit() for one in characters) and len(characters) <= _LONGEST_CODE:
        marks = r"[\s\-_./:,]{0,2}"
        found.append(_whole(marks.join(map(re.escape, characters)), characters[0], characters[-1]))
    words = re.findall(r"\w+", shown)
    if len(words) > 1:
        found.append(_whole(r"[\W_]+".join(map(re.escape, words)), words[0][0], words[-1][-1]))
    found += map(re.compile, _as_date(shown))
    found += map(re.compile, _as_time(shown))
    return tuple(found)


def _whole(pattern: str, first: str, last: str) -> re.Pattern[str]:
    """A pattern that matches whole words; scripts that set no spaces have none."""
    before = r"(?<![^\W_])" if is_spaced(first) else ""
    after = r"(?![^\W_])" if is_spaced(last) else ""
    return re.compile(before + pattern + after)


def is_spaced(character: str) -> bool:
    """Whether a letter or digit belongs to a script that sets spaces between words."""
    if not character.isalnum():
        return False
    if character.isascii():
        return True
    name = unicodedata.name(character, "")
    return not name.startswith(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR"))


def _as_date(shown: str) -> Iterator[str]:
    for one in _dates(shown):
        month = _MONTHS[one.month - 1]
        names = f"(?:{month}|{month[:3]}{'|sept' if one.month == 9 else ''})"
        day, year = rf"0?{one.day}(?:st|nd|rd|th)?", rf"(?:[,\s]+(?:{one.year}|'?{one.year % 100:02d}))?"
        yield rf"(?<!\d){day}\s+(?:of\s+)?{names}\b{year}"
        yield rf"\b{names}\.?\s+(?:the\s+)?{day}(?!\d){year}"
        mark = r"\s?[/.\-]\s?"
        short = rf"(?:{one.year}|{one.year % 100:02d})"
        for first, second in ((one.day, one.month), (one.month, one.day)):
            yield rf"(?<![\d/.\-])0?{first}{mark}0?{second}(?:{mark}{short})?(?![\d/]|[.\-]\d)"
        yield rf"(?<!\d){one.year}{mark}0?{one.month}{mark}0?{one.day}(?!\d)"


def _dates(shown: str) -> set[date]:
    """The days that a text may name: a date, or one with a time after it."""
    found = set()
    head = re.split(r"[t ](?=\d{1,2}:\d{2})", shown)[0].replace(",", "")
    for form in _DATES:
        try:
            found.add(datetime.strptime(head, form).date())
        except ValueError:
            continue
    return found


def _as_time(shown: str) -> Iterator[str]:
    read = _TIME.fullmatch(re.split(r"(?<=\d)[t ](?=\d{1,2}:\d{2})", shown)[-1])
    if read is None:
        return
    hour, minute = int(read[1]), int(read[2])
    yield rf"(?<!\d)0?{hour}[:.h]{minute:02d}(?!\d)"
    half = r"\s?(?:a\.?m\.?)" if hour < 12 else r"\s?(?:p\.?m\.?)"
    minutes = rf"[:.]{minute:02d}" if minute else r"(?:[:.]00)?"
    yield rf"(?<!\d){hour % 12 or 12}{minutes}{half}(?!\w)"
    if not minute:
        yield rf"(?<!\d)(?:{hour}|{hour % 12 or 12}) o'?clock"
