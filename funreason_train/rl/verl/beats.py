"""Makes verl's training workers say what they do (`run.beat`); loaded with `process` in every process.

verl's driver calls methods of its workers that are marked with `register`
(verl/single_controller/base/decorator.py). Worker classes are defined after this module is loaded, so a
`register` that says when such a method begins and ends reaches all of them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ...run.beat import IDLE, beat

_PLAIN = "without_signs_of_life"


class Calls:
    """The calls of one process; those inside another one belong to it.

    Attributes:
        inside: The methods that are being run, outermost first.
        done: Outermost calls that have ended.
    """

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.done = 0

    def begin(self, worker: Any, name: str) -> None:
        """A method begins."""
        self.inside.append(name)
        self._say(worker, name)

    def end(self, worker: Any) -> None:
        """It has ended, well or not."""
        self.inside.pop()
        self.done += not self.inside
        self._say(worker, self.inside[-1] if self.inside else IDLE)

    def _say(self, worker: Any, phase: str) -> None:
        rank = getattr(worker, "rank", None)
        if isinstance(rank, int):
            beat(f"training.{rank}", phase, self.done)


_calls = Calls()


def install() -> None:
    """Replaces verl's `register`; once is enough."""
    from verl.single_controller.base import decorator

    original = getattr(decorator.register, _PLAIN, decorator.register)

    def register(*words: Any, **options: Any) -> Callable[[Any], Any]:
        decorate = original(*words, **options)
        return lambda function: saying(decorate(function))

    setattr(register, _PLAIN, original)
    decorator.register = register


def saying(function: Any) -> Any:
    """A worker's method that says when it begins and ends; its marks stay."""
    name = function.__name__
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def asynchronous(self: Any, *words: Any, **options: Any) -> Any:
            _calls.begin(self, name)
            try:
                return await function(self, *words, **options)
            finally:
                _calls.end(self)

        return asynchronous

    @functools.wraps(function)
    def plain(self: Any, *words: Any, **options: Any) -> Any:
        _calls.begin(self, name)
        try:
            return function(self, *words, **options)
        finally:
            _calls.end(self)

    return plain
