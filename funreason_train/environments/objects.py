"""Any Python class as an environment: its public methods are the tools, its attributes are the state."""

from __future__ import annotations

import asyncio
import copy
import datetime
import enum
import functools
import inspect
import itertools
import json
import sys
import types
from collections import Counter, deque
from collections.abc import AsyncIterator, ItemsView, KeysView, Mapping, ValuesView
from random import Random
from typing import Any, ClassVar

from ..calls import Call, Schema, check_call, index_tools
from ..errors import UserError
from .faults import note_fault
from .protocol import Environment, Result, brief
from .sandbox.chance import clock_setter, decided
from .schemas import called, convert, hints_of, written
from .tools import describe

_DEEPEST = 64
_MOST_YIELDED = 10_000
_TOO_MANY = f"it yields more than {_MOST_YIELDED:,} values"
_RESERVED = ("scenario", "snapshot", "close")
#: What a class inherits from them (`model_dump` of a pydantic model, `start` of a thread) is no tool.
_FRAMEWORKS = sys.stdlib_module_names | {"pydantic"}


class ObjectWorld(Environment):
    """An object of some class; `object_world` makes the subclasses.

    A call that raises has failed, and its message is the answer; what it had changed by then stays changed.
    A class may have a `snapshot()` of its own (a JSON value), a `close()`, and a static or class method
    `scenario(random, size)`; these are not offered as tools.

    What it draws at random and reads off the clock follows from configuration and calls; see `decided`.

    A connection that is refused or times out, in a method or in the constructor, is the object's fault and
    not the caller's; an attribute `fault` of the object, once it is a text, is one as well.

    Attributes:
        target: The class. A configuration is its constructor's arguments.
    """

    target: ClassVar[type]
    _documents: ClassVar[tuple[dict[str, Any], ...]]
    _schemas: ClassVar[dict[str, Schema]]
    _looking: ClassVar[frozenset[str]]  # methods that only look something up

    def __init__(self) -> None:
        self._object: Any = None
        self._runner: asyncio.Runner | None = None
        self._begun = ""  # from which configuration
        self._done: Counter[str] = Counter()  # calls that succeeded
        self._changes = 0  # of them, those that may have changed something

    def reset(self, config: Mapping[str, Any]) -> None:
        """Makes a new object.

        Raises:
            ValueError: The class does not take these arguments.
        """
        self.close()
        self.fault = None
        self._begun, self._done, self._changes = repr(sorted(config.items())), Counter(), 0
        try:
            with decided(self._begun, 0):
                self._object = self.target(**copy.deepcopy(dict(config)))
        except Exception as error:
            note_fault(self, error)
            raise ValueError(
                f"{self.name} cannot be made from this configuration ({type(error).__name__}: {brief(error)})"
            ) from error

    @classmethod
    def tools(cls) -> list[dict[str, Any]]:
        """The public methods' documents, in the order of their source."""
        return [dict(one) for one in cls._documents]

    def call(self, call: Call) -> Result:
        """Executes one call; an exception is an answer."""
        if problems := check_call(call, self._schemas):
            return _failed("; ".join(problems))
        try:
            if self._object is None:
                self.reset({})
            method = getattr(self._object, call.name)
            hints = hints_of(method)
            arguments = {key: convert(hints.get(key, Any), one) for key, one in call.arguments.items()}
            asked = f"{call.name} {_json(dict(call.arguments))}"
            # Calls that failed count for nothing: the answer is the same whether others were tried before.
            with decided(f"{self._begun} {asked} {self._done[asked]}", self._changes + 1):
                value = plain(self._answered(called(method, arguments)))
            text = value if isinstance(value, str) else _json(value)
            self._done[asked] += 1
            self._changes += call.name not in self._looking
            return Result(text, True, value)
        except Exception as error:
            note_fault(self, error)
            return _failed(brief(error, 2000) or type(error).__name__)
        finally:
            told = getattr(self._object, "fault", None)
            self.fault = self.fault or (told if isinstance(told, str) else None)

    def _answered(self, answer: Any) -> Any:
        """What a method answers once it has come to its end: an asynchronous one is waited for, one that
        yields answers with all that it yields.

        All of an object's methods are waited for in one event loop, since a lock or a connection that one of
        them has made belongs to its loop.
        """
        if inspect.isasyncgen(answer):
            answer = _all_of(answer)
        if inspect.iscoroutine(answer):
            self._runner = self._runner or asyncio.Runner()
            return self._runner.run(answer)
        if inspect.isgenerator(answer):
            found = list(itertools.islice(answer, _MOST_YIELDED + 1))
            if len(found) > _MOST_YIELDED:
                raise ValueError(_TOO_MANY)
            return found
        return answer

    def snapshot(self) -> Any:
        """The object's attributes as JSON values, or what its own `snapshot()` says.

        Raises:
            ValueError: An attribute cannot be compared.
        """
        if self._object is None:
            self.reset({})
        own = getattr(self._object, "snapshot", None)
        try:
            if not callable(own):
                return _fields(self._object, "", ())
            with decided(self._begun, self._changes + 1):
                return plain(own())
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(f"the state of {self.name} cannot be read ({brief(error)})") from error

    def close(self) -> None:
        """Closes the object, if it can be closed."""
        made, self._object = self._object, None
        try:
            if callable(closing := getattr(made, "close", None)):
                self._answered(closing())
        finally:
            runner, self._runner = self._runner, None
            if runner is not None:
                runner.close()

    @classmethod
    def scenario(cls, random: Random, size: int = 4) -> dict[str, Any]:
        """The class's own scenario; nothing, where its constructor needs nothing.

        Raises:
            UserError: It has none, and its constructor needs arguments.
        """
        if callable(own := getattr(cls.target, "scenario", None)):
            words = random.getstate()[1]
            with decided(f"scenario {size} {words[:4]} {words[-1]}", 0):  # which draws nothing from `random`
                return dict(own(random, size))
        try:
            inspect.signature(cls.target).bind()
        except (TypeError, ValueError):
            return super().scenario(random, size)
        return {}


async def _all_of(yielding: AsyncIterator[Any]) -> list[Any]:
    found = []
    async for one in yielding:
        found.append(one)
        if len(found) > _MOST_YIELDED:
            raise ValueError(_TOO_MANY)
    return found


def _failed(reason: str) -> Result:
    value = {"error": reason}
    return Result(_json(value), False, value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def object_world(target: type, name: str) -> type[ObjectWorld]:
    """The environment of a class.

    Args:
        target: The class.
        name: The environment's name.

    Raises:
        UserError: The class has no public method that can be a tool.
    """
    documents, seen = [], set()
    for one in target.__mro__[:-1]:
        if one.__module__.partition(".")[0] in _FRAMEWORKS:
            continue
        for method, function in vars(one).items():
            if method.startswith("_") or method in _RESERVED or method in seen:
                continue
            seen.add(method)
            if (bound := _bound(target, method, function)) is not None:
                documents.append(_document(target, method, bound))
    if not documents:
        raise UserError(f"the class {name} has no public method", fix="Its public methods become the tools")
    from .mcp.policy import reads_by_name  # imports the registry, which imports this

    clock_setter()  # no call has to wait for its import
    looking = frozenset(one["name"] for one in documents if reads_by_name(one["name"]))
    members = {"_documents": tuple(documents), "_schemas": index_tools(documents), "_looking": looking}
    return type(target.__name__, (ObjectWorld,), {"name": name, "target": target, **members})


def _bound(target: type, name: str, held: Any) -> Any:
    """What a class holds under a name, as its parameters are given; None where that is no method.

    A class method that says that it makes an object of the class is another constructor and no tool.
    """
    if isinstance(held, classmethod):
        returned = str(held.__func__.__annotations__.get("return", "")).strip("'\"")
        itself = (target.__name__, "Self", "typing.Self", str(target))
        return None if returned in itself else getattr(target, name)
    if isinstance(held, staticmethod):
        return getattr(target, name)
    # What caches a method's answers, or counts its calls, is no function and wraps one.
    is_method = callable(held) and inspect.isfunction(inspect.unwrap(held))
    return types.MethodType(held, target) if is_method else None


def _document(target: type, name: str, function: Any) -> dict[str, Any]:
    try:
        return describe(name, function, strict=False)
    except TypeError as error:
        raise UserError(
            f"{target.__name__}.{name} cannot be a tool: {error}",
            fix="Annotate its parameters with types that JSON has, or begin its name with an underscore",
        ) from None


def plain(value: Any, place: str = "", above: tuple[int, ...] = ()) -> Any:
    """A value as JSON, so that equal values look alike; an object that it stands in is left out.

    Args:
        value: Of an attribute, or an answer.
        place: Where it stands, for the error.
        above: The ids of the objects that it stands in.

    Raises:
        ValueError: It has no such form.
    """
    if isinstance(value, enum.Enum):
        return plain(value.value, place, above)
    if value is None or isinstance(value, (bool, int, float, str)):
        if type(value).__module__ != "builtins":  # one of a kind of its own, as a `class UserId(str)`
            value = next(kind(value) for kind in (int, float, str) if isinstance(value, kind))
        if isinstance(value, str) and not value.isascii():
            value.encode()  # half a character, which no file holds, is a ValueError
        return value
    if id(value) in above:
        return None
    if len(above) > _DEEPEST:
        raise ValueError(f"{place} is nested too deeply to be compared")
    inner = (*above, id(value))
    if isinstance(value, Mapping):
        return {_key(key): plain(one, f"{place}/{key}", inner) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict(), place, above)
    if isinstance(value, (list, tuple, deque, range, KeysView, ValuesView, ItemsView)):
        return [plain(one, f"{place}/{number}", inner) for number, one in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(one, place, inner) for one in value), key=repr)
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if callable(listed := getattr(value, "tolist", None)) and not isinstance(value, type):
        return plain(listed(), place, inner)  # numbers and arrays of numpy and its like
    if isinstance(value, (datetime.datetime, datetime.timedelta)):  # as such an argument is written
        return written(value)
    if type(value).__module__ in ("datetime", "decimal", "uuid", "pathlib", "fractions", "ipaddress"):
        return str(value)
    return _fields(value, place, inner)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else repr(key)


def _fields(value: Any, place: str, inner: tuple[int, ...]) -> dict[str, Any]:
    """An object's attributes; a private one without a form (a lock, a logger) is no part of the state."""
    slots = [one for kind in type(value).__mro__ for one in _slots_of(kind)]
    # A function has no state that could be compared; an object that can be called as well has one.
    called = isinstance(value, (type, functools.partial)) or inspect.isroutine(value)
    if not (slots or hasattr(value, "__dict__")) or called or inspect.ismodule(value):
        raise ValueError(f"{place or 'it'} is a {type(value).__name__}, which cannot be compared")
    held = {one: getattr(value, one) for one in slots if hasattr(value, one)}
    found = {}
    for name, one in (held | getattr(value, "__dict__", {})).items():
        try:
            found[name] = plain(one, f"{place}/{name}", inner)
        except ValueError:
            if not name.startswith("_"):
                raise
    return found


def _slots_of(kind: type) -> list[str]:
    """The attributes that a class names in `__slots__`, as its objects have them."""
    named = vars(kind).get("__slots__", ())
    names = [named] if isinstance(named, str) else list(named)
    own = f"_{kind.__name__.lstrip('_')}"
    return [
        f"{own}{name}" if name.startswith("__") else name
        for name in names
        if name not in ("__dict__", "__weakref__")
    ]
