"""`dry_run=true`: what would be handed to the frameworks and the nodes, printed and written."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..cluster.topology import node_commands
from ..errors import UserError
from ..run.paths import RunDir, write_text
from .display import console
from .stages import STAGES, check

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Stages with a framework of their own; the others have nothing to resolve beyond the configuration.
_WITH_PLAN = ("sft", "rl")


def show(names: list[str], config: DictConfig, run: RunDir, words: list[str]) -> None:
    """Prints and writes under `RUN_DIR/plan` the configuration, each stage's plan and every node's command.

    Args:
        names: The stages that would run.
        config: The resolved configuration.
        run: The run directory.
        words: The user's settings as written, for the commands of the nodes.

    Raises:
        UserError: with every problem that the stages' checks find; what can be shown has been shown.
    """
    from omegaconf import OmegaConf

    documents = {"config.yaml": OmegaConf.to_yaml(config, resolve=True)}
    commands: list[str] = []
    problems: list[str] = []
    briefs: list[tuple[str, list[str]]] = []
    for name in names:
        found = check(STAGES[name], config, run)
        problems += found
        if name in _WITH_PLAN:
            stage = importlib.import_module(f"funreason_train.{STAGES[name].package}.stage")
            try:
                documents[f"{name}.yaml"] = _yaml(stage.plan(config, run))
                if not found and hasattr(stage, "brief"):
                    briefs.append((name, stage.brief(config, run)))
            except (UserError, TypeError, ValueError):
                if not found:  # otherwise it is the same mistake, met again
                    raise
            kept = [word for word in words if not word.startswith(("dry_run", "cluster="))]
            commands += node_commands(config.cluster, name, kept)
    if commands:
        documents["commands.txt"] = "\n".join(commands) + "\n"
    for file, text in documents.items():
        write_text(run.plan / file, text)
        if file != "config.yaml" or len(documents) == 1:
            console.rule(file, align="left")
            console.print(text, markup=False, highlight=False, soft_wrap=True)
    for name, lines in briefs:
        console.rule(f"{name} in brief", align="left")
        console.print("\n".join(lines) + "\n", markup=False, highlight=False, soft_wrap=True)
    shown = f"Dry run: nothing was started. {', '.join(documents)} are in {run.plan}"
    if problems:
        console.print(f"{shown}.", highlight=False, soft_wrap=True)
        raise UserError("it would not start: " + "; ".join(dict.fromkeys(problems)))
    console.print(f"{shown}; the same command without dry_run=true runs it.", highlight=False, soft_wrap=True)


def _yaml(value: Any) -> str:
    from omegaconf import OmegaConf

    if not OmegaConf.is_config(value):
        value = OmegaConf.create(value)
    return OmegaConf.to_yaml(value, resolve=True)
