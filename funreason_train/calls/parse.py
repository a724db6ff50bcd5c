"""Reading a call list: a lexer and a recursive reader for a small subset of Python, and nothing else.

The language is the one that prompts ask for, `[f(a=1), g.h(b="x", c=[True, None])]`. Every text that is
accepted means what Python would make of it (`ast.literal_eval` of each value), with three additions: the
JSON spellings `true`, `false`, `null`; names that are Python keywords (`from="here"`); and two escapes that
are the halves of one character, `"\\ud83d\\ude00"`, are that character, as in JSON.

- Numbers are Python's: `1_000` is 1000, `0x10` is 16, `1e3` is the float 1000.0; `007`, `1j`, `1e999` and
  integers of more than 4,300 digits are refused: Python writes no longer ones.
- Half of a character (a lone surrogate) is refused: no file can hold it.
- Tuples are read as lists. Trailing commas, redundant parentheses and adjacent strings are read as in Python.
- Keyword arguments only. Arithmetic, names, nested calls, f-strings, bytes, comments and sets are refused.
- A name is identifiers joined by dots (`geo.lookup`), in letters of any script; it is read in Unicode's
  normal form, as Python does. A tool named otherwise (`7SN.pj`, `get-user`) has to be offered to the model
  under an alias, which is the data's business: see `names.is_tool_name`.

Python's own parser is not used on text that a model wrote: it prints a SyntaxWarning on `"\\d"`, whose
suppression is not thread-safe, its recursion and memory need guarding, and it silently drops comments.
Reading takes time linear in the length, which is capped.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from .errors import MAX_CALLS, MAX_CHARS, MAX_DEPTH, REASONS, CallSyntaxError
from .names import CONSTANTS
from .plain_form import plain_calls
from .tokens import number_value, string_value, tokens_of
from .types import Call

__all__ = ["MAX_CALLS", "MAX_CHARS", "MAX_DEPTH", "REASONS", "CallSyntaxError", "parse_calls"]

_NO_LIST = re.compile(r"[ \t\r\n\f]*+[^ \t\r\n\f\[]")


def parse_calls(text: str) -> list[Call]:
    """Reads a call list such as `[f(a=1), g(b="x")]`.

    Returns:
        At least one call, in the order written.

    Raises:
        CallSyntaxError: the text is anything else; an empty text and `[]` are not answers either.
    """
    if len(text) > MAX_CHARS:
        raise CallSyntaxError("too_long", MAX_CHARS)
    if not text.startswith("[") and (first := _NO_LIST.match(text)):  # prose need not be cut into tokens
        raise CallSyntaxError("not_a_list", first.end() - 1)
    return plain_calls(text) or _Reader(text).call_list()


class _Reader:
    """One pass over the tokens of one text; `self.at` is the next token."""

    def __init__(self, text: str) -> None:
        self.tokens = tokens_of(text)
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
        if self.kind != "(" or name in CONSTANTS:
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
        kind, text, position = self.tokens[self.at]
        if kind == "string":
            return self.string()
        if kind == "number":
            self.at += 1
            return number_value(text, position)
        if kind == "name":
            return self.constant(text)
        if kind in ("-", "+"):
            self.at += 1
            position = self.tokens[self.at][2]
            number = number_value(self.take("number"), position)
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
        if follower[2] == self.tokens[self.at][2] + len(text):
            if follower[0] == "string":
                self.fail("string_prefix")
            if follower[0] == "bad" and follower[1] == "unterminated_string":
                self.at += 1
                self.fail()
        if text not in CONSTANTS:
            self.fail("nested_call" if follower[0] == "(" else "bare_name")
        self.at += 1
        return CONSTANTS[text]

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
            parts.append(string_value(text, position))
            self.at += 1
        return "".join(parts) if len(parts) > 1 else parts[0]
