"""Texts for the regular expressions of JSON schemas' `pattern` (pure).

JSON schema has the dialect of ECMAScript, of which Python does not read all; and rstr, which draws texts
for that of Python, takes characters out of sets: one seed would give other texts in another process.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

_LETTERS: Final = string.ascii_lowercase
_WORD: Final = string.ascii_letters + string.digits + "_"
_ANY: Final = string.digits + string.ascii_letters + " -_.,:;/+@#"
_SPACES: Final = " "
#: What an escape means in a pattern, and what is drawn for it: people write words rather than `Q_9`.
_CLASSES: Final = {"d": string.digits, "w": _WORD, "s": _SPACES}
_DRAWN: Final = {_WORD: _LETTERS, _ANY: _LETTERS}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_PROPERTIES: Final = {
    "L": string.ascii_letters,
    "Ll": _LETTERS,
    "Lu": string.ascii_uppercase,
    "N": string.digits,
}
_COUNT: Final = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
_NAMED: Final = re.compile(r"\?(?::|<(?![=!])[^>]*>)")
_PROPERTY: Final = re.compile(r"\{(?:Script=|sc=|General_Category=|gc=)?(\w+)\}")
_MORE = 5  # repetitions beyond the least where a pattern sets no end
_LONGEST = 200  # characters that are drawn
_LARGEST = 1000  # characters of a pattern that are read
_OPEN, _TRIED = 4, 60  # repetitions without an end, characters that are tried; more can take for ever
_TRIES = 20


def text_like(pattern: str, text: str, rng: Random, least: int = 0, most: int | None = None) -> str | None:
    """A text that a pattern matches.

    Args:
        pattern: An ECMAScript regular expression, which may begin and end anywhere in the text.
        text: What would be said without it; taken where it matches.
        rng: Draws the characters.
        least: Characters, at least.
        most: Characters, at most.

    Returns:
        The text; None where the pattern has parts that are not understood (look-arounds, references), or no
        text of that length was found.
    """
    read = _read(pattern)
    if read is None:
        return None
    most = _LONGEST if most is None else most
    quick = not read.nested and read.unbounded <= _OPEN and len(text) <= _TRIED
    if least <= len(text) <= most and quick and _matches(pattern, text):
        return text
    for _ in range(_TRIES):
        found = "".join(read.draw(rng))
        if least <= len(found) <= most:
            return found
    return None


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text, re.ASCII) is not None
    except (re.error, RecursionError, OverflowError):
        return False


@dataclass(frozen=True)
class _Node:
    """A part of a pattern: one of some characters, or parts in a row of which one is chosen, so many times.

    Attributes:
        chars: Of which one is drawn; empty where it is made of parts.
        choices: Alternatives, each a row of parts.
        low: Repetitions, at least.
        high: Repetitions, at most.
        nested: Whether something of several parts repeats, which can take for ever to try on a text.
        unbounded: How many repetitions without an end it holds.
    """

    chars: str = ""
    choices: tuple[tuple[_Node, ...], ...] = ()
    low: int = 1
    high: int = 1
    nested: bool = False
    unbounded: int = 0

    def draw(self, rng: Random) -> Iterator[str]:
        for _ in range(rng.randint(self.low, self.high)):
            if self.chars:
                yield rng.choice(_DRAWN.get(self.chars, self.chars))
            elif self.choices:
                for part in rng.choice(self.choices):
                    yield from part.draw(rng)


@lru_cache(maxsize=512)
def _read(pattern: str) -> _Node | None:
    if len(pattern) > _LARGEST:
        return None
    reader = _Reader(pattern)
    try:
        node = reader.alternatives()
    except (ValueError, IndexError, RecursionError):
        return None
    return node if reader.at == len(pattern) and _length(node) <= _LONGEST else None


def _length(node: _Node) -> int:
    """The fewest characters that a part draws."""
    inner = 1 if node.chars else min((sum(map(_length, row)) for row in node.choices), default=0)
    return node.low * inner


class _Reader:
    """Reads a pattern by descent; raises ValueError or IndexError where it does not understand it."""

    def __init__(self, pattern: str) -> None:
        self.text, self.at = pattern, 0

    def _next(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def _is(self, signs: str) -> bool:
        return self.text[self.at : self.at + 1] in tuple(signs)

    def alternatives(self) -> _Node:
        rows = [self._row()]
        while self._is("|"):
            self.at += 1
            rows.append(self._row())
        parts = [part for row in rows for part in row]
        return _Node(
            choices=tuple(rows),
            nested=any(part.nested for part in parts),
            unbounded=sum(part.unbounded for part in parts),
        )

    def _row(self) -> tuple[_Node, ...]:
        parts: list[_Node] = []
        while self.at < len(self.text) and not self._is("|)"):
            if (part := self._part()) is not None:
                parts.append(self._repeated(part))
        return tuple(parts)

    def _part(self) -> _Node | None:
        sign = self._next()
        if sign in "^$":
            return None
        if sign == "(":
            if self._is("?"):
                opened = _NAMED.match(self.text, self.at)
                if opened is None:
                    raise ValueError("a look-around")
                self.at = opened.end()
            group = self.alternatives()
            if self._next() != ")":
                raise ValueError("a group without an end")
            return group
        if sign == "[":
            return _Node(self._class())
        if sign == ".":
            return _Node(_ANY)
        if sign == "\\":
            if self._is("bB"):
                self.at += 1
                return None
            return _Node(self._escape())
        if sign in "*+?":
            raise ValueError("nothing to repeat")
        return _Node(sign)

    def _repeated(self, part: _Node) -> _Node:
        low, high, ends = 1, 1, True
        if self._is("*+?"):
            sign = self._next()
            low, ends = int(sign == "+"), sign == "?"
            high = 1 if ends else low + _MORE
        elif count := _COUNT.match(self.text, self.at):
            self.at = count.end()
            low = int(count[1])
            ends = not count[2] or bool(count[3])
            high = low if not count[2] else int(count[3]) if count[3] else low + _MORE
            if high < low or low > _LONGEST:
                raise ValueError("a count that cannot be")
            high = min(high, max(low, _LONGEST))
        else:
            return part
        if self._is("?"):  # as few as possible, which is one way of drawing it
            self.at += 1
        return _Node(
            choices=((part,),),
            low=low,
            high=high,
            nested=part.nested or (not part.chars and high > 1),
            unbounded=part.unbounded + (not ends),
        )

    def _class(self) -> str:
        without = self._is("^")
        self.at += without
        found: list[str] = []
        while not self._is("]"):
            sign = self._next()
            if sign == "[" and self._is(":.="):
                raise ValueError("a class of another dialect")
            one = self._escape() if sign == "\\" else sign
            if self._is("-") and self.text[self.at + 1] != "]" and len(one) == 1:
                self.at += 1
                last = self._next()
                last = self._escape() if last == "\\" else last
                if len(last) != 1 or not ord(one) <= ord(last) or ord(one) > 0xD700:
                    raise ValueError("a range that cannot be")
                one = "".join(map(chr, range(ord(one), min(ord(last), ord(one) + 255) + 1)))
            found.append(one)
        self.at += 1
        chars = "".join(dict.fromkeys("".join(found)))
        if without:
            chars = "".join(one for one in _ANY if one not in chars)
            chars = _LETTERS if set(_LETTERS) <= set(chars) else chars
        if not chars:
            raise ValueError("a class of nothing")
        return chars

    def _escape(self) -> str:
        sign = self._next()
        if sign in "dws":
            return _CLASSES[sign]
        if sign in "DWS":
            return {"D": _LETTERS, "W": " -.,", "S": _LETTERS}[sign]
        if sign in "pP":
            named = _PROPERTY.match(self.text, self.at)
            if named is None or named[1] not in _PROPERTIES or sign == "P":
                raise ValueError("an unknown property")
            self.at = named.end()
            return _PROPERTIES[named[1]]
        if sign in "xu":
            digits = self.text[self.at : self.at + (2 if sign == "x" else 4)]
            self.at += len(digits)
            if not 0 < int(digits, 16) < 0xD700:
                raise ValueError("half a character")
            return chr(int(digits, 16))
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        if sign.isalnum():
            raise ValueError("a reference")
        return sign
