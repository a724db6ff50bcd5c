"""Environments by name: this project's own, BFCL's, and what a user's modules add."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from ..errors import UserError
from .base import Environment
from .bfcl.environment import PREFIX, environment_kind
from .helpdesk import Helpdesk
from .shop import Shop
from .travel import Travel

ENVIRONMENTS: dict[str, type[Environment]] = {kind.name: kind for kind in (Helpdesk, Shop, Travel)}


def make_environment(name: str) -> Environment:
    """A new, empty environment.

    Args:
        name: One of `ENVIRONMENTS`, or `bfcl/CLASS` (see `bfcl.environment`).

    Raises:
        UserError: There is no environment of that name, or what it needs is not installed.
    """
    if name.startswith(PREFIX):
        return environment_kind(name)()
    if name not in ENVIRONMENTS:
        known = f"{', '.join(ENVIRONMENTS)}, or {PREFIX}CLASS for a class of BFCL's"
        raise UserError(f"there is no environment {name}", mend=f"Choose one of {known}.")
    return ENVIRONMENTS[name]()


def register_environment(kind: type[Environment]) -> type[Environment]:
    """Adds an environment under its `name`, for tasks that name it; usable as a decorator.

    Raises:
        UserError: Another class has that name.
    """
    if ENVIRONMENTS.setdefault(kind.name, kind) is not kind:
        raise UserError(f"there are two environments {kind.name}", mend="Give one of them another name.")
    return kind


def load_environments(modules: Iterable[str]) -> None:
    """Imports modules that register environments. The configuration names them; a task never does.

    Raises:
        UserError: A module cannot be imported.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UserError(
                f"the module {module} of rl.environment.modules cannot be imported ({error})",
                mend="Install it in this environment, or put its folder on PYTHONPATH.",
            ) from None
