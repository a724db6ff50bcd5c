"""Why a text is not a call list, and how large one may be."""

from __future__ import annotations

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
    "not_a_call",  # a list element that is not a call
    "positional_argument",
    "unpacking",  # *args or **kwargs
    "duplicate_argument",
    "duplicate_key",
    "key_not_string",
    "bare_name",  # a variable, NaN, inf …
    "nested_call",
    "string_prefix",  # f"", b"", …
    "bad_escape",  # also one that stands for half of a character
    "unterminated_string",
    "bad_number",  # also an integer of more digits than Python writes in decimal
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
