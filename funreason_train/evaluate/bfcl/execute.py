"""Executing calls in BFCL's environments without evaluating text.

A drop-in for bfcl-eval's `execute_multi_turn_func_call`
(`eval_checker/multi_turn_eval/multi_turn_utils.py`), which builds a string and hands it to `eval`. Here the
method is looked up among the public ones of the entry's instances and called with literal arguments; the
strings that come back are the same.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import re
from collections.abc import Callable
from typing import Any

from .decode import Executable, unpack
from .sandbox import LimitReached

MAX_RESULT = 1_000_000  # characters
_FORBIDDEN = ("kill", "exit", "quit", "remove", "unlink", "popen", "Popen", "run")  # as in bfcl-eval


class Executor:
    """Keeps the instances of one entry; a process serves one entry, so nothing leaks into another.

    Args:
        before_call: Called before each call; arms the watchdog.
    """

    def __init__(self, before_call: Callable[[], None]) -> None:
        self._before_call = before_call
        self._instances: dict[str, Any] = {}

    def __call__(
        self,
        func_call_list: list[str],
        initial_config: dict[str, Any],
        involved_classes: list[str],
        model_name: str,
        test_entry_id: str,
        long_context: bool = False,
        is_evaL_run: bool = False,  # bfcl-eval's spelling
    ) -> tuple[list[str], dict[str, Any]]:
        """Executes calls one after another; see bfcl-eval's function of the name for the parameters.

        Returns:
            One string a call, and the instances by class name.

        Raises:
            LimitReached: a call took too much memory, or its result is too long.
        """
        from bfcl_eval.constants.executable_backend_config import CLASS_FILE_PATH_MAPPING, STATELESS_CLASSES

        owner = model_name + "_eval" if is_evaL_run else model_name
        instances: dict[str, Any] = {}
        methods: dict[str, Callable[..., Any]] = {}
        for class_name in involved_classes:
            key = f"{owner}/{test_entry_id}/{class_name}"
            if key not in self._instances:
                made = getattr(importlib.import_module(CLASS_FILE_PATH_MAPPING[class_name]), class_name)()
                if class_name not in STATELESS_CLASSES:
                    config = copy.deepcopy(initial_config.get(class_name, {}))
                    made._load_scenario(config, long_context=long_context)
                self._instances[key] = made
            instances[class_name] = self._instances[key]
            methods |= _public_methods(instances[class_name])
        return [self._execute(text, methods) for text in func_call_list], instances

    def _execute(self, text: str, methods: dict[str, Callable[..., Any]]) -> str:
        self._before_call()
        try:
            return _as_text(_call(unpack(text), methods))
        except MemoryError:
            raise LimitReached("memory_limit: a call took too much memory and was stopped") from None
        except Exception as error:
            return f"Error during execution: {error}"


def _public_methods(instance: Any) -> dict[str, Callable[..., Any]]:
    found = inspect.getmembers(instance, predicate=inspect.ismethod)
    return {name: method for name, method in found if not name.startswith("_")}


def _call(call: Executable, methods: dict[str, Callable[..., Any]]) -> Any:
    if call.refused:
        raise ValueError(f"the call cannot be read ({call.refused})")
    parts = call.name.split(".")
    if parts[min(1, len(parts) - 1)] in _FORBIDDEN:
        raise PermissionError(f"Function call {parts[min(1, len(parts) - 1)]} is not allowed.")
    if call.name not in methods:
        raise NameError(f"name '{parts[0]}' is not defined")
    return methods[call.name](*call.args, **(call.kwargs or {}))


def _as_text(value: Any) -> str:
    if type(value) is dict:
        try:
            text = json.dumps(value)
        except Exception:  # an object that is no JSON
            text = str(value)
    else:
        text = value if type(value) is str else str(value)
    if len(text) > MAX_RESULT:
        raise LimitReached(f"result_limit: a call's result has more than {MAX_RESULT} characters")
    return text


_WORDS = re.compile(r"\s+")


def one_line(value: Any, most: int = 2000) -> str:
    """A value as text for a reason: white space collapsed, cut at `most` characters."""
    text = _WORDS.sub(" ", str(value)).strip()
    return text if len(text) <= most else text[: most - 1] + "…"
