"""The strings that steer a conversation and must never come from a data set's or a tool's own text."""

from __future__ import annotations

import re

TURN_MARKERS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"
RESULT_OPEN, RESULT_CLOSE = "<tool_response>", "</tool_response>"
CONTROL_MARKERS = (
    *TURN_MARKERS,
    *(THINK_OPEN, THINK_CLOSE),
    *(CALL_OPEN, CALL_CLOSE),
    *(RESULT_OPEN, RESULT_CLOSE),
)

TOKEN_LIKE = re.compile(r"<(?:[|｜][^\s<>|｜]{1,64}[|｜]|/?(?:think|tool_call|tool_response))>")
"""What a tokenizer may take for a token of its own: the control markers, and anything like `<|fim_pad|>`."""

MARKER_PATTERN = re.compile("|".join(map(re.escape, CONTROL_MARKERS)))


def find_markers(text: str) -> list[str]:
    """The control markers in `text`, in order of appearance; empty for harmless text.

    A tokenizer turns each of these into one special token wherever it stands, so a user message or a tool
    result that holds one could end a turn or a thought. Linear in the text's length.
    """
    return MARKER_PATTERN.findall(text) if "<" in text else []
