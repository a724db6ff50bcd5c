"""What a server answers with is in part another thing in each session: names for it that stay (pure).

Two plays of the same calls differ in ids that are drawn at random (UUIDs, and whatever else a server was seen
to draw), in ids made from the clock (`task-1764533531123`), and in the times at which something was written
down. A model reads an id that follows from the call which first showed it, and one fixed moment in place of
every time of about now; a call that holds such an id means the real one. So conversations can be replayed,
and the same seed makes the same rows.

Ids that follow from what they stand for (digests, UUIDs of versions 3 and 5), times that are not of about
now, and what a call itself has given are data, and stay.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from typing import Any, Final

from ..protocol import Result

MOMENT: Final = "2026-03-02T09:30:00"
"""What every time of about now is shown as, in the form in which the server writes times."""

_NOW: Final = "(now)"  # a time of about now where the state is compared

_MOMENT_SECONDS: Final = 1772443800
_LEAST: Final = 1e9  # of the numbers that may count seconds since 1970
_NEAR: Final = 26 * 3600.0  # seconds; a clock of any time zone is no further from ours
_A_DAY: Final = 86_400
_UUID: Final = (
    r"(?<![0-9A-Za-z])(?:[0-9a-f]{8}-[0-9a-f]{4}-[1467][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    r"|[0-9A-F]{8}-[0-9A-F]{4}-[1467][0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12})(?![0-9A-Za-z])"
)
_EPOCH: Final = (
    r"(?<![0-9A-Za-z.])(?P<seconds>\d{10})(?P<parts>\d{3}|\d{6}|\d{9})?(?P<rest>\.\d+)?(?![0-9A-Za-z])"
)
_TIME: Final = (
    r"(?<![0-9A-Za-z])(?P<date>\d{4}-\d\d-\d\d)(?P<between>[T ])(?P<minute>\d\d:\d\d)"
    r"(?:(?P<second>:\d\d)|(?!:\d\d))(?:(?P<fraction>[.,]\d+)|(?![.,]\d))(?=Z|[^0-9A-Za-z]|$)"
)
#: The same as names of files have it: `20261201_103652`, `2026-12-01T10-36-52`; with parts of a second,
#: `20261201T103652123`, it is an id made from the clock.
_STAMP: Final = (
    r"(?<![0-9A-Za-z])(?P<day>\d{4}-?\d\d-?\d\d)[T_-]?(?P<clock>(?:[01]\d|2[0-3])-?[0-5]\d-?[0-5]\d)"
)
_PART: Final = r"(?P<part>[_.-]?\d{3}(?:\d{3})?)"
_END: Final = r"(?=Z?(?![0-9A-Za-z]))"
#: Ids of other forms, the narrowest first; one is looked for where a server was seen to draw such. A digest
#: may be written as any of them, so none is taken for drawn by its form alone.
_FORMS: Final = (  # with the fewest characters of one; 0 depends on what stands before it
    (r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", 32),  # a UUID without its dashes
    (r"(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{#}", 0),
    (r"(?=[A-F]*[0-9])(?=[0-9]*[A-F])[0-9A-F]{#}", 0),
    (r"(?=[a-z]*[0-9])(?=[0-9]*[a-z])[0-9a-z]{#}", 18),
)
_MIXED: Final = r"(?=[A-Za-z]*[0-9])(?=[0-9A-Z]*[a-z])(?=[0-9a-z]*[A-Z])[0-9A-Za-z]{#}"
_MARKED: Final = r"(?=[0-9A-Z_-]*[a-z])(?=[0-9a-z_-]*[A-Z])[0-9A-Za-z_-]{#}"
_LETTERS: Final = {
    **{"0-9a-f": "0123456789abcdef", "0-9A-F": "0123456789ABCDEF"},
    "0-9a-z": "0123456789abcdefghijklmnopqrstuvwxyz",
}
_ALL: Final = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_UUIDS = re.compile(_UUID)
_WORD_BEFORE = re.compile(r"[A-Za-z]+[_-]")
_BEFORE: Final = 40  # characters that are looked at for such a word
_LABEL = re.compile(r"(?:(?<![A-Za-z])(?:id|ID|Id|uid)|_id|[a-z]I[dD])[\"'`]?\s?[:=#]?\s?[\"'`]?$")
_AHEAD = re.compile(r"\(\?=[^)]*\)")
_AFTER = re.compile(r"^\(\?<=[A-Za-z_-]+\)")
_HEX = re.compile(r"(?<=\[0-9a-f\])\{\d+\}\Z|(?<=\[0-9A-F\])\{\d+\}\Z")
_SHORTEST, _ALONE = 6, 8  # characters of an id after a word, and without one
_LONG: Final = 16  # from which on one may hold marks
_TIMES = re.compile(rf"{_TIME}|{_STAMP}(?![_.-]\d{{3}}){_END}")
_STAMPS = re.compile(rf"{_TIME}(?:Z|[+-]\d\d:?\d\d\b)?|{_EPOCH}|{_STAMP}{_PART}?{_END}")
_SECONDS = re.compile(
    rf"{_TIME}|{_STAMP}(?![_.-]\d{{3}}){_END}|(?<![0-9A-Za-z.])(?P<seconds>\d{{10}})(?![0-9A-Za-z])"
)
_MADE_OF_TIMES: Final = f"{_EPOCH}|{_STAMP}{_PART}{_END}"


def drawn_ids(first: str, second: str, known: Iterable[str] = ()) -> frozenset[str]:
    """The forms of the ids in which alone two answers to a call differ; none where they differ otherwise.

    Args:
        first: An answer.
        second: Another.
        known: Forms that the server's ids have; by chance one may hold no letter, or nothing else.
    """
    for word in (r"([0-9A-Za-z_-]+)", r"([0-9A-Za-z]+)"):
        parts = re.split(word, first), re.split(word, second)
        if len(parts[0]) != len(parts[1]):
            continue
        apart = [pair for pair in zip(*parts, strict=True) if pair[0] != pair[1]]
        forms = [
            (_form_after(*pair) if "_-" in word else _form(*pair))
            or _by_chance(pair, known)
            or _form_of_labelled(*pair, "".join(parts[0][: parts[0].index(pair[0])]))
            for pair in apart
        ]
        if forms and all(forms):
            return frozenset(forms)
    return frozenset()


def _form_of_labelled(first: str, second: str, before: str) -> str:
    """The form of short ids that a word before them says are such: `"id": "k3x9m2pq"`."""
    size = len(first)
    if size != len(second) or not _LABEL.search(before[-_BEFORE:]):
        return ""
    for form, least in ((_FORMS[-1][0], _SHORTEST), (_MIXED, _ALONE)):
        if size >= least and _are(made := form.replace("#", str(size)), first, second):
            return made
    return ""


def _by_chance(pair: Sequence[str], known: Iterable[str]) -> str:
    """The form that two ids would have but for chance."""
    return next((one for one in known if all(re.fullmatch(_bare(one), part) for part in pair)), "")


def _bare(form: str) -> str:
    """A form without what stands before it, and whatever letters it holds."""
    return _AHEAD.sub("", _AFTER.sub("", form))


def _form(first: str, second: str, marks: bool = False, least: int = _ALONE) -> str:
    """The narrowest form that two ids have; empty if they are none, or if many of their kind have not.

    Args:
        first: An id.
        second: Another.
        marks: Whether ids of all letters may hold marks as well; these two need not.
        least: The fewest characters of a hexadecimal one.
    """
    size = len(first)
    if size != len(second):
        return ""
    for form, shortest in (*_FORMS, (_MARKED if marks else _MIXED, _LONG)):
        made = form.replace("#", str(size))
        if size >= (shortest or least) and _are(made, first, second):
            return made
    return ""


def _are(form: str, first: str, second: str) -> bool:
    """Whether two ids have a form; one of them may by chance hold no digit, or nothing else (of eight
    hexadecimal characters one in forty does).
    """
    both = all(re.fullmatch(_bare(form), one) for one in (first, second))
    return both and any(re.fullmatch(form, one) for one in (first, second))


def _form_after(first: str, second: str) -> str:
    """The same of ids that may stand after a word that both have: `task_V1StGXR8_Z5jdHi6B`."""
    word = _WORD_BEFORE.match(first)
    if word is None or not second.startswith(word[0]):
        return _form(first, second, marks=True)
    form = _form(first[word.end() :], second[word.end() :], marks=True, least=_SHORTEST)
    if "0-9a-f]{" in form.lower():  # after such a word a number is one as well
        form = _AHEAD.sub("", form)
    return form and f"(?<={word[0]}){form}"


@lru_cache(maxsize=256)
def _ids_of(forms: frozenset[str], more: str = "") -> re.Pattern[str]:
    """What finds UUIDs, ids of these forms, and whatever else is named."""
    own = []
    for one in sorted(forms):
        marks = "_-" if "_-" in one else ""
        before = "" if one.startswith("(?<=") else f"(?<![0-9A-Za-z{marks}])"
        own.append(f"{before}(?:{one})(?![0-9A-Za-z{marks}])")
        if before and (size := _HEX.search(one)):  # one of digits alone, where it is a text for certain
            own += [rf'(?<=")[0-9]{size[0]}(?=")', rf"\A[0-9]{size[0]}\Z"]
    return re.compile("|".join([_UUID, *([more] if more else []), *own]))


class Names:
    """The names of one session.

    Args:
        known: A text with ids that are the same in every session, such as a description's examples.
    """

    def __init__(self, known: str = "") -> None:
        self._known_text = known
        self._real: dict[str, str] = {}  # shown -> real
        self.know(frozenset())
        self._shown: dict[str, str] = {}
        self._asked: Counter[str] = Counter()
        self._call, self._new = "", 0  # what shows new ids, and how many so far

    def know(self, forms: frozenset[str]) -> None:
        """Looks for ids of these forms as well, from now on; see `drawn_ids`."""
        self._forms, self._ids = sorted(forms), _ids_of(forms, _MADE_OF_TIMES)
        self._same = set(self._found(self._known_text))  # ids and times that are shown as they are

    def _found(self, text: str) -> list[str]:
        return [match[0] for pattern in (self._ids, _TIMES) for match in pattern.finditer(text)]

    def meant(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A call's arguments as the server knows them; to be followed by `shown` of its answer."""
        asked = json.dumps([name, arguments], sort_keys=True)
        self._same.update(one for one in self._found(asked) if one not in self._real)
        self._asked[asked] += 1
        self._call, self._new = f"{asked} {self._asked[asked]}", 0
        return dict(_changed(arguments, lambda text: self._ids.sub(self._meant, text)))

    def shown(self, result: Result) -> Result:
        """An answer as a model reads it; its value knows no time of about now, so no call is given one."""
        text = _TIMES.sub(self._time, self._ids.sub(self._id, result.text))
        return Result(text, result.ok, _changed(result.value, self._known))

    def _known(self, text: str) -> str | None:
        if any(self._is_moment(match) for match in _TIMES.finditer(text)):
            return None
        return self._ids.sub(self._id, text)

    def _meant(self, match: re.Match[str]) -> str:
        return self._real.get(match[0], match[0])

    def _is_moment(self, match: re.Match[str]) -> bool:
        return match[0] not in self._same and _is_now(match)

    def _id(self, match: re.Match[str]) -> str:
        real = match[0]
        of_time = bool(match["seconds"] or match["day"])
        if real in self._same or (of_time and not _is_now(match)):
            return real
        if real not in self._shown:
            self._new += 1
            rng = Random(f"{self._call} {self._new}")
            name = _stamp(match, rng) if of_time else _another(real, rng, self._forms)
            self._shown[real], self._real[name] = name, real
        return self._shown[real]

    def _time(self, match: re.Match[str]) -> str:
        if not self._is_moment(match):
            return match[0]
        if match["day"]:
            return _written_as(match[0], re.sub(r"\D", "", MOMENT))
        fraction = match["fraction"]
        shown = f"{MOMENT[:10]}{match['between']}{MOMENT[11:16]}{':00' if match['second'] else ''}"
        # Some servers leave out zeros at the end of a fraction.
        return shown if fraction is None else f"{shown}{fraction[0]}{'0' * (3 if len(fraction) <= 4 else 6)}"


def timeless(value: Any) -> Any:
    """A JSON value without the times that a clock has just shown: `created_at`, a line of a log.

    Two plays of the same calls would differ in them. Only times of about now are meant; any other is data.
    """
    return _changed(value, lambda text: _STAMPS.sub(_without_now, text))


def is_of_now(name: str) -> bool:
    """Whether a file is named after a second of about now; of two that are written in one, one is left."""
    return any(map(_is_now, _SECONDS.finditer(name)))


def nameless(value: Any, forms: frozenset[str] = frozenset()) -> Any:
    """A JSON value with random ids numbered as they come, so that two that differ in them alone are equal.

    Args:
        value: Any; what stands in the order of its texts is put into the one that it has without the ids.
        forms: Of ids that are no UUIDs; see `drawn_ids`.
    """
    numbers: dict[str, str] = {}
    ids = _ids_of(forms)

    def number(match: re.Match[str]) -> str:
        return numbers.setdefault(match[0], f"(id {len(numbers) + 1})")

    return _changed(_in_order(value, ids), lambda text: ids.sub(number, text))


def _in_order(value: Any, ids: re.Pattern[str]) -> Any:
    def without(text: str) -> str:
        return ids.sub("(id)", text)

    if isinstance(value, Mapping):
        keys = list(value)
        if any(map(ids.search, keys)) and keys == sorted(keys):
            keys.sort(key=without)
        return {key: _in_order(value[key], ids) for key in keys}
    if isinstance(value, list):
        if all(isinstance(one, str) for one in value) and value == sorted(value):
            return sorted(value, key=without)
        return [_in_order(one, ids) for one in value]
    return value


def _changed(value: Any, change: Callable[[str], str | None]) -> Any:
    """A JSON value with every text of it changed, keys included, and every number that may be a time."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for key, one in value.items():
            shown = change(key) or key
            while shown in found:
                shown += "'"
            found[shown] = _changed(one, change)
        return found
    if isinstance(value, list):
        return [_changed(one, change) for one in value]
    if isinstance(value, (int, float)) and value >= _LEAST:
        if (other := change(repr(value))) is None:
            return None
        try:
            return type(value)(other)
        except ValueError:
            return other
    return value


def _is_now(match: re.Match[str]) -> bool:
    """Whether a time, or a number that counts seconds since 1970, is one of about now."""
    found = match.groupdict()
    try:
        if found.get("seconds"):
            when = float(found["seconds"])
        elif found.get("day"):
            told = f"{found['day']}{found['clock']}".replace("-", "")
            when = datetime.strptime(told, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
        else:
            told = f"{found['date']}T{found['minute']}"
            when = datetime.fromisoformat(told).replace(tzinfo=UTC).timestamp()
    except ValueError:  # no date at all
        return False
    return abs(when - time.time()) < _NEAR


def _without_now(match: re.Match[str]) -> str:
    return _NOW if _is_now(match) else match[0]


def _written_as(stamp: str, digits: str) -> str:
    """A stamp with other digits, in its own form."""
    rest = iter(digits)
    return re.sub(r"\d", lambda old: next(rest, old[0]), stamp)


def _stamp(match: re.Match[str], rng: Random) -> str:
    if match["day"]:
        clock = f"{rng.randrange(24):02}{rng.randrange(60):02}{rng.randrange(60):02}"
        parts = "".join(rng.choice("0123456789") for _ in match["part"])
        return _written_as(match[0], f"{MOMENT[:10].replace('-', '')}{clock}{parts}")
    digits = "".join(rng.choice("0123456789") for _ in match["parts"] or "")
    return f"{_MOMENT_SECONDS + rng.randrange(_A_DAY)}{digits}{'.5' if match['rest'] else ''}"


def _another(real: str, rng: Random, forms: Sequence[str]) -> str:
    """An id of the same form, which depends on nothing else of it."""
    if _UUIDS.fullmatch(real):
        return _uuid(real, rng)
    whole = next(one for one in forms if re.fullmatch(_bare(one), real))
    if (form := _bare(whole)) == _FORMS[0][0]:
        return uuid.UUID(int=rng.getrandbits(128), version=4).hex
    letters = next((one for kind, one in _LETTERS.items() if f"[{kind}]{{" in form), _ALL)
    while True:
        made = "".join(rng.choice(letters) for _ in real)
        if not (made.isdigit() or made.isalpha()) and re.fullmatch(_AFTER.sub("", whole), made):
            return made


def _uuid(real: str, rng: Random) -> str:
    made = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    made = f"{made[:14]}{real[14]}{made[15:]}"
    return made.upper() if real.upper() == real else made
