"""Environments by name."""

from __future__ import annotations

from ..errors import UserError
from .base import Environment
from .helpdesk import Helpdesk
from .shop import Shop
from .travel import Travel

ENVIRONMENTS: dict[str, type[Environment]] = {kind.name: kind for kind in (Helpdesk, Shop, Travel)}


def make_environment(name: str) -> Environment:
    """A new, empty environment.

    Raises:
        UserError: There is no environment of that name.
    """
    if name not in ENVIRONMENTS:
        raise UserError(f"there is no environment {name}", mend=f"Choose one of {', '.join(ENVIRONMENTS)}.")
    return ENVIRONMENTS[name]()
