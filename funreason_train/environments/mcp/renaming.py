"""What a server answers with is in part another thing in each session: names for it that stay (pure).

Two plays of the same calls differ in ids that are drawn at random (UUIDs), in ids made from the clock
(`task-1764533531123`), and in the times at which something was written down. A model reads an id that follows
from the call which first showed it, and one fixed moment in place of every time of about now; a call that
holds such an id means the real one. So conversations can be replayed, and the same seed makes the same rows.

Ids that follow from what they stand for (digests, UUIDs of versions 3 and 5), times that are not of about
now, and what a call itself has given are data, and stay.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from ..protocol import Result

MOMENT: Final = "2026-03-02T09:30:00"
"""What every time of about now is shown as, in the form in which the server writes times."""

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
_IDS = re.compile(f"{_UUID}|{_EPOCH}")
_UUIDS = re.compile(_UUID)
_TIMES = re.compile(_TIME)
_STAMPS = re.compile(rf"{_TIME}(?:Z|[+-]\d\d:?\d\d\b)?|{_EPOCH}")


class Names:
    """The names of one session.

    Args:
        known: A text with ids that are the same in every session, such as a description's examples.
    """

    def __init__(self, known: str = "") -> None:
        self._same = set(_found(known))  # ids and times that are shown as they are
        self._real: dict[str, str] = {}  # shown -> real
        self._shown: dict[str, str] = {}
        self._asked: Counter[str] = Counter()
        self._call, self._new = "", 0  # what shows new ids, and how many so far

    def meant(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A call's arguments as the server knows them; to be followed by `shown` of its answer."""
        asked = json.dumps([name, arguments], sort_keys=True)
        self._same.update(one for one in _found(asked) if one not in self._real)
        self._asked[asked] += 1
        self._call, self._new = f"{asked} {self._asked[asked]}", 0
        return dict(_changed(arguments, lambda text: _IDS.sub(self._meant, text)))

    def shown(self, result: Result) -> Result:
        """An answer as a model reads it; its value knows no time of about now, so no call is given one."""
        text = _TIMES.sub(self._time, _IDS.sub(self._id, result.text))
        return Result(text, result.ok, _changed(result.value, self._known))

    def _known(self, text: str) -> str | None:
        if any(self._is_moment(match) for match in _TIMES.finditer(text)):
            return None
        return _IDS.sub(self._id, text)

    def _meant(self, match: re.Match[str]) -> str:
        return self._real.get(match[0], match[0])

    def _is_moment(self, match: re.Match[str]) -> bool:
        return match[0] not in self._same and _is_now(match)

    def _id(self, match: re.Match[str]) -> str:
        real = match[0]
        if real in self._same or (match["seconds"] and not _is_now(match)):
            return real
        if real not in self._shown:
            self._new += 1
            rng = Random(f"{self._call} {self._new}")
            name = _stamp(match, rng) if match["seconds"] else _uuid(real, rng)
            self._shown[real], self._real[name] = name, real
        return self._shown[real]

    def _time(self, match: re.Match[str]) -> str:
        if not self._is_moment(match):
            return match[0]
        fraction = match["fraction"]
        shown = f"{MOMENT[:10]}{match['between']}{MOMENT[11:16]}{':00' if match['second'] else ''}"
        # Some servers leave out zeros at the end of a fraction.
        return shown if fraction is None else f"{shown}{fraction[0]}{'0' * (3 if len(fraction) <= 4 else 6)}"


def timeless(value: Any) -> Any:
    """A JSON value without the times that a clock has just shown: `created_at`, a line of a log.

    Two plays of the same calls would differ in them. Only times of about now are meant; any other is data.
    """
    return _changed(value, lambda text: _STAMPS.sub(_without_now, text))


def nameless(value: Any) -> Any:
    """A JSON value with random ids numbered as they come, so that two that differ in them alone are equal."""
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return numbers.setdefault(match[0], f"(id {len(numbers) + 1})")

    return _changed(value, lambda text: _UUIDS.sub(number, text))


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


def _found(text: str) -> list[str]:
    return [match[0] for pattern in (_IDS, _TIMES) for match in pattern.finditer(text)]


def _is_now(match: re.Match[str]) -> bool:
    """Whether a time, or a number that counts seconds since 1970, is one of about now."""
    found = match.groupdict()
    try:
        if found.get("seconds"):
            when = float(found["seconds"])
        else:
            told = f"{found['date']}T{found['minute']}"
            when = datetime.fromisoformat(told).replace(tzinfo=UTC).timestamp()
    except ValueError:  # no date at all
        return False
    return abs(when - time.time()) < _NEAR


def _without_now(match: re.Match[str]) -> str:
    return "(now)" if _is_now(match) else match[0]


def _stamp(match: re.Match[str], rng: Random) -> str:
    digits = "".join(rng.choice("0123456789") for _ in match["parts"] or "")
    return f"{_MOMENT_SECONDS + rng.randrange(_A_DAY)}{digits}{'.5' if match['rest'] else ''}"


def _uuid(real: str, rng: Random) -> str:
    made = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    made = f"{made[:14]}{real[14]}{made[15:]}"
    return made.upper() if real.upper() == real else made
