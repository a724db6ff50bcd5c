"""Why a row can be rejected: a row is kept, or it stands in `rejected.jsonl` with one of these reasons."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

#: Every reason, and what it means. A new check adds its reason here.
REASONS = {
    "encoding": "the bytes are not UTF-8",
    "invalid_json": "the JSON is truncated or malformed",
    "not_finite": "NaN, Infinity or a number too large for JSON readers",
    "duplicate_key": "a JSON object has a key twice, so that one of its values would be lost",
    "nested_too_deeply": "lists or objects nested beyond reading",
    "damaged_file": "the file cannot be read to its end",
    "not_understood": "the reader failed on this row in a way that it does not foresee; please report it",
    "row_shape": "the row is not the object or list that this format asks for",
    "missing_field": "a field that this format needs is missing or empty",
    "tool_shape": "a tool has no name, or its parameters cannot be read",
    "duplicate_tool": "two tools of one row have the same name",
    "no_tools": "no tool list can be found (tools_missing: reject)",
    "role_order": "the roles do not alternate as a conversation must",
    "result_without_call": "a tool message follows a response that called nothing",
    "call_without_result": "a call is never answered although the conversation goes on",
    "unclosed_think": "a think block is not closed, or there is more than one",
    "empty_answer": "a response has neither calls nor text",
    "cut_off": "the source says that a response was broken off before its end",
    "call_syntax": "a response looks like a call list but cannot be read as one",
    "other_template": "a response begins or ends in a special token of another chat template",
    "error_tool_response": "the environment's reply is deliberately wrong (error_tool_response: drop)",
    "unknown_tool": "a call names a tool that is not offered",
    "unknown_argument": "a call has an argument that its tool does not declare",
    "missing_argument": "a call lacks a required argument",
    "argument_type": "an argument is not of its declared type",
    "name_not_callable": "a name cannot be written in the call language (names: reject)",
    "unplayable": "the task's environment does not exist, or does not load its configuration",
    "gold_error": "a gold call of the task is answered by an error",
    "bad_character": "a NUL or an unpaired surrogate in the text",
    "untrained": "every response has weight 0",
    "unwanted": "the row shows an answer that its own label says is not wanted",
    "duplicate": "the same conversation has been read before",
    "near_duplicate": "almost the same conversation has been read before",
    "overlong": "every response of the conversation exceeds the token limits",
    "decontaminated": "the conversation overlaps with a benchmark",
}

#: Reasons that say nothing against a data set: a setting, or the data set itself, leaves these rows out.
BY_CHOICE = frozenset(
    (
        "duplicate",
        "near_duplicate",
        "decontaminated",
        "overlong",
        "untrained",
        "unwanted",
        "error_tool_response",
    )
)

#: Every flag, which marks a row that was kept although something was repaired or is odd, and what it means.
#: `unread_…_field` is followed by a colon and the field's name.
FLAGS = {
    "aliased_names": "a name that the call language cannot write stands under an alias",
    "calls_unanswered": "a call has no result although the conversation goes on",
    "default_contradicts_type": "a tool's default is not of its declared type; both are kept",
    "error_tool_response": "the environment's reply is deliberately wrong (error_tool_response: keep)",
    "end_marker_dropped": "a response ended in the end marker of a chat template, which was left out",
    "escaped_tools": "letters of the tool list are shown as \\uXXXX, as BFCL does (protocol.escape=true)",
    "escaped_markers": "a text that looks like a control token is escaped",
    "format_instructions_dropped": "the system prompt asked for another form of calls; that was left out",
    "family_markers": "a text holds some families' special tokens, such as </s>: sft, rl and eval keep"
    " them text, but any other program that trains on sft/train.json has to see to it",
    "inline_arguments": "the arguments of a call stood beside its name, not under a key of their own",
    "json_calls": "calls written in JSON became a call list",
    "message_weight_ignored": "a message's weight is neither 0 nor 1 and counts as 1",
    "null_arguments_dropped": "nulls that a table put into arguments were left out",
    "other_notation": "calls in another notation, neither JSON nor the call language, became a call list",
    "other_thought_marks": "a thought, or the answer behind it, stood in the marks of another family",
    "repeated_tool": "a tool is offered twice in the same words; one of them was left out",
    "result_of_another_tool": "a result names another tool than those that were called",
    "results_not_one_a_call": "there are more or fewer results than calls",
    "text_in_tool_call": "a plain reply stood inside call tags",
    "text_with_calls_dropped": "a text beside calls was left out (text_with_calls: drop)",
    "text_with_calls_in_thought": "a text beside calls ends the thought (text_with_calls: thought)",
    "tools_inferred": "no tool list was there, so what the calls show is offered",
    "types_repaired": "an argument was of another type and was converted without loss (wrong_types: repair)",
    "wrong_types_kept": "an argument is not of its declared type (wrong_types: keep)",
    "schema_simplified": "a part of a tool's schema is not shown to the model as it was declared",
    "unread_row_field": "a field of the row is not used",
    "unread_message_field": "a field of a message is not used",
    "unread_turn_field": "a field of a task's turn is not used",
    "unread_made_field": "a field of what synth says of its row is not used",
    "unread_part_field": "a field of a content part is not used",
    "unread_tool_field": "a field of a tool is not shown to the model",
    "unread_schema_field": "a key of a tool's schema is not shown to the model",
    "unanswered_user_dropped": "a user message at the end has no reply and was left out",
}


def flag_meaning(flag: str) -> str:
    """What a flag means; one that names a field ends in a colon and its name."""
    return FLAGS[flag.partition(":")[0]]


class RowError(Exception):
    """One row cannot be used.

    Args:
        reason: One of `REASONS`.
        detail: What exactly is wrong, for the reader of `rejected.jsonl`.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        if reason not in REASONS:
            raise ValueError(f"{reason!r} is not in REASONS")
        self.reason, self.detail = reason, detail or REASONS[reason]
        super().__init__(f"{self.reason}: {self.detail}")


@dataclass(frozen=True)
class Rejection:
    """One line of `rejected.jsonl`.

    Attributes:
        source: The data set's name in the config.
        position: `FILE:LINE`, `FILE[INDEX]` or `HUB_ID[INDEX]`; FILE is told from the folder that was given.
        id: The row's own id, if it has one.
        reason: One of `REASONS`.
        detail: What exactly is wrong.
        row: The beginning of the row, as text.
    """

    source: str
    position: str
    id: str | None
    reason: str
    detail: str
    row: str

    def to_json(self) -> dict[str, Any]:
        """The line as a JSON object."""
        return dict(vars(self))


def excerpt(value: Any, limit: int = 400) -> str:
    """The beginning of a row as printable text, whatever it holds."""
    if isinstance(value, bytes):
        text = value[: 4 * limit].decode("utf-8", "backslashreplace")
    elif isinstance(value, str):
        text = value[: 4 * limit]
    else:
        try:
            text = ""
            for part in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value):
                text += part
                if len(text) > limit:  # the rest of a large row would be written for nothing
                    break
        except (ValueError, RecursionError, TypeError):
            text = f"<{type(value).__name__}>"
    text = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")
    return text if len(text) <= limit else text[: limit - 1] + "…"
