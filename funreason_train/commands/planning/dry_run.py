"""`dry_run=true`: what would be handed to the frameworks and the nodes, printed and written."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...cluster import Profile
from ...cluster.kuberay import HEAD as RAY_JOB_HEAD
from ...cluster.kuberay import ray_job
from ...cluster.plan import StagePlan
from ...cluster.preflight import locked_versions
from ...cluster.profile import launch_problem
from ...cluster.topology import node_commands
from ...errors import Problem, UserError, refuse
from ...run.files import unwritable, write_text
from ...run.paths import RunDir
from ..display import console, say
from ..stages import stage_of
from .record import calibrated, too_large, write
from .show import brief
from .standing import standing

if TYPE_CHECKING:
    from omegaconf import DictConfig

_COMMANDS = 8  # that are printed
_CONTENTS = {"config.yaml": "the whole configuration", "commands.txt": "the commands of all nodes"}


def show(names: list[str], config: DictConfig, run: RunDir, words: list[str]) -> None:
    """Prints what the stages come to and the commands of the nodes; writes what the frameworks get.

    The files are in `RUN_DIR/plan`: the configuration, each framework's, all commands, and for machines with
    GPUs a KubeRay job of each stage.

    Args:
        names: The stages that would run.
        config: The resolved configuration.
        run: The run directory.
        words: The user's settings as written, for the commands of the nodes.

    Raises:
        UserError: with every problem that the stages' checks find; what can be shown has been shown.
    """
    from omegaconf import OmegaConf
    from rich.markup import escape

    here = Path.cwd()
    documents = {"config.yaml": OmegaConf.to_yaml(config, resolve=True)}
    commands: list[str] = []
    problems: list[Problem] = []
    briefs: list[tuple[str, Sequence[str]]] = []
    plans: list[StagePlan] = []
    unplanned: list[str] = []
    for name in names:
        stage = stage_of(name)
        found = stage.problems(config, run)
        problems += found
        try:
            plan = stage.plan(config, run)
            documents |= {file: _yaml(value) for file, value in plan.files.items()}
            if not found and plan.brief:
                briefs.append((name, plan.brief))
            if not found and isinstance(plan.cost, str):
                unplanned.append(f"{name} is not planned: {plan.cost}")
            elif not found and plan.cost is not None:
                plans.append(calibrated(plan.cost, config))
                problems += too_large(plans[-1])
        except (UserError, TypeError, ValueError):
            if not found:  # otherwise it is the same mistake, met again
                raise
        if stage.nodes:
            kept = words_for_nodes(words)
            commands += node_commands(config.cluster, name, kept, here)
            if missing := launch_problem(Profile.of(config.cluster)):
                problems.append(Problem(missing))
            if config.cluster.device == "cuda":
                documents[f"rayjob_{name}.yaml"] = _ray_job(config, name, kept)
    if commands:
        # Other nodes' shells begin elsewhere, and paths may be relative.
        documents["commands.txt"] = "".join(f"cd {shlex.quote(str(here))} && {line}\n" for line in commands)
    there, refused = ([], None) if problems else standing([stage_of(name) for name in names], config, run)
    problems += [] if refused is None else [Problem.of(refused)]
    for name, lines in briefs:
        console.rule(f"{name} in brief", align="left")
        say("\n".join(lines) + "\n")
    for cost in plans:
        console.rule(f"{cost.stage} planned (funreason-train plan shows more)", align="left")
        say("\n".join(brief(cost)) + "\n")
    if unplanned:
        say("\n".join(unplanned) + "\n")
    if there:
        console.rule(escape(f"already in {run.root}"), align="left")
        say("\n".join(there) + "\n")
    if commands and not problems:
        title = f"on the nodes, in {here}" if config.cluster.nodes > 1 else "to run"
        console.rule(escape(title), align="left")
        more = len(commands) - _COMMANDS
        rest = [f"… and {more} more in commands.txt"] if more > 0 else []
        say("\n".join([*commands[:_COMMANDS], *rest, ""]))
    if plans:
        write(plans, run)
    try:
        for file, text in documents.items():
            write_text(run.plan / file, text)
            say(f"{_contents(file)}: {run.plan / file}")
    except OSError as error:
        raise unwritable(run.root, error) from None
    if problems:
        say("Dry run: nothing was started.")
    refuse(problems)
    said = [line for _, lines in briefs for line in lines]
    then = "The same command without dry_run=true runs it"
    if "data" not in names and any(line.startswith("data: not there yet") for line in said):
        say(
            f"Dry run: nothing was started, and no problems found but that the data are missing. "
            f"{then} after funreason-train data."
        )
    elif awaited := stage_of(names[0]).awaits(config, run) if len(names) == 1 else ():
        say(
            "Dry run: nothing was started, and no problems found but what an earlier stage has yet to make: "
            f"{'; '.join(map(str, awaited))}. {then} after that."
        )
    else:
        say(f"Dry run: nothing was started, and no problems found. {then}.")


def _contents(file: str) -> str:
    if file.startswith("rayjob_"):
        return "the same for KubeRay"
    return _CONTENTS.get(file, "what the framework is given")


def words_for_nodes(words: Sequence[str]) -> list[str]:
    """The user's settings as each node's command repeats them."""
    return [word for word in words if word.partition("=")[0].lstrip("+") != "dry_run"]


def _ray_job(config: DictConfig, name: str, words: list[str]) -> str:
    import yaml

    manifest = ray_job(config.cluster, name, words, locked_versions("cuda").get("ray"))
    return RAY_JOB_HEAD + yaml.safe_dump(manifest, sort_keys=False)


def _yaml(value: Any) -> str:
    from omegaconf import OmegaConf

    if not OmegaConf.is_config(value):
        value = OmegaConf.create(value)
    return OmegaConf.to_yaml(value, resolve=True)
