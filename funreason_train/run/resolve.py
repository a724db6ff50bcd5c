"""Fills in what one stage hands to the next: which model each stage starts from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from .paths import RunDir

if TYPE_CHECKING:
    from omegaconf import DictConfig


def resolve(config: DictConfig, command: str) -> DictConfig:
    """Completes a composed configuration in place and returns it.

    SFT starts from `model.path` or, if that is null, from the tiny model of the run; RL from the SFT model;
    the evaluation compares base, SFT and RL model in a pipeline and otherwise takes the one in `model=`.
    """
    from omegaconf import OmegaConf

    run = RunDir.at(config.run_dir)
    config.run_dir = str(run.root)
    if config.model.path:
        config.model.path = _absolute(config.model.path)
    base = config.model.path or str(run.base_model)
    config.sft.model = config.sft.model or base
    config.rl.model = config.rl.model or str(run.sft_model)
    if OmegaConf.is_list(config.eval.models):
        config.eval.models = _named(list(map(str, config.eval.models)))
    elif config.eval.models:
        config.eval.models = {name: _absolute(str(path)) for name, path in config.eval.models.items()}
    if not config.eval.models:
        if command == "eval" and config.model.path:
            config.eval.models = {Path(base).name: base}
        else:
            config.eval.models = {"base": base, "sft": str(run.sft_model), "rl": str(run.export)}
    return config


def _named(paths: list[str]) -> dict[str, str]:
    """Names for a list of models: the folders' own, with as many of their parents as tell them apart."""
    full = [_absolute(path) for path in paths]
    for depth in range(1, max((len(Path(path).parts) for path in full), default=0) + 1):
        names = ["-".join(part.strip("/") or "root" for part in Path(path).parts[-depth:]) for path in full]
        if len(set(names)) == len(names):
            return dict(zip(names, full, strict=True))
    raise UserError("the same model stands in the list twice", where="model=[…]", mend="Name each once")


def _absolute(path: str) -> str:
    """A local path made absolute; what does not exist and looks like `owner/name` stays a hub id."""
    expanded = Path(path).expanduser()
    looks_local = path.startswith((".", "/", "~")) or os.sep not in path or path.count("/") > 1
    return str(expanded.resolve()) if expanded.exists() or looks_local else path
