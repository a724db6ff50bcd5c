"""Telling an environment that has failed from a call that was wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .protocol import Environment, brief

#: What is never the caller's doing, wherever it comes from: a server or a process that is gone or silent.
BROKEN = (ConnectionError, TimeoutError, BlockingIOError, ChildProcessError)


class EnvironmentFailed(ValueError):
    """The environment itself has failed: what was played in it counts for nothing."""


def note_fault(environment: Environment, error: BaseException) -> None:
    """Sets the environment's fault to an exception that is not the caller's doing; its first fault stays."""
    if isinstance(error, BROKEN) and environment.fault is None:
        with suppress(AttributeError):  # one that tells its faults itself
            environment.fault = f"{type(error).__name__}: {brief(error)}"


@contextmanager
def faults(environment: Environment) -> Iterator[None]:
    """Raises `EnvironmentFailed` if the environment has failed by the end of the context.

    Raises:
        EnvironmentFailed: with the environment's own words.
    """
    try:
        yield
    except Exception as error:
        note_fault(environment, error)
        if environment.fault is None:
            raise
        raise EnvironmentFailed(environment.fault) from error
    if environment.fault is not None:
        raise EnvironmentFailed(environment.fault)
