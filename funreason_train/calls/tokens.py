"""The tokens of the call language, and the values of strings and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .errors import CallSyntaxError
from .names import normal_name

Token = tuple[str, str, int]
"""Kind, text and position; the kind is `string`, `name`, `number`, or the mark itself.

The last token is `end`, or `bad`, whose text is the reason why no token begins there.
"""

# Possessive quantifiers stand on single characters only: on groups, Python before 3.11.5 matches them wrongly
# (CPython issue 106052). What follows each group cannot match what the group can, so nothing is tried twice.
# A name takes every character beyond ASCII; whether it is one is for `normal_name` to say, since Python's \w
# lacks the combining marks that names of many scripts need.
_IDENTIFIER = r"(?:[^\W\d]|[^\x00-\x7f])(?:\w|[^\x00-\x7f])*"
_DIGITS = r"[0-9](?:_?[0-9])*"
_LEXER = re.compile(
    rf"""
      (?P<space>[ \t\r\n\f]++)
    | (?P<string>[rRuU]?(?: \"\"\"(?:[^"\\]|\\.|"(?!""))*\"\"\" | '''(?:[^'\\]|\\.|'(?!''))*'''
                        | "(?!"")(?:[^"\\\r\n]|\\.)*" | '(?!'')(?:[^'\\\r\n]|\\.)*' ))
    | (?P<name>{_IDENTIFIER}(?:\.{_IDENTIFIER})*)
    | (?P<number>(?: 0[xX](?:_?[0-9a-fA-F])+ | 0[oO](?:_?[0-7])+ | 0[bB](?:_?[01])+
        | (?: (?:{_DIGITS})?\.{_DIGITS} | {_DIGITS}\.? ) (?:[eE][+-]?{_DIGITS})?
      )(?![\w.]))
    | (?P<mark>[\[\](){{}},:=+\-*])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:(?P<one>[abfnrtv'\"\\\n])|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})"
    r"|(?P<octal>[0-7]{1,3})|(?P<bad>[xuUN])|(?P<kept>.))",
    re.DOTALL,
)
_ONE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\n": ""} | {
    c: c for c in "'\"\\"
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_BITS = 14_284  # of an integer with at most 4,300 decimal digits, which is as far as Python writes them


def tokens_of(text: str) -> list[Token]:
    """Cuts a text into tokens; never raises."""
    tokens: list[Token] = []
    for match in _LEXER.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "space":
            continue
        word = match[0]
        if kind == "mark":
            kind = word
        elif kind == "name" and not word.isascii():
            name = normal_name(word)
            if name is None:
                tokens.append(("bad", _stray(word[0]), match.start()))
                break
            word = name
        elif kind == "other":
            tokens.append(("bad", _stray(word), match.start()))
            break
        tokens.append((kind, word, match.start()))
    else:
        tokens.append(("end", "", len(text)))
    return tokens


def _stray(character: str) -> str:
    if character == "#":
        return "comment"
    if character in "\"'":
        return "unterminated_string"
    if character == ".":
        return "syntax"
    return "bad_number" if character.isdigit() else "bad_character"


def has_surrogates(value: Any) -> bool:
    """Whether a text, or one inside a JSON value, holds half of a character, which no file can hold."""
    if isinstance(value, str):
        return not value.isascii() and _SURROGATE.search(value) is not None
    if isinstance(value, Mapping):
        return any(has_surrogates(key) or has_surrogates(item) for key, item in value.items())
    return isinstance(value, list | tuple) and any(map(has_surrogates, value))


def string_value(literal: str, position: int) -> str:
    """The text that a string token stands for.

    Two escapes that are the halves of one character, as JSON writes it, become that character.

    Raises:
        CallSyntaxError: `bad_character`, `bad_escape`.
    """
    raw = literal[0] in "rR"
    body = literal[1:] if literal[0] in "rRuU" else literal
    if "\0" in body or has_surrogates(body):
        raise CallSyntaxError("bad_character", position)
    triple = body[:3] in ('"""', "'''")
    body = body[3:-3] if triple else body[1:-1]
    if triple:
        body = body.replace("\r\n", "\n").replace("\r", "\n")  # as Python reads a source file
    if raw or "\\" not in body:
        return body

    def unescape(match: re.Match[str]) -> str:
        kind = match.lastgroup
        text = match[kind] if kind else ""
        if kind == "one":
            return _ONE[text]
        if kind == "kept":  # Python keeps the backslash of an escape it does not know
            return match[0]
        code = -1 if kind == "bad" else int(text, 8 if kind == "octal" else 16)
        if not 0 <= code <= (0o377 if kind == "octal" else 0x10FFFF):
            raise CallSyntaxError("bad_escape", position)
        return chr(code)

    text = _ESCAPE.sub(unescape, body)
    if has_surrogates(text):
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            raise CallSyntaxError("bad_escape", position) from None
    return text


def number_value(text: str, position: int) -> int | float:
    """The number that a number token stands for.

    Raises:
        CallSyntaxError: `bad_number`, `not_finite`.
    """
    try:
        if text[:2].lower() in ("0x", "0o", "0b"):
            whole = int(text, 0)
            bad = whole.bit_length() > _MOST_BITS
        elif any(c in text for c in ".eE"):
            value = float(text)
            if value in (float("inf"), float("-inf")):
                raise CallSyntaxError("not_finite", position)
            return value
        else:
            whole = int(text)
            bad = text[0] == "0" and whole != 0
    except CallSyntaxError:
        raise
    except ValueError as error:  # more digits than Python converts, which bounds the time
        raise CallSyntaxError("bad_number", position) from error
    if bad:
        raise CallSyntaxError("bad_number", position)
    return whole
