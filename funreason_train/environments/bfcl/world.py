"""BFCL's classes in a session of the sandbox: what it answers.

{"load": {"classes": […], "config": {class: scenario}}}   ->   {"loaded": true} or {"broken": why}
{"call": {"name", "arguments"}}                           ->   {"result": text, "ok": …, "value": JSON}
{"state": null}                                           ->   {"state": {class: {attribute: value}}}
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

from ..sandbox.channel import Channel
from ..sandbox.host import Prepared
from .documents import CLASSES
from .execute import Executable, Methods, execute, make_instance, one_line, public_methods


class World:
    """The instances of one environment."""

    def __init__(self) -> None:
        self._instances: dict[str, Any] = {}
        self._methods: Methods = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answers one request.

        Raises:
            LimitReached: it took too much.
        """
        if "load" in request:
            return self._load(**request["load"])
        if "call" in request:
            call = Executable(request["call"]["name"], (), request["call"]["arguments"])
            done = execute(lambda: call, self._methods)
            return {"result": done.text, "ok": done.ok, "value": plain(done.value)}
        return {"state": self.state()}

    def _load(self, classes: list[str], config: dict[str, Any]) -> dict[str, Any]:
        try:
            for name in classes:
                made = self._instances[name] = make_instance(name, config.get(name, {}))
                self._methods |= public_methods(made)
        except Exception as error:  # whatever a wrong scenario makes of bfcl-eval's code
            return {"broken": one_line(f"{type(error).__name__}: {error}", 300)}
        return {"loaded": True}

    def state(self) -> dict[str, Any]:
        """What BFCL compares (`multi_turn_checker._compare_instances`): the public attributes."""
        return {name: _fields(made, {}) for name, made in self._instances.items()}


def _fields(made: Any, above: dict[int, Any]) -> dict[str, Any]:
    return {
        name: plain(value, {**above, id(made): made})
        for name, value in vars(made).items()
        if not name.startswith("_")
    }


def plain(value: Any, above: dict[int, Any] | None = None) -> Any:
    """A value as JSON, so that equal values look alike; an object that it stands in is left out.

    Args:
        value: Of an attribute.
        above: The objects that it stands in, by identity.
    """
    above = above or {}
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)  # equal to itself
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): plain(one, above) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one, above) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(one, above) for one in value), key=repr)
    if not type(value).__module__.startswith("bfcl_eval."):
        return repr(value)
    if id(value) in above:  # a folder's parent
        return None
    return _fields(value, above)


def serve(channel: Channel) -> None:
    """Answers one environment's requests to their end."""
    world = World()
    for request in channel.requests():
        channel.send(world.answer(request))


def prepare(_: Mapping[str, Any]) -> Prepared:
    """Imports the classes; see `sandbox.host`."""
    from bfcl_eval.constants.executable_backend_config import CLASS_FILE_PATH_MAPPING

    for name in CLASSES:
        importlib.import_module(CLASS_FILE_PATH_MAPPING[name])
    return Prepared(serve)
