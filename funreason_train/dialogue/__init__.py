"""Conversations, and the one prompt protocol: everything that renders a prompt or reads a completion."""

from ..calls.markers import CONTROL_MARKERS, find_markers
from .announced import announced, announcement, offered
from .chat_template import turn_close
from .completion import ERRORS, Completion, history_answer, read_completion
from .encode import EncodedStep, StepEncoder, end_tokens
from .escape import EscapedText, escape_markers, has_markers, unescape_markers
from .messages import AssistantStep, Message, Step, Trajectory, Turn
from .protocol import (
    QWEN_CHAT_TEMPLATE,
    MergedResults,
    PromptStyle,
    merge_tool_messages,
    prompt_style,
    ready_messages,
    render_answer,
    render_prompt,
    render_target,
    rendered_answers,
    steps_of,
    system_prompt,
)

__all__ = [
    "CONTROL_MARKERS",
    "ERRORS",
    "QWEN_CHAT_TEMPLATE",
    "AssistantStep",
    "Completion",
    "EncodedStep",
    "EscapedText",
    "MergedResults",
    "Message",
    "PromptStyle",
    "Step",
    "StepEncoder",
    "Trajectory",
    "Turn",
    "announced",
    "announcement",
    "end_tokens",
    "escape_markers",
    "find_markers",
    "has_markers",
    "history_answer",
    "merge_tool_messages",
    "offered",
    "prompt_style",
    "read_completion",
    "ready_messages",
    "render_answer",
    "render_prompt",
    "render_target",
    "rendered_answers",
    "steps_of",
    "system_prompt",
    "turn_close",
    "unescape_markers",
]
