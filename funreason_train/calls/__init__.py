"""The call language: reading, writing, checking and comparing function calls (standard library only)."""

from .accepted import Acceptance, AcceptedCall
from .intent import Intent, find_intent
from .markers import CONTROL_MARKERS, find_markers
from .match import Match, match_calls
from .names import is_argument_name, is_tool_name
from .notations.read import read_notation
from .notations.reading import PROBLEMS, Reading
from .parse import REASONS, CallSyntaxError, parse_calls
from .render import render_calls
from .schema import Schema, check_call, compile_schema, index_tools
from .types import Call

__all__ = [
    "CONTROL_MARKERS",
    "PROBLEMS",
    "REASONS",
    "Acceptance",
    "AcceptedCall",
    "Call",
    "CallSyntaxError",
    "Intent",
    "Match",
    "Reading",
    "Schema",
    "check_call",
    "compile_schema",
    "find_intent",
    "find_markers",
    "index_tools",
    "is_argument_name",
    "is_tool_name",
    "match_calls",
    "parse_calls",
    "read_notation",
    "render_calls",
]
