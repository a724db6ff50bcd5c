"""Where a command keeps its record: manifest, configuration and logs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...run.paths import RunDir
from ...settings.resolve import run_of
from ..stages import STAGES, stage_of

if TYPE_CHECKING:
    from omegaconf import DictConfig


def home_of(command: str, config: DictConfig, words: Sequence[str] = ()) -> RunDir:
    """The run directory of a command.

    It is `run_dir`, but for a stage whose result goes to `out=DIR` and that was given no `run_dir=`: the
    record then lies beside the result, in `DIR.run`, so that two results never claim one run directory.

    Args:
        command: A stage's name or another command.
        config: Resolved; what it names in `run_dir` stays there.
        words: What the user gave.
    """
    named = any(word.lstrip("+").startswith("run_dir=") for word in words)
    if command in STAGES and not named and (out := stage_of(command).out(config)):
        return run_of(config, f"{Path(str(out)).expanduser().resolve()}.run")
    return run_of(config)
