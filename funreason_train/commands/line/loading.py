"""The settings of a command, and every problem of them at once: of keys and values, and what stages find."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import Problem, UserError, refuse
from ...run.files import write_text
from ...run.paths import RunDir
from ...run.secrets import redacted
from ...settings import check
from ...settings.compose import compose, gather
from ...settings.places import group_choices
from ...settings.resolve import resolve, run_of
from ..stages import STAGES, stage_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Groups whose choice says its name, and where.
_NAMED = {"algorithm": "rl.algorithm", "cluster": "cluster"}
#: Nothing else can be looked at where one of these is wrong.
_GROUND = ("run_dir", "restart", "cluster", "model", "protocol", "pipeline")


def load(command: str, section: str, words: Sequence[str]) -> DictConfig:
    """The settings of a command line, checked and completed.

    Args:
        command: The command.
        section: Its section of the configuration.
        words: What stands after it.

    Raises:
        UserError: with all problems: words, values, and what the command's stages find besides. A dry run
            leaves the configuration to read all the same.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError(
            "the folder that the command is given in is not there any more", fix="Change to another one"
        ) from None
    composed = gather(section, words)
    wrong = check.problems(composed.config)
    if not composed.problems and not wrong:
        check.normalise(composed.config)
        return resolve(composed.config, command)
    if not wrong.keys() & {"dry_run", "run_dir"} and composed.config.dry_run:
        from omegaconf import OmegaConf

        run = RunDir.at(Path(composed.config.run_dir))
        with suppress(OSError):  # the mistakes are told all the same
            write_text(run.plan / "config.yaml", redacted(OmegaConf.to_yaml(composed.config)))
    refuse([*composed.problems, *every_problem(composed.config, command)])
    raise AssertionError("refuse raises")


def every_problem(config: DictConfig, command: str) -> list[Problem]:
    """What is wrong with the values of a composed configuration, and what the command's stages find besides.

    Args:
        config: Not yet resolved.
        command: Whose stages are asked.
    """
    wrong = check.problems(config)
    return [*wrong.values(), *_of_stages(config, command, wrong)]


def _chosen(config: DictConfig) -> list[str]:
    """The groups' choices that a configuration was composed with, as far as it shows."""
    from omegaconf import OmegaConf

    names = {group: OmegaConf.select(config, f"{place}.name") for group, place in _NAMED.items()}
    return [f"{group}={name}" for group, name in names.items() if name in group_choices()[group]]


def _of_stages(config: DictConfig, command: str, wrong: dict[str, Problem]) -> list[Problem]:
    """What the stages find besides, with the wrong values put back to the shipped ones."""
    if any(key.split(".")[0] in _GROUND for key in wrong):
        return []
    config = check.sound(config, list(wrong), compose(None, _chosen(config)))
    if check.problems(config):
        return []
    try:
        check.normalise(config)
        config = resolve(config, command)
        run = run_of(config)
        names = list(config.pipeline.stages) if command == "pipeline" else [command]
        told = [
            Problem.of(problem)
            for name in names
            if name in STAGES
            for problem in stage_of(name).problems(config, run)
        ]
    except UserError as error:
        told = [Problem.of(error)]
    return [problem for problem in told if not any(key in str(problem) for key in wrong)]
