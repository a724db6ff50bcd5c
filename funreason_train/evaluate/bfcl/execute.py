"""A drop-in for bfcl-eval's `execute_multi_turn_func_call` that evaluates no text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...environments.bfcl.execute import Methods, execute, make_instance, public_methods
from .decode import unpack


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
        owner = model_name + "_eval" if is_evaL_run else model_name
        instances: dict[str, Any] = {}
        methods: Methods = {}
        for class_name in involved_classes:
            key = f"{owner}/{test_entry_id}/{class_name}"
            if key not in self._instances:
                scenario = initial_config.get(class_name, {})
                self._instances[key] = make_instance(class_name, scenario, long_context)
            instances[class_name] = self._instances[key]
            methods |= public_methods(instances[class_name])
        results = []
        for text in func_call_list:
            self._before_call()
            results.append(execute(partial(unpack, text), methods).text)
        return results, instances
