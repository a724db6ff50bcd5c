"""Reading a model's answer as BFCL's prompting decoder reads it, except that nothing is ever evaluated.

BFCL strips code fences, adds missing brackets and walks Python's syntax tree; on the way it evaluates
arithmetic that the model wrote, turns `cd("src")` into `cd()`, `+5` into -5 and `true` into "true". Here the
call language decides what a call is (`calls.parse_calls`: literals and keyword arguments only). What is call
syntax for Python but not in that language is *refused*: nothing of it runs, and it is not plain text either.
"""

from __future__ import annotations

import ast
import json
import warnings
from dataclasses import dataclass

from ...calls import Call, CallSyntaxError, parse_calls
from ...calls.markers import CALL_CLOSE, CALL_OPEN
from ...calls.parse import MAX_CHARS
from ...environments.bfcl.execute import Executable


@dataclass(frozen=True)
class Answer:
    """What a model's answer is.

    Attributes:
        calls: The calls, at least one; None when there is none.
        refused: Why an answer that is meant as calls was not read: one of `calls.REASONS`; else empty.
        empty: Whether the answer is an empty call list or nothing at all.
    """

    calls: tuple[Call, ...] | None = None
    refused: str = ""
    empty: bool = False

    @property
    def is_text(self) -> bool:
        """Whether it is plain text."""
        return self.calls is None and not self.refused and not self.empty


def listed(text: str) -> str:
    """The answer as BFCL's decoder brackets it: tags and code fences off, square brackets round it."""
    bare = text.strip()
    if bare.startswith(CALL_OPEN) and bare.endswith(CALL_CLOSE):
        bare = bare[len(CALL_OPEN) : -len(CALL_CLOSE)]
    bare = bare.strip("`\n ")
    return ("" if bare.startswith("[") else "[") + bare + ("" if bare.endswith("]") else "]")


def read_answer(text: str) -> Answer:
    """Takes an answer (what follows the thought) apart; never raises, runs nothing.

    An answer of more than `calls.parse.MAX_CHARS` characters is refused whatever it holds.
    """
    if len(text) > MAX_CHARS:
        return Answer(refused="too_long")
    source = listed(text)
    try:
        return Answer(tuple(parse_calls(source)))
    except CallSyntaxError as error:
        reason = error.reason
    if reason in ("empty", "no_calls"):
        return Answer(empty=True)
    return Answer(refused=reason) if reason == "too_long" or _is_call_syntax(source) else Answer()


def _is_call_syntax(source: str) -> bool:
    """Whether Python reads a list of calls: what BFCL's decoder would go on to execute."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    elements = getattr(body, "elts", [body])
    return bool(elements) and all(isinstance(element, ast.Call) for element in elements)


def pack(answer: Answer) -> list[str]:
    """The calls as strings that pass through BFCL's flow untouched; `unpack` reads each of them."""
    if answer.refused:
        return [json.dumps({"refused": answer.refused})]
    return [json.dumps(call.to_json()) for call in answer.calls or ()]


def unpack(text: str) -> Executable:
    """Reads what `pack` wrote, or a call of BFCL's ground truth (`cd(folder='x')`), by literals alone.

    Raises:
        ValueError: a ground truth that is anything but a call with literal arguments.
    """
    if text.startswith("{"):
        value = json.loads(text)
        if "refused" in value:
            return Executable("", refused=value["refused"])
        return Executable(value["name"], (), value["arguments"])
    node = ast.parse(text.strip(), mode="eval").body
    if not isinstance(node, ast.Call) or any(keyword.arg is None for keyword in node.keywords):
        raise ValueError(f"not a call: {text!r:.200}")
    return Executable(
        ast.unparse(node.func),
        tuple(map(ast.literal_eval, node.args)),
        {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords},
    )
