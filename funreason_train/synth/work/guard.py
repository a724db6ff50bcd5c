"""A class of the user's own as an environment that keeps its promises, whatever the class does.

It may raise anywhere, hang, answer with what is no JSON, or with a hundred megabytes: each becomes a failed
call with one sentence, or a refusal before anything is spent.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from random import Random
from types import FrameType
from typing import Any

from ...calls import Call, is_tool_name
from ...environments import Environment, Result
from ...environments.mcp.answers import found_nothing
from ...environments.mcp.policy import asks_by_name
from ...environments.protocol import brief
from ...environments.registry import configured_environment, is_own, played_environment
from ...environments.sandbox.configured import call_limits
from ...environments.sandbox.own import end_forked
from ...errors import UserError
from ..explore.trace import fingerprint

MOST_CHARACTERS = 100_000
"""Of one answer."""

NOTE = 200
"""Bytes that tell which step of which class is under way."""

_note: memoryview | None = None


def note_steps(memory: memoryview) -> None:
    """From now on every step of a class in this process is noted there before it begins.

    Args:
        memory: `NOTE` bytes that outlive the process, as a tool may end it.
    """
    global _note
    _note = memory


@contextmanager
def _noted(step: str) -> Iterator[None]:
    if _note is None:
        yield
        return
    _note[:] = step.encode(errors="replace")[:NOTE].ljust(NOTE, b"\0")
    try:
        yield
    finally:
        _note[0] = 0


def own_seconds() -> float | None:
    """How long one step of a class may take, `call_limits.own_seconds`; None for as long as it likes."""
    seconds: float | None = call_limits()["own_seconds"]
    return seconds


class _TooLong(BaseException):
    """Not an `Exception`, so that no tool takes it for its own."""


class _Interrupt(KeyboardInterrupt):
    """The user's."""


class _Ended(Exception):
    """What was to end the program or the task, as words."""


def environment_of(name: str, apart: bool = False) -> type[Environment]:
    """The class of an environment of the configuration; one of the user's own is guarded.

    Args:
        name: As the configuration names it.
        apart: Whether one of the user's own has a process of its own for each conversation: a call that hangs
            or ends the process then costs nothing else. It takes ten times as long.

    Raises:
        UserError: there is none, or it cannot be imported.
    """
    kind = configured_environment(name)
    if not is_own(name):
        return kind
    return guarded(kind, partial(played_environment, name) if apart else None)


def in_one_process(name: str) -> type[Environment]:
    """The class of one of the user's own environments whose conversations all share another process.

    Args:
        name: As the configuration names it.
    """
    kind = guarded(configured_environment(name), partial(played_environment, name))
    return type(kind.__name__, (kind,), {"apart": False})


def guarded(kind: type[Environment], make: Callable[[], Environment] | None = None) -> type[Environment]:
    """A class that does what another does and keeps the protocol's promises.

    Args:
        kind: The other class.
        make: Makes an environment of it; None: the class does.
    """
    members = {"name": kind.name, "kind": kind, "make": staticmethod(make or kind), "apart": make is not None}
    return type(f"Guarded{kind.__name__}", (_Guarded,), members)


class _Guarded(Environment):
    name = ""
    kind: type[Environment]
    make: Callable[[], Environment]
    apart: bool

    def __init__(self) -> None:
        self._inner, self._used = self._made(), False
        self._hung: str | None = None

    def _made(self) -> Environment:
        try:
            with _step(None):
                return self.make()
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"the environment {self.name} cannot be made ({_said(error)})") from None

    def _seconds(self) -> float | None:
        """How long a step may take here; None where its process is ended by its own limit."""
        return None if self.apart else own_seconds()

    def _noting(self, step: str) -> AbstractContextManager[None]:
        return nullcontext() if self.apart else _noted(f"{step} of {self.name}")

    @property
    def fault(self) -> str | None:  # type: ignore[override]
        return self._hung or getattr(self._inner, "fault", None)

    def reset(self, config: Mapping[str, Any]) -> None:
        if self.apart and self._used:  # the process may be gone, and what was started in it is to end
            self.close()
            self._inner = self._made()
        self._used, self._hung = True, None
        try:
            with _step(self._seconds()), self._noting("the start"):
                self._inner.reset(config)
        except _TooLong:
            raise ValueError(f"it does not start within {own_seconds():g} s") from None
        except Exception as error:
            raise ValueError(_said(error)) from None

    def tools(self) -> list[dict[str, Any]]:
        try:
            with _step(None):
                return list(self._inner.tools())
        except Exception as error:
            raise UserError(f"the environment {self.name} cannot tell its tools ({_said(error)})") from None

    def left_out(self) -> dict[str, str]:
        try:
            with _step(None):
                return dict(self._inner.left_out())
        except Exception as error:
            raise UserError(
                f"the environment {self.name} cannot tell what it leaves out ({_said(error)})"
            ) from None

    def call(self, call: Call) -> Result:
        try:
            with _step(self._seconds()), self._noting(call.name):
                result = self._inner.call(call)
            if not isinstance(result, Result):
                return _failed(f"{call.name} answered with a {type(result).__name__} and not with a Result")
            if len(result.text) > MOST_CHARACTERS:
                size = f"{len(result.text):,} characters, more than {MOST_CHARACTERS:,}"
                return _failed(f"the answer of {call.name} has {size}")
        except _TooLong:
            self._hung = f"{call.name} did not answer within {own_seconds():g} s"
            return _failed(self._hung)
        except Exception as error:
            return _failed(f"{call.name} failed ({_said(error)})")
        try:
            json.dumps(result.value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            result = Result(result.text, result.ok)  # told from its text alone, as where it is played
        if result.ok and call.arguments and asks_by_name(call.name) and found_nothing(result, call.arguments):
            return Result(result.text, False, result.value)  # nobody learns from it how to ask
        return result

    def snapshot(self) -> Any:
        try:
            with _step(self._seconds()), self._noting("reading the state"):
                return self._inner.snapshot()
        except ValueError:
            raise
        except _TooLong:
            raise ValueError(f"its state is not read within {own_seconds():g} s") from None
        except Exception as error:
            raise ValueError(f"its state cannot be read ({_said(error)})") from None

    def close(self) -> None:
        with suppress(Exception), _step(None):  # what it held is its own affair
            self._inner.close()

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        try:
            with _step(own_seconds()):
                return dict(cls.kind.scenario(random, size))
        except UserError:
            raise
        except _TooLong:
            raise UserError(
                f"{cls.name} draws no starting configuration within {own_seconds():g} s"
            ) from None
        except Exception as error:
            raise UserError(
                f"{cls.name} cannot draw a starting configuration ({_said(error)})",
                fix="`scenario(random, size)` returns an object of the constructor's arguments",
            ) from None


@contextmanager
def _step(seconds: float | None) -> Iterator[None]:
    """One step of a class, of which whatever ends a program or a task is an `Exception` like any other.

    A class that forks and lets the child return would have all that follows done twice; the child ends here.

    Args:
        seconds: See `time_limit`.

    Raises:
        _TooLong: it takes longer.
        KeyboardInterrupt: the user's own.
    """
    process = os.getpid()
    try:
        with time_limit(seconds), _telling_interrupts_apart():
            try:
                yield
            finally:
                end_forked(process)
    except (Exception, _TooLong, _Interrupt):
        raise
    except BaseException as error:
        raise _Ended(_said(error)) from None


@contextmanager
def _telling_interrupts_apart() -> Iterator[None]:
    """Makes the interrupt that the user sends one that no class raises by itself."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise _Interrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Ends what takes longer by an exception; outside the main thread, where none can be raised, nothing.

    Args:
        seconds: None for no limit.
    """
    if (
        seconds is None
        or threading.current_thread() is not threading.main_thread()
        or signal.getitimer(signal.ITIMER_REAL)[0]
    ):
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check_tools(name: str, documents: list[dict[str, Any]]) -> None:
    """Refuses tools that cannot be told apart or described.

    Raises:
        UserError: there are none, a name stands twice or cannot be called, or a document lacks its parts.
    """
    if not documents:
        raise UserError(f"the environment {name} offers no tool", fix="Leave it out of synth.environments")
    seen: set[str] = set()
    for one in documents:
        called = one.get("name") if isinstance(one, Mapping) else None
        if not isinstance(called, str) or not is_tool_name(called):
            raise UserError(
                f"{name} offers a tool under the name {brief(called, 60)}, which no call can be written with"
            )
        if called in seen:
            raise UserError(f"{name} offers two tools named {called}", fix="Give one of them another name")
        if not isinstance(one.get("description"), str) or not isinstance(one.get("parameters"), Mapping):
            raise UserError(
                f"the document of {name}'s tool {called} is incomplete",
                fix="It needs a `description` (a text) and `parameters` (a JSON schema of type object)",
            )
        seen.add(called)


def check_state(environment: Environment, config: Mapping[str, Any], steady: bool) -> None:
    """Refuses a state that cannot be written down and compared.

    Args:
        environment: Any.
        config: To start from.
        steady: Whether two readings, and two starts, have to show the same.

    Raises:
        ValueError: why.
    """
    environment.reset(config)
    first = environment.snapshot()
    try:
        json.dumps(first, allow_nan=False)
        fingerprint(environment)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"its state is not a JSON value: {_said(error)}") from None
    if not steady:
        return
    if environment.snapshot() != first:
        raise ValueError("its state is another one each time it is read")
    environment.reset(config)
    if environment.snapshot() != first:
        raise ValueError("two starts from the same configuration are not alike")


def _failed(reason: str) -> Result:
    value = {"error": reason}
    return Result(json.dumps(value, ensure_ascii=False), False, value)


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, _Ended) else f"{type(error).__name__}: {brief(error)}"
