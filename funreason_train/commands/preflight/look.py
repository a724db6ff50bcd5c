"""Looks at this machine, or over Ray at every node of a cluster, and says what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...cluster import Profile, gpu_problem
from ...cluster.preflight import Finding, facts_here, judge
from ...errors import UserError
from ...pages.table import Table
from ...run.paths import RunDir
from ...run.process import call_in_process
from ..display import console, say
from .needs import needs

if TYPE_CHECKING:
    from omegaconf import DictConfig

_LEVELS = ("error", "warning", "fine", "unchecked")


def look(config: DictConfig, run: RunDir, stages: Sequence[str]) -> list[Finding]:
    """Every finding, errors first.

    A cluster is joined by a process of its own, so that Ray stays out of this one.

    Args:
        config: The resolved configuration.
        run: The run directory.
        stages: The stages that are going to run.

    Raises:
        UserError: if the cluster that is named does not answer, or nodes stay missing.
    """
    from omegaconf import OmegaConf

    profile, wanted = Profile.of(config.cluster), needs(config, run, stages)
    if profile.joins():
        job = {"cluster": OmegaConf.to_container(config.cluster, resolve=True), "asked": dict(wanted.asked)}
        return judge(
            call_in_process("funreason_train.cluster.preflight.nodes:facts_of_cluster", job), wanted.expected
        )
    problem = gpu_problem(profile) or _one_of_several(profile)
    # Alone, so there is nobody to reach or to share a folder with.
    asked, expected = {**wanted.asked, "shared": None}, replace(wanted.expected, nodes=1)
    if problem:  # for lack of GPUs mostly, each of which would be a finding again
        asked, expected = {**asked, "gpu": False}, replace(expected, gpus=0)
    found = judge(facts_here(asked), expected)
    return [Finding("error", "machines", None, problem), *found] if problem else found


def _one_of_several(profile: Profile) -> str | None:
    """Why the machines of a profile without GPUs cannot be looked at, as `gpu_problem` has it for GPUs."""
    if profile.nodes == 1:
        return None
    return (
        f"cluster={profile.name} needs {profile.nodes} machines and no Ray cluster was named. Start the "
        "launch script on every node (launch/*.sh), or set RAY_ADDRESS to a running cluster"
    )


def before(config: DictConfig, run: RunDir, stages: Sequence[str]) -> None:
    """The preflight of a stage: warnings are printed, errors stop the run.

    Raises:
        UserError: with every error.
    """
    found = look(config, run, stages)
    for finding in found:
        if finding.level == "warning":
            say(f"Warning: {finding}")
    refuse_errors(found, "doctor=off starts all the same")
    if Profile.of(config.cluster).joins():
        say(f"Looked at every node: {_counts(found)}.")


def refuse_errors(found: Sequence[Finding], besides: str = "") -> None:
    """Ends the command if there are errors.

    Args:
        found: What was found.
        besides: What else the user can do.

    Raises:
        UserError: with every error, each as one sentence.
    """
    errors = [finding for finding in found if finding.level == "error"]
    if len(errors) == 1:
        raise UserError(str(errors[0]), fix=besides or None)
    if errors:
        lines = "".join(f"\n  - {error}" for error in errors)
        tail = f"\n{besides}" if besides else ""
        raise UserError(f"{len(errors)} errors would stop or spoil the run:{lines}{tail}")


def show(found: Sequence[Finding], title: str) -> None:
    """Prints every finding as a table."""
    rows = tuple(
        (finding.level, finding.check, finding.node or "all", _sentence(finding)) for finding in found
    )
    table = Table(title, ("level", "check", "node", "finding"), rows, texts=4)
    console.print(table.rich(console.width))
    console.print(f"{_counts(found)}.", highlight=False)


def _sentence(finding: Finding) -> str:
    return f"{finding.what}. {finding.fix}" if finding.fix else finding.what


def _counts(found: Sequence[Finding]) -> str:
    counts = {level: sum(finding.level == level for finding in found) for level in _LEVELS}
    several = ("error", "warning")
    return ", ".join(
        f"{count} {level}{'s' * (level in several and count > 1)}" for level, count in counts.items() if count
    )
