"""Environments of one's own while tasks are played: each in a process of its own, ended when it hangs.

A thread that hangs cannot be ended, a process can. The modules are imported in one process a stage, which is
forked for each conversation; what an environment keeps in its module or class is its conversation's alone.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ..calls import Call
from ..errors import UserError
from .protocol import Environment, Result
from .sandbox.configured import call_limits
from .sandbox.limits import CallLimits
from .sandbox.session import Sandbox, Session

WORK = f"{__package__}.sandbox.own:prepare"
_START = 600.0  # seconds for the first answer, which waits for the modules to be imported
_REPOSITORY = Path(__file__).resolve().parents[2]


class HostedEnvironment(Environment):
    """One of one's own environments, played in another process; `hosted` makes the subclasses.

    Attributes:
        kind: The environment's own class.
        host: Where the process comes from.
    """

    name = "hosted"
    kind: ClassVar[type[Environment]]
    host: ClassVar[Sandbox]

    def __init__(self) -> None:
        self._session: Session | None = (session := self.host.open(_START))
        try:
            self._ask("make", self.name)
            session.wait(self.host.limits.wall)
        except ValueError as error:
            reason = str(error).removeprefix(f"{UserError.__name__}: ")
            raise UserError(f"the environment {self.name} cannot be made ({reason})") from None

    def reset(self, config: Mapping[str, Any]) -> None:
        """Starts from a configuration.

        Raises:
            ValueError: The environment does not take it, or hangs.
        """
        self._ask("reset", dict(config))

    def tools(self) -> list[dict[str, Any]]:
        """The environment's tools."""
        return list(self._ask("tools"))

    def left_out(self) -> dict[str, str]:
        """See `Environment.left_out`."""
        return dict(self._ask("left_out"))

    def call(self, call: Call) -> Result:
        """Executes one call; one that hangs ends the process, and `fault` says so."""
        try:
            answer = self._ask("call", call.to_json())
        except (ValueError, TypeError, RecursionError) as error:
            return Result(f"Error: {error}", False)
        return Result(answer["text"], answer["ok"], answer["value"])

    def snapshot(self) -> Any:
        """The state as JSON values.

        Raises:
            ValueError: It cannot be read.
        """
        return self._ask("snapshot")

    def compare(self, other: Any) -> list[str]:
        """See `Environment.compare`; a comparison of the environment's own is asked for there."""
        if self.kind.compare is Environment.compare:
            return super().compare(other)
        try:
            return list(self._ask("compare", other))
        except ValueError as error:
            return [str(error)]

    def close(self) -> None:
        """Ends the process."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _ask(self, step: str, value: Any = None) -> Any:
        """What the environment answers to a step.

        Raises:
            ValueError: It raised, is gone or hangs; or JSON does not hold the step.
        """
        if self._session is None:
            raise ValueError(self.fault or f"the environment {self.name} is closed")
        answer = self._session.ask({step: value})
        if reason := answer.get("stopped"):
            self.close()
            self.fault = self._gone(value["name"] if step == "call" else step, reason)
            raise ValueError(self.fault)
        if "raised" in answer:
            raise ValueError(f"{answer['raised']}: {answer['text']}".removesuffix(": "))
        self.fault = answer["fault"]
        return answer["value"]

    def _gone(self, step: str, reason: str) -> str:
        """Why there is no answer, as one sentence."""
        if reason.startswith("time_limit"):
            seconds = self.host.limits.wall
            return f"{step:.60} of {self.name} gave no answer within {seconds:g} s (call_limits.own_seconds)"
        return f"{step:.60} of {self.name} ended its process ({reason})"


class Hosts:
    """The host of this process, which has imported the modules so far."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # samples are made by several threads
        self._host: Sandbox | None = None
        self._modules: tuple[str, ...] = ()
        self._seconds = 0.0
        self._kinds: dict[str, type[HostedEnvironment]] = {}

    def environment(self, name: str, kind: type[Environment], modules: Sequence[str]) -> Environment | None:
        """A new environment in a process of its own; None where the configuration sets no limit.

        Args:
            name: Its name.
            kind: Its class.
            modules: What registers it and its like.

        Raises:
            UserError: It cannot be made.
        """
        seconds = call_limits()["own_seconds"]
        if seconds is None:
            return None
        with self._lock:
            if self._host is None or (tuple(modules), seconds) != (self._modules, self._seconds):
                self.close()
                self._modules, self._seconds = tuple(modules), float(seconds)
                limits = CallLimits(seconds=0, wall=self._seconds, memory=0)
                self._host = Sandbox(WORK, {"modules": list(modules)}, limits, variables=_variables())
            if name not in self._kinds:
                made = {"name": name, "kind": kind, "host": self._host}
                self._kinds[name] = type("Hosted", (HostedEnvironment,), made)
            hosted = self._kinds[name]
        return hosted()

    def close(self) -> None:
        """Ends the host once its sessions are over."""
        if self._host is not None:
            self._host.close()
        self.forget()

    def forget(self) -> None:
        """Lets go of what a fork has inherited."""
        self._lock = threading.RLock()
        if self._host is not None:
            self._host.forget()
        self._host, self._kinds = None, {}


def _variables() -> dict[str, str]:
    """All of this process's, and where it finds its modules."""
    path = os.pathsep.join((str(_REPOSITORY), *filter(None, sys.path)))
    return {**os.environ, "PYTHONPATH": path}


HOSTS = Hosts()
"""This process's."""

os.register_at_fork(after_in_child=HOSTS.forget)
