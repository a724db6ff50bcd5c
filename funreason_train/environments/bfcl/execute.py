"""Executing calls in BFCL's classes without evaluating text.

bfcl-eval's own `execute_multi_turn_func_call` (`eval_checker/multi_turn_eval/multi_turn_utils.py`) builds a
string and hands it to `eval`. Here the method is looked up among the public ones of the instances and called
with literal arguments; the strings that come back are the same.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

from ..sandbox.limits import LimitReached

MAX_RESULT = 1_000_000  # characters
FAILED = "Error during execution: "
"""How the answer to a call begins that raised an exception."""

_FORBIDDEN = ("kill", "exit", "quit", "remove", "unlink", "popen", "Popen", "run")  # as in bfcl-eval

Methods = dict[str, Callable[..., Any]]


@dataclass(frozen=True)
class Executable:
    """A call to execute, of the model's or of the ground truth.

    Attributes:
        name: The method's name, possibly dotted.
        args: Positional arguments; only ground truths have any.
        kwargs: Keyword arguments.
        refused: Why nothing is to be executed; else empty.
    """

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] | None = None
    refused: str = ""


def make_instance(class_name: str, scenario: Mapping[str, Any], long_context: bool = False) -> Any:
    """A new object of one of bfcl-eval's classes, in its initial state.

    Args:
        class_name: The class; a configuration or a benchmark names it, a model never does.
        scenario: Its part of the initial configuration; copied.
        long_context: Whether it fills itself with the additions of the long-context category.
    """
    from bfcl_eval.constants.executable_backend_config import CLASS_FILE_PATH_MAPPING, STATELESS_CLASSES

    made = getattr(importlib.import_module(CLASS_FILE_PATH_MAPPING[class_name]), class_name)()
    if class_name not in STATELESS_CLASSES:
        made._load_scenario(copy.deepcopy(scenario), long_context=long_context)
    return made


def public_methods(instance: Any) -> Methods:
    """What a call may name."""
    found = inspect.getmembers(instance, predicate=inspect.ismethod)
    return {name: method for name, method in found if not name.startswith("_")}


@dataclass(frozen=True)
class Executed:
    """What a call did.

    Attributes:
        text: What the model sees: the answer as text, or `FAILED` and the exception.
        ok: Whether it neither raised nor answered with an error, as BFCL's functions do: `{"error": …}` or a
            list of such.
        value: What the function returned; None if it raised.
    """

    text: str
    ok: bool
    value: Any = None


def execute(read: Callable[[], Executable], methods: Methods) -> Executed:
    """Executes one call.

    Args:
        read: Reads the call; what it raises is the call's own failure.
        methods: See `public_methods`.

    Raises:
        LimitReached: the call took too much memory, or its result is too long.
    """
    try:
        value = _call(read(), methods)
        return Executed(_as_text(value), not _is_error(value), value)
    except MemoryError:
        raise LimitReached("memory_limit: a call took too much memory and was stopped") from None
    except Exception as error:
        return Executed(f"{FAILED}{_said(error)}", False)


def _is_error(value: Any) -> bool:
    if isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, Mapping) and "error" in value


def refusal(name: str, methods: Container[str]) -> str:
    """Why nothing is executed under a name, in bfcl-eval's own words; empty if something is.

    bfcl-eval writes its instance before a method's name, takes what then stands between the first two dots
    for the function's name, and hands all of it to `eval`. Only there does a name of Python itself, such as
    `open`, mean anything.

    Args:
        name: As the model wrote it, possibly dotted.
        methods: What may be called.
    """
    *before, last = name.split(".")
    spliced = [*before, "instance", last] if last in methods else [*before, last]
    function = spliced[min(1, len(spliced) - 1)]
    if function in _FORBIDDEN:
        return f"Function call {function} is not allowed."
    if name not in methods:
        return f"name '{spliced[0]}' is not defined"
    return ""


def _said(error: Exception) -> str:
    """What an exception says; total, as the value in it may be a number too long to be written."""
    try:
        return str(error)
    except Exception:
        return type(error).__name__


def _call(call: Executable, methods: Methods) -> Any:
    if call.refused:
        raise ValueError(f"the call cannot be read ({call.refused})")
    if reason := refusal(call.name, methods):
        raise PermissionError(reason)
    return methods[call.name](*call.args, **(call.kwargs or {}))


def _as_text(value: Any) -> str:
    if type(value) is dict:
        try:
            text = json.dumps(value)
        except Exception:  # an object that JSON does not hold
            text = str(value)
    else:
        text = value if type(value) is str else str(value)
    if len(text) > MAX_RESULT:
        raise LimitReached(f"result_limit: a call's result has more than {MAX_RESULT} characters")
    return text


_WORDS = re.compile(r"\s+")


def one_line(value: Any, most: int = 2000) -> str:
    """A value as text for a reason: white space collapsed, cut at `most` characters; never raises."""
    try:
        text = _WORDS.sub(" ", str(value)).strip()
    except (ValueError, RecursionError):  # a number or a nesting that Python does not write
        return f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= most else text[: most - 1] + "…"
