"""From the words after a command to its settings, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import refuse
from .compose import gather
from .resolve import resolve

if TYPE_CHECKING:
    from omegaconf import DictConfig


def load_settings(command: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The settings of a command, composed from the shipped configuration, recipes and overrides, and checked.

    Args:
        command: `data`, `sft`, `rl`, `export`, `eval`, `pipeline`, `doctor`, …
        overrides: What stands after the command: `KEY=VALUE`, `+recipe=NAME`, `cluster=FILE.yaml`, ….

    Returns:
        The whole configuration tree, in struct mode.

    Raises:
        UserError: naming every unknown key, with the nearest known one, and every value that is wrong.
    """
    from . import check
    from .root import models

    composed = gather(command if command in models() else None, overrides)
    refuse([*composed.problems, *check.problems(composed.config).values()])
    check.normalise(composed.config)
    return resolve(composed.config, command)
