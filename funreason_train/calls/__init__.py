"""The call language: reading, writing, checking and comparing function calls (standard library only)."""

from .accepted import Acceptance, AcceptedCall
from .markers import CONTROL_MARKERS, find_markers
from .match import Match, match_calls
from .parse import REASONS, CallSyntaxError, is_argument_name, is_tool_name, parse_calls
from .render import render_calls
from .schema import Schema, check_call, compile_schema, index_tools
from .types import Call

__all__ = [
    "CONTROL_MARKERS",
    "REASONS",
    "Acceptance",
    "AcceptedCall",
    "Call",
    "CallSyntaxError",
    "Match",
    "Schema",
    "check_call",
    "compile_schema",
    "find_markers",
    "index_tools",
    "is_argument_name",
    "is_tool_name",
    "match_calls",
    "parse_calls",
    "render_calls",
]
