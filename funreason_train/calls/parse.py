"""Reading a call list: a lexer and a recursive reader for a small subset of Python, and nothing else.

The language is the one that prompts ask for, `[f(a=1), g.h(b="x", c=[True, None])]`. Every text that is
accepted means what Python would make of it (`ast.literal_eval` of each value), with two additions: the JSON
spellings `true`, `false`, `null`, and names that are Python keywords (`from="here"`).

- Numbers are Python's: `1_000` is 1000, `0x10` is 16, `1e3` is the float 1000.0; `007`, `1j`, `1e999` are
  refused.
- Tuples are read as lists. Trailing commas, redundant parentheses and adjacent strings are read as in Python.
- Keyword arguments only. Arithmetic, names, nested calls, f-strings, bytes, comments and sets are refused.
- A name is identifiers joined by dots (`geo.lookup`). A tool named otherwise (`7SN.pj`, `get-user`) has to be
  offered to the model under an alias, which is the data's business: see `is_tool_name`.

Python's own parser is not used on text that a model wrote: it prints a SyntaxWarning on `"\\d"`, whose
suppression is not thread-safe, its recursion and memory need guarding, and it silently drops comments.
Reading takes time linear in the length, which is capped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NoReturn

from .types import Call

MAX_CHARS = 20_000
MAX_CALLS = 64
MAX_DEPTH = 32

REASONS = (
    "empty",  # nothing but white space
    "too_long",  # more than MAX_CHARS characters
    "not_a_list",  # does not begin with [
    "no_calls",  # the empty list
    "too_many_calls",
    "too_deep",
    "not_a_call",  # a list element that is no call
    "positional_argument",
    "unpacking",  # *args or **kwargs
    "duplicate_argument",
    "duplicate_key",
    "key_not_string",
    "bare_name",  # a variable, NaN, inf …
    "nested_call",
    "string_prefix",  # f"", b"", …
    "bad_escape",
    "unterminated_string",
    "bad_number",
    "not_finite",
    "comment",
    "bad_character",
    "syntax",  # any other place where the text stops being the language
    "trailing_text",  # something after the closing bracket
)


class CallSyntaxError(ValueError):
    """The text is not a call list.

    Attributes:
        reason: One of `REASONS`.
        position: Index of the character where reading stopped.
    """

    def __init__(self, reason: str, position: int = 0) -> None:
        self.reason, self.position = reason, position
        super().__init__(f"{reason} at character {position}")


# Possessive quantifiers stand on single characters only: on groups, Python before 3.11.5 matches them wrongly
# (CPython issue 106052). What follows each group cannot match what the group can, so nothing is tried twice.
_IDENTIFIER = r"[^\W\d]\w*+"
_DIGITS = r"[0-9](?:_?[0-9])*"
_LEXER = re.compile(
    rf"""
      (?P<space>[ \t\r\n\f]++)
    | (?P<string>[rRuU]?(?: \"\"\"(?:[^"\\]|\\.|"(?!""))*\"\"\" | '''(?:[^'\\]|\\.|'(?!''))*'''
                        | "(?:[^"\\\r\n]|\\.)*" | '(?:[^'\\\r\n]|\\.)*' ))
    | (?P<name>{_IDENTIFIER}(?:\.{_IDENTIFIER})*)
    | (?P<number>(?: 0[xX](?:_?[0-9a-fA-F])+ | 0[oO](?:_?[0-7])+ | 0[bB](?:_?[01])+
        | (?: (?:{_DIGITS})?\.{_DIGITS} | {_DIGITS}\.? ) (?:[eE][+-]?{_DIGITS})?
      )(?![\w.]))
    | (?P<mark>[\[\](){{}},:=+\-*])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_NO_LIST = re.compile(r"[ \t\r\n\f]*+[^ \t\r\n\f\[]")
_CONSTANTS = {"True": True, "False": False, "None": None, "true": True, "false": False, "null": None}
_ESCAPE = re.compile(
    r"\\(?:(?P<one>[abfnrtv'\"\\\n])|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})"
    r"|(?P<octal>[0-7]{1,3})|(?P<bad>[xuUN])|(?P<kept>.))",
    re.DOTALL,
)
_ONE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\n": ""} | {
    c: c for c in "'\"\\"
}

# The form that training teaches, `[f(a=1, b="x", c=[1, 2])]`, is most of what is read: two patterns take it
# apart much faster than the tokens below. What they do not cover is left to the tokens; what they cover means
# the same there.
_PLAIN_NAME = r"[A-Za-z_][A-Za-z0-9_]*+"
_PLAIN_STRING = r"""(?:"[^"\\\r\n\0]*+"|'[^'\\\r\n\0]*+')"""
_PLAIN_NUMBER = r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?"
_PLAIN_SCALAR = rf"(?:{_PLAIN_STRING}|{_PLAIN_NUMBER}|True|False|None|true|false|null)"
_PLAIN_LIST = rf"\[(?:{_PLAIN_SCALAR}(?:, ?{_PLAIN_SCALAR})*)?\]"
_PLAIN_ARGUMENT = rf"{_PLAIN_NAME}=(?:{_PLAIN_SCALAR}|{_PLAIN_LIST})"
_PLAIN_CALL = rf"{_PLAIN_NAME}(?:\.{_PLAIN_NAME})*\((?:{_PLAIN_ARGUMENT}(?:, ?{_PLAIN_ARGUMENT})*)?\)"
_PLAIN_CALLS = re.compile(rf"\[{_PLAIN_CALL}(?:, ?{_PLAIN_CALL})*\]")
# A tool's name and its bracket, or an argument's name, the equals sign and the value.
_PLAIN_PARTS = re.compile(rf"({_PLAIN_NAME}(?:\.{_PLAIN_NAME})*)(\(|=(?:{_PLAIN_SCALAR}|{_PLAIN_LIST}))")
_PLAIN_ITEM = re.compile(_PLAIN_SCALAR)

# A token is (kind, text, position); kind is the name of the group, or the mark itself. The last one is "end",
# or "bad", whose text is the reason why no token begins there.
_Token = tuple[str, str, int]


def parse_calls(text: str) -> list[Call]:
    """Reads a call list such as `[f(a=1), g(b="x")]`.

    Returns:
        At least one call, in the order written.

    Raises:
        CallSyntaxError: the text is anything else; an empty text and `[]` are no answers either.
    """
    if len(text) > MAX_CHARS:
        raise CallSyntaxError("too_long", MAX_CHARS)
    if not text.startswith("[") and (first := _NO_LIST.match(text)):  # prose need not be cut into tokens
        raise CallSyntaxError("not_a_list", first.end() - 1)
    return _plain_calls(text) or _Reader(text).call_list()


@lru_cache(maxsize=1 << 14)
def is_tool_name(name: str) -> bool:
    """Whether the language can call a tool of this name; otherwise it needs an alias wherever it is shown."""
    return name not in _CONSTANTS and _is_dotted(name)


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def is_argument_name(name: str) -> bool:
    """Whether the language can pass an argument of this name."""
    return name.isidentifier()


_SURROGATE = re.compile("[\ud800-\udfff]")


def has_surrogates(value: Any) -> bool:
    """Whether a text, or one inside a JSON value, holds half of a character, which no file can hold."""
    if isinstance(value, str):
        return not value.isascii() and _SURROGATE.search(value) is not None
    if isinstance(value, Mapping):
        return any(has_surrogates(key) or has_surrogates(item) for key, item in value.items())
    return isinstance(value, list | tuple) and any(map(has_surrogates, value))


def _plain_calls(text: str) -> list[Call] | None:
    """The calls of a list in the plain form; None if the tokens have to tell what it is."""
    if not _PLAIN_CALLS.fullmatch(text):
        return None
    calls: list[Call] = []
    arguments: dict[str, Any] = {}
    for name, rest in _PLAIN_PARTS.findall(text):
        last = rest[-1]
        if last == "(":
            if name in _CONSTANTS:
                return None
            arguments = {}
            calls.append(Call(name, arguments))
        elif name in arguments:
            return None
        elif last == '"' or last == "'":
            arguments[name] = rest[2:-1]
        elif last == "]":
            items = _PLAIN_ITEM.findall(rest)
            arguments[name] = [item[1:-1] if item[0] in "\"'" else _plain_word(item) for item in items]
        else:
            arguments[name] = _plain_word(rest[1:])
    return calls if len(calls) <= MAX_CALLS else None


def _plain_word(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return float(text) if "." in text else int(text)


class _Reader:
    """One pass over the tokens of one text; `self.at` is the next token."""

    def __init__(self, text: str) -> None:
        self.tokens: list[_Token] = []
        for match in _LEXER.finditer(text):
            kind = match.lastgroup or "other"
            if kind == "space":
                continue
            word = match[0]
            if kind == "mark":
                kind = word
            elif kind == "other" or (kind == "name" and not word.isascii() and not _is_dotted(word)):
                self.tokens.append(("bad", _stray(word), match.start()))
                break
            self.tokens.append((kind, word, match.start()))
        else:
            self.tokens.append(("end", "", len(text)))
        self.at = 0

    @property
    def kind(self) -> str:
        return self.tokens[self.at][0]

    def fail(self, reason: str = "syntax") -> NoReturn:
        kind, text, position = self.tokens[self.at]
        if kind == "bad" and reason not in ("not_a_list", "trailing_text"):
            reason = text
        raise CallSyntaxError(reason, position)

    def take(self, kind: str, reason: str = "syntax") -> str:
        if self.kind != kind:
            self.fail(reason)
        self.at += 1
        return self.tokens[self.at - 1][1]

    def more(self, closing: str) -> bool:
        """After an element: passes a comma and says whether another element follows; passes `closing`."""
        if self.kind == ",":
            self.at += 1
            if self.kind != closing:
                return True
        self.take(closing)
        return False

    def call_list(self) -> list[Call]:
        if self.kind == "end":
            self.fail("empty")
        self.take("[", "not_a_list")
        if self.kind == "]":
            self.fail("no_calls")
        calls = [self.call()]
        while self.more("]"):
            if len(calls) == MAX_CALLS:
                self.fail("too_many_calls")
            calls.append(self.call())
        if self.kind != "end":
            self.fail("trailing_text")
        return calls

    def call(self) -> Call:
        name = self.take("name", "unpacking" if self.kind == "*" else "not_a_call")
        if self.kind != "(" or name in _CONSTANTS:
            self.fail("not_a_call")
        self.at += 1
        arguments: dict[str, Any] = {}
        if self.kind == ")":
            self.at += 1
            return Call(name, arguments)
        self.argument(arguments)
        while self.more(")"):
            self.argument(arguments)
        return Call(name, arguments)

    def argument(self, arguments: dict[str, Any]) -> None:
        if self.kind == "*":
            self.fail("unpacking")
        if self.kind != "name" or self.tokens[self.at + 1][0] != "=":
            self.value(1)  # for the reason of a value that is not even one, such as f"x"
            self.fail("positional_argument")
        name = self.tokens[self.at][1]
        if "." in name:
            self.fail()
        if name in arguments:
            self.fail("duplicate_argument")
        self.at += 2
        arguments[name] = self.value(1)

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            self.fail("too_deep")
        kind, text, _ = self.tokens[self.at]
        if kind == "string":
            return self.string()
        if kind == "number":
            self.at += 1
            return self.number(text)
        if kind == "name":
            return self.constant(text)
        if kind in ("-", "+"):
            self.at += 1
            number = self.number(self.take("number"))
            return -number if kind == "-" else number
        self.at += 1
        if kind == "[":
            return self.items("]", depth)
        if kind == "{":
            return self.pairs(depth)
        if kind == "(":
            return self.parenthesised(depth)
        self.at -= 1
        self.fail("unpacking" if kind == "*" else "syntax")

    def constant(self, text: str) -> Any:
        follower = self.tokens[self.at + 1]
        if follower[0] == "string" and follower[2] == self.tokens[self.at][2] + len(text):
            self.fail("string_prefix")
        if text not in _CONSTANTS:
            self.fail("nested_call" if follower[0] == "(" else "bare_name")
        self.at += 1
        return _CONSTANTS[text]

    def items(self, closing: str, depth: int) -> list[Any]:
        if self.kind == closing:
            self.at += 1
            return []
        values = [self.value(depth + 1)]
        while self.more(closing):
            values.append(self.value(depth + 1))
        return values

    def parenthesised(self, depth: int) -> Any:
        values = self.items(")", depth)
        trailing_comma = self.tokens[self.at - 2][0] == ","
        return values[0] if len(values) == 1 and not trailing_comma else values

    def pairs(self, depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        if self.kind == "}":
            self.at += 1
            return value
        self.pair(value, depth)
        while self.more("}"):
            self.pair(value, depth)
        return value

    def pair(self, value: dict[str, Any], depth: int) -> None:
        if self.kind != "string":
            self.fail("unpacking" if self.kind == "*" else "key_not_string")
        key = self.string()
        if key in value:
            self.fail("duplicate_key")
        self.take(":")
        value[key] = self.value(depth + 1)

    def string(self) -> str:
        parts = []
        while self.kind == "string":
            _, text, position = self.tokens[self.at]
            parts.append(_string(text, position))
            self.at += 1
        return "".join(parts) if len(parts) > 1 else parts[0]

    def number(self, text: str) -> int | float:
        """The value of a number token that has just been taken."""
        self.at -= 1
        try:
            if text[:2].lower() in ("0x", "0o", "0b"):
                value: int | float = int(text, 0)
            elif any(c in text for c in ".eE"):
                value = float(text)
            else:
                value = int(text)
                if text[0] == "0" and value:
                    self.fail("bad_number")
        except ValueError as error:  # more digits than Python converts, which bounds the time
            raise CallSyntaxError("bad_number", self.tokens[self.at][2]) from error
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            self.fail("not_finite")
        self.at += 1
        return value


def _stray(character: str) -> str:
    if character == "#":
        return "comment"
    if character in "\"'":
        return "unterminated_string"
    if character == ".":
        return "syntax"
    return "bad_number" if character.isdigit() else "bad_character"


def _string(literal: str, position: int) -> str:
    raw = literal[0] in "rR"
    body = literal[1:] if literal[0] in "rRuU" else literal
    if "\0" in body:
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

    return _ESCAPE.sub(unescape, body)
