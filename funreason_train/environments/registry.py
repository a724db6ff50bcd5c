"""Environments by name: this project's own, BFCL's, and a user's.

Only a configuration makes code be imported (`load_environments`, `configured_environment`); a task or a row
names what is already there.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import UserError
from .bfcl.documents import CLASSES
from .bfcl.environment import PREFIX, environment_kind
from .domains import WORLDS
from .hosted import HOSTS
from .objects import object_world
from .protocol import Environment


class Environments(MutableMapping[str, type[Environment]]):
    """Name -> class; a class of this package is imported when it is first looked up.

    Args:
        known: Name -> `module:Class`.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self._kinds: dict[str, str | type[Environment]] = dict(known)

    def __getitem__(self, name: str) -> type[Environment]:
        kind = self._kinds[name]
        if isinstance(kind, str):
            module, _, attribute = kind.partition(":")
            kind = self._kinds[name] = getattr(importlib.import_module(module), attribute)
        return kind

    def __setitem__(self, name: str, kind: type[Environment]) -> None:
        self._kinds[name] = kind

    def __delitem__(self, name: str) -> None:
        del self._kinds[name]

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


ENVIRONMENTS = Environments(WORLDS)

_FAMILIES: dict[str, Callable[[str], type[Environment]]] = {PREFIX: environment_kind}
_HERE = __name__.partition(".")[0]
_SERVED = "mcp/"  # whose family comes with a file (`mcp.load_servers`)
_PATHS: dict[str, type[Environment]] = {}  # `package.module:Class`, once loaded
_OWN: dict[str, None] = {}  # what the configuration names, in order
_MINE: set[str] = set()  # the environments that were registered thereby
_SHOWN = 16  # names that a message lists


def environment_class(name: str) -> type[Environment]:
    """The class of an environment.

    Args:
        name: One of `ENVIRONMENTS`, a family's (`bfcl/CLASS`, see `bfcl.environment`), or the dotted path of
            a class that the configuration has loaded.

    Raises:
        UserError: There is no environment of that name, or what it needs is not installed.
    """
    for prefix, find in _FAMILIES.items():
        if name.startswith(prefix):
            return find(name)
    if found := ENVIRONMENTS.get(name) or _PATHS.get(name):
        return found
    if ":" in name:
        raise UserError(
            f"the environment {name} is not loaded",
            fix=f"Name it in the configuration: environment_modules=[{name}]",
        )
    if name.startswith(_SERVED):
        raise UserError(
            f"there is no environment {name}: the MCP servers of a file are known to the command synth alone",
            fix="In synth, name the file: servers=FILE. Elsewhere use the conversations without playing them",
        )
    names = list(ENVIRONMENTS)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    known = f"{', '.join(names[:_SHOWN])}{more}, {PREFIX}CLASS for a class of BFCL's"
    own = "or name the module of your own in environment_modules"
    near = get_close_matches(name, names, 1)
    if not near and name in CLASSES:
        near = [PREFIX + name]
    if not near and "." in name:
        near = [":".join(name.rsplit(".", 1))]
    meant = f"; did you mean {near[0]}?" if near else ""
    raise UserError(f"there is no environment {name}{meant}", fix=f"Choose one of {known}, {own}")


def make_environment(name: str) -> Environment:
    """A new, empty environment; see `environment_class`.

    Raises:
        UserError: There is no environment of that name, or it cannot be made.
    """
    kind = environment_class(name)
    try:
        return kind()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"the environment {name} cannot be made ({type(error).__name__}: {error})") from error


def played_environment(name: str) -> Environment:
    """A new, empty environment to play a task in; one's own is played in a process of its own (`hosted`).

    Raises:
        UserError: As `make_environment`.
    """
    kind = environment_class(name)
    if is_own(name):
        loaded = dict.fromkeys([*_OWN, name] if name in _PATHS else _OWN)
        found = HOSTS.environment(name, kind, list(loaded))
        if found is not None:
            return found
    return make_environment(name)


def is_own(name: str) -> bool:
    """Whether an environment, which is there, is one that the configuration has brought.

    Raises:
        UserError: As `environment_class`.
    """
    return name in _PATHS or name in _MINE or environment_class(name).__module__ in _OWN


def register_environment(kind: type[Environment]) -> type[Environment]:
    """Adds an environment under its `name`, for tasks that name it; usable as a decorator.

    Raises:
        UserError: Another class has that name.
    """
    if ENVIRONMENTS.setdefault(kind.name, kind) is not kind:
        raise UserError(f"there are two environments {kind.name}", fix="Give one of them another name")
    return kind


def register_family(prefix: str, find: Callable[[str], type[Environment]]) -> None:
    """Adds environments that are made on demand, every name that begins with `prefix`.

    Args:
        prefix: With its slash, as `bfcl/`.
        find: A whole name to its class; raises a UserError if there is none.
    """
    _FAMILIES[prefix] = find


def load_environments(names: Iterable[str]) -> None:
    """Imports what the configuration names: modules that register environments, or `package.module:Class`.

    Args:
        names: The setting `environment_modules`.

    Raises:
        UserError: It is not a list, a module cannot be imported, or it has no such class.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise UserError(
            f"environment_modules={names} is not a list", fix="Write it as environment_modules=[…]"
        )
    for name in map(str, names):
        before = set(ENVIRONMENTS)
        if ":" in name:
            _load_class(name)
        else:
            _import(name)
        _OWN[name] = None
        _MINE.update(ENVIRONMENTS.keys() - before)


def module_files(names: Iterable[str]) -> list[Path]:
    """The files of the modules that a configuration names, since what they say decides how tasks end.

    Args:
        names: The setting `environment_modules`. What cannot be found has no file; this project's own modules
            are known by its version.
    """
    found: dict[Path, None] = {}
    for name in names:
        module = str(name).partition(":")[0]
        try:
            spec = None if module.partition(".")[0] == _HERE else find_spec(module)
        except (Exception, SystemExit):  # the package that it stands in is imported for it
            spec = None
        if spec is None or not spec.origin:
            continue
        inside = [
            file for folder in spec.submodule_search_locations or () for file in Path(folder).rglob("*.py")
        ]
        found.update(dict.fromkeys(sorted(inside) or [Path(spec.origin)]))
    return [file for file in found if file.is_file()]


def loading_problems(names: Iterable[str]) -> list[str]:
    """What `load_environments` finds wrong, as sentences; what can be imported then is."""
    try:
        load_environments(names)
    except UserError as error:
        return [str(error)]
    return []


def configured_environment(name: str) -> type[Environment]:
    """The class of an environment that the configuration names; `package.module:Class` is imported for it.

    Raises:
        UserError: As `environment_class` and `load_environments`.
    """
    if ":" in name and not name.startswith(tuple(_FAMILIES)) and name not in ENVIRONMENTS:
        _load_class(name)
    return environment_class(name)


def _load_class(path: str) -> None:
    if path in _PATHS:
        return
    module, _, attribute = path.partition(":")
    if os.sep in module or module.endswith(".py"):
        file = Path(module)
        raise UserError(
            f"{path} names a file, and a class is named by its module",
            fix=f"Put {file.absolute().parent} on PYTHONPATH, and name {file.stem}:{attribute}",
        )
    found: Any = (imported := _import(module))
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        own = [
            name
            for name, one in vars(imported).items()
            if isinstance(one, type) and one.__module__ == imported.__name__
        ]
        near = get_close_matches(attribute, own, 1)
        has = f"It has {', '.join(own[:_SHOWN])}" if own else "Write it as package.module:Class"
        raise UserError(
            f"the module {module} has no class {attribute}",
            fix=f"Did you mean {module}:{near[0]}?" if near else has,
        )
    if not issubclass(found, Environment):
        _PATHS[path] = object_world(found, path)
    else:
        _PATHS[path] = register_environment(found)


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"the module {module} of environment_modules cannot be imported ({error})",
            fix="Install it in this environment, or put its folder on PYTHONPATH",
        ) from None
    except (Exception, SystemExit) as error:
        raise UserError(
            f"the module {module} of environment_modules cannot be imported "
            f"({type(error).__name__}: {error})",
            fix="Let it do nothing but define its classes when it is imported",
        ) from None
