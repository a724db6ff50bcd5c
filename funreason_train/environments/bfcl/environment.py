"""BFCL's classes as environments: `bfcl/GorillaFileSystem`, or several at once, `bfcl/TicketAPI+MathAPI`.

What a call answers and what its state is are BFCL's own (`execute`, `world`); a configuration is what BFCL
calls `initial_config`, class -> scenario. The state lives in a process of its own and can be made again from
the configuration and the calls so far, which a call that reached a limit is not one of: it ended the process
and answers with the reason, and has changed nothing.
"""

from __future__ import annotations

import copy
import itertools
import weakref
from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any, ClassVar

from ...calls import Call
from ...errors import UserError
from ..protocol import Environment, Result
from ..sandbox.pool import Pool
from ..sandbox.session import GONE, Session
from . import scenarios
from .documents import CLASSES, class_documents
from .execute import FAILED, refusal
from .sessions import SESSIONS

PREFIX = "bfcl/"
_CRASHES = 3  # in a row, before a crash is put down to what was asked
_numbers = itertools.count()


class BfclEnvironment(Environment):
    """One or several of BFCL's classes; `environment_kind` makes the subclasses.

    Attributes:
        classes: bfcl-eval's names.
        sessions: Where the processes come from.
    """

    name = PREFIX
    classes: ClassVar[tuple[str, ...]] = ()
    sessions: ClassVar[Pool] = SESSIONS
    _names: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self._number = next(_numbers)
        weakref.finalize(self, self.sessions.drop, self._number)
        self.reset({})

    def reset(self, config: Mapping[str, Any]) -> None:
        """Starts from a configuration, class -> scenario; no process is started before the first call.

        Raises:
            ValueError: The configuration names a class that this environment does not have.
        """
        if unknown := sorted(set(config) - set(self.classes)):
            raise ValueError(
                f"environment {self.name} has no class {', '.join(unknown)}; it has {', '.join(self.classes)}"
            )
        self.sessions.drop(self._number)
        self.fault = None
        self._config = copy.deepcopy(dict(config))
        self._done: list[dict[str, Any]] = []

    @classmethod
    def tools(cls) -> list[dict[str, Any]]:
        """The documented functions of the classes, in bfcl-eval's order."""
        return [dict(one) for name in cls.classes for one in class_documents(name)]

    def call(self, call: Call) -> Result:
        """Executes one call.

        Returns:
            What BFCL would show: the answer as text, or `Error during execution: …`, also for a call that
            reached a limit and where the configuration cannot be loaded.
        """
        if reason := refusal(call.name, self._names):
            return Result(f"{FAILED}{reason}", False)
        request = {"call": call.to_json()}
        try:
            answer = self._ask(request)
        except OSError as error:  # no process could be started, or handed a session
            self.fault = f"the sandbox cannot run calls ({error})"
            return Result(f"{FAILED}{self.fault}", False)
        except (ValueError, TypeError, RecursionError) as error:  # of a call that JSON has no text for, too
            return Result(f"{FAILED}{error}", False)
        if "stopped" in answer:
            return Result(f"{FAILED}{answer['stopped']}", False)
        self._done.append(request)
        return Result(answer["result"], answer["ok"], answer["value"])

    def snapshot(self) -> dict[str, Any]:
        """The public attributes of every instance, as BFCL compares them.

        Raises:
            ValueError: The configuration cannot be loaded, or the state is too large.
        """
        answer = self._ask({"state": None})
        if "stopped" in answer:
            raise ValueError(f"the state of {self.name} cannot be read ({answer['stopped']})")
        return dict(answer["state"])

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """A configuration of every class, drawn at random; never one of BFCL's own."""
        drawn = {name: scenarios.scenario(name, random, size) for name in cls.classes}
        return {name: one for name, one in drawn.items() if one}

    def close(self) -> None:
        """Ends the process of the state."""
        self.sessions.drop(self._number)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        for _ in range(_CRASHES):
            session = self.sessions.take(self._number) or self._make()
            answer = session.ask(request)
            if "stopped" not in answer:
                self.sessions.put(self._number, session)
                return answer
            session.close()
            if answer["stopped"] != GONE:  # a host that lives says what ended a session
                return answer
        self.fault = f"the sandbox ended {_CRASHES} times without a word"
        return answer

    def _make(self) -> Session:
        """A session with the present state."""
        crashes = 0
        while True:
            session = self.sessions.open()
            load = session.ask({"load": {"classes": self.classes, "config": self._config}})
            if "broken" in load:
                session.close()
                raise self._unloadable(load["broken"])
            failed = (load, None) if "stopped" in load else self._replayed(session)
            if failed is None:
                return session
            session.close()
            reason, request = failed[0]["stopped"], failed[1]
            if reason.startswith("crash") and crashes < _CRASHES:
                crashes += 1  # of the host, which is made again
            elif request is None:
                raise self._unloadable(reason)
            else:
                # What once ended in time does not any more, on a machine as busy as this one.
                self._done.remove(request)

    def _replayed(self, session: Session) -> tuple[dict[str, Any], dict[str, Any] | None] | None:
        """Repeats the calls so far; the answer and the call at which the session ended, if it did."""
        answers = ((session.ask(request), request) for request in self._done)
        return next((pair for pair in answers if "stopped" in pair[0]), None)

    def _unloadable(self, reason: str) -> ValueError:
        if reason == GONE:
            self.fault = f"the sandbox ended again and again while {self.name} was loaded"
        return ValueError(f"the configuration of {self.name} cannot be loaded ({reason})")


@cache
def environment_kind(name: str) -> type[BfclEnvironment]:
    """The environment `bfcl/CLASS` or `bfcl/CLASS+CLASS`.

    Raises:
        UserError: There is no such class, it is named twice, or bfcl-eval is not installed.
    """
    classes = tuple(name.removeprefix(PREFIX).split("+"))
    if unknown := [one for one in classes if one not in CLASSES]:
        raise UserError(
            f"there is no environment {name}: BFCL has no class {unknown[0]!r} that can be played",
            fix=f"Choose from {', '.join(CLASSES)}, several joined by +",
        )
    if len(set(classes)) < len(classes):
        raise UserError(f"the environment {name} names a class twice", fix="Name each class once")
    documented = frozenset(one["name"] for kind in classes for one in class_documents(kind))
    return type("Bfcl", (BfclEnvironment,), {"name": name, "classes": classes, "_names": documented})
