"""Fills in what one stage hands to the next: which model each stage starts from."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from ..run.paths import RunDir

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run_of(config: DictConfig, root: Path | str | None = None) -> RunDir:
    """The run of a configuration, in which every stage finds the others' results wherever they are put.

    Args:
        config: With the stages' `out`.
        root: The run directory, if it is not `run_dir`.
    """
    outs = {name: config[name].out for name in ("synth", "data", "export")}
    return RunDir.at(root or config.run_dir, **outs)


def resolve(config: DictConfig, command: str) -> DictConfig:
    """Completes a composed configuration in place and returns it.

    SFT starts from `model.path` or, if that is null, from the tiny model of the run; RL from the SFT model;
    the evaluation compares base, SFT and RL model in a pipeline and otherwise takes the one in `model=`.
    """
    from omegaconf import OmegaConf

    run = run_of(config)
    config.run_dir = str(run.root)
    config.data.synth.path = config.data.synth.path or str(run.synth_conversations)
    if config.model.path:
        config.model.path = _absolute(config.model.path)
    base = config.model.path or str(run.base_model)
    config.sft.model = config.sft.model or base
    config.rl.model = config.rl.model or str(run.sft_model)
    if OmegaConf.is_list(config.eval.models):
        config.eval.models = _named(list(map(str, config.eval.models)))
    elif config.eval.models:
        # YAML reads a name such as 1 as a number.
        config.eval.models = {str(name): _absolute(str(path)) for name, path in config.eval.models.items()}
    if not config.eval.models:
        if command == "eval" and config.model.path:
            config.eval.models = _named([base])
        else:
            config.eval.models = {"base": base, "sft": str(run.sft_model), "rl": str(run.export)}
    return config


def _named(paths: list[str]) -> dict[str, str]:
    """Short names that tell a list of models apart, for columns of tables and folders of results.

    A model in a run directory is named after the run and what it is there (`mine-sft`; `mine` for its
    export), or only by what it is if all are of one run; any other model after its folder or its name on the
    hub. Names that are still the same take parents in front, as many as tell them apart.
    """
    full = [_absolute(path) for path in paths]
    if len(set(full)) < len(full):
        raise UserError("the same model stands in the list twice", where="model=[…]", fix="Name each once")
    owners = [_owner(path) for path in full]
    runs = {run for run, what in owners if what}
    if len(runs) == 1 and all(Path(path).is_relative_to(Path(*run)) for path in full for run in runs):
        return {what or _name([Path(path).name]): path for path, (_, what) in zip(full, owners, strict=True)}
    owners = [(run, "" if what == "export" else what) for run, what in owners]
    for depth in range(1, max(len(run) for run, _ in owners) + 1):
        names = [_name([*run[-depth:], what]) for run, what in owners]
        if len(set(names)) == len(names):
            return dict(zip(names, full, strict=True))
    raise UserError(
        "no short names tell the models apart",
        where="model=[…]",
        fix="Name them: eval.models={mine: DIR, …}",
    )


#: Where a run keeps its trained models (`run.paths`): the end of the path, and what is there.
_IN_A_RUN = {("sft", "model"): "sft", ("export",): "export"}


def _owner(path: str) -> tuple[tuple[str, ...], str]:
    """The run that a model belongs to, and what it is there; a model outside of any run is its own."""
    parts = Path(path).parts
    for end, what in _IN_A_RUN.items():
        if parts[-len(end) :] == end and len(parts) > len(end) + 1:
            return parts[: -len(end)], what
    return parts, ""


def _name(parts: Sequence[str]) -> str:
    """Parts of a path as a name of a folder."""
    return "-".join(re.sub(r"[^\w.+-]", "_", part.strip("/") or "root") for part in parts if part)


def _absolute(path: str) -> str:
    """A local path made absolute; what does not exist and looks like `owner/name` stays a hub id."""
    expanded = Path(path).expanduser()
    looks_local = path.startswith((".", "/", "~")) or os.sep not in path or path.count("/") > 1
    # Unlike Path.resolve, realpath takes links in a circle as they are.
    return os.path.realpath(expanded) if expanded.exists() or looks_local else path
