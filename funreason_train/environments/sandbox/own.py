"""Environments of one's own in the sandbox's processes: one instance a session, asked step by step.

They keep the network, programs and all variables, as in the stage's own process: only time is limited here.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ...calls import Call
from ...errors import UserError
from ..objects import plain
from ..protocol import Environment, Result, brief
from ..registry import environment_class, loading_problems, make_environment
from .channel import Channel
from .host import Prepared
from .limits import LimitReached


def prepare(options: Mapping[str, Any]) -> Prepared:
    """Imports the modules, once for all sessions; one that fails concerns only those who ask for what it has.

    Args:
        options: `modules`, as in `environment_modules`.
    """
    problems = [told for name in options["modules"] for told in loading_problems([name])]
    return Prepared(partial(_serve, problems), network=True, locked=False)


def _serve(problems: Sequence[str], channel: Channel) -> None:
    environment: Environment | None = None
    process = os.getpid()
    try:
        for request in channel.requests():
            (step, value), *_ = request.items()
            try:
                if step == "make":
                    environment = _make(value, problems)
                    answer: Any = None
                else:
                    assert environment is not None
                    try:
                        answer = _step(environment, step, value)
                    finally:
                        end_forked(process)
                channel.send({"value": answer, "fault": environment.fault})
            except LimitReached:
                raise
            except BaseException as error:  # whatever ends a program or a task ends a step here
                channel.send({"raised": type(error).__name__, "text": brief(error, 2000)})
    finally:
        if environment is not None:
            channel.watchdog.arm()  # it may hang here as well
            with contextlib.suppress(Exception):
                environment.close()


def end_forked(process: int) -> None:
    """Ends this process if it is not that one but a child of it, which whoever forked has let return."""
    if os.getpid() != process:
        os._exit(0)


def _make(name: str, problems: Sequence[str]) -> Environment:
    try:
        environment_class(name)
    except UserError as error:
        if problems:
            raise UserError("; ".join(problems)) from error
        raise
    return make_environment(name)


def _step(environment: Environment, step: str, value: Any) -> Any:
    if step == "reset":
        return environment.reset(value)
    if step == "call":
        result = environment.call(call := Call.from_json(value))
        if not isinstance(result, Result):
            raise TypeError(f"{call.name} answered with a {type(result).__name__} and not with a Result")
        return _written(result)
    if step == "compare":
        return list(map(str, environment.compare(value)))
    answer = getattr(environment, step)()  # tools, left_out, snapshot
    return plain(answer) if step == "snapshot" else answer


def _written(result: Result) -> dict[str, Any]:
    """A result as JSON values; a value that JSON does not hold is told from its text alone."""
    try:
        json.dumps(result.value)
        value = result.value
    except (ValueError, TypeError, RecursionError):
        value = None
    return {"text": str(result.text), "ok": bool(result.ok), "value": value}
