"""`dry_run=true`: what would be handed to the frameworks and the nodes, printed and written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..cluster.topology import node_commands
from ..errors import UserError
from ..run.files import write_text
from ..run.paths import RunDir
from .display import console
from .stages import stage_of

if TYPE_CHECKING:
    from omegaconf import DictConfig


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
    briefs: list[tuple[str, Sequence[str]]] = []
    for name in names:
        stage = stage_of(name)
        found = list(map(str, stage.problems(config, run)))
        problems += found
        try:
            plan = stage.plan(config, run)
            documents |= {file: _yaml(value) for file, value in plan.files.items()}
            if not found and plan.brief:
                briefs.append((name, plan.brief))
        except (UserError, TypeError, ValueError):
            if not found:  # otherwise it is the same mistake, met again
                raise
        if stage.nodes:
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
