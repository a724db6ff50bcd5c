"""What a stage of a run is: the object STAGE that each stage package shows to the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Problem
from .paths import RunDir

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: What runs a stage in a process of its own (`run.process`), given `{"stage": its name, "config": the file of
#: the resolved configuration, "run": the run directory}`. By name, since it stands above all stages.
RUN_STAGE = "funreason_train.commands.execution.worker:run_stage"


@dataclass(frozen=True)
class Decides:
    """Which settings decide a stage's result, which may change while a run goes on, and which may only grow.

    Keys are dotted and may hold `*` (`rl.health.*`). What is named nowhere below decides.

    Attributes:
        sections: Nodes of the configuration that the stage depends on.
        harmless: Settings that change what a run costs, writes or watches, but not its result.
        grows: Settings of the run's length: with more, a finished or interrupted run trains on.
        unused: Settings that mean nothing beside others (another maker's, those of a data set that is not
            read), from the configuration: a change of them is no change of the job. What makes them unused
            has to be a setting that decides.
    """

    sections: tuple[str, ...]
    harmless: tuple[str, ...] = ()
    grows: tuple[str, ...] = ()
    unused: Callable[[DictConfig], Iterable[str]] = lambda config: ()

    def is_harmless(self, key: str) -> bool:
        """Whether the setting may change in a run that goes on."""
        return any(fnmatchcase(key, pattern) for pattern in self.harmless)

    def may_grow(self, key: str) -> bool:
        """Whether the setting is one of the run's length."""
        return any(fnmatchcase(key, pattern) for pattern in self.grows)


@dataclass(frozen=True)
class Plan:
    """What a dry run shows of a stage.

    Attributes:
        brief: What the run comes to, in a few lines.
        files: File name -> what is handed to a framework, as YAML's types; written, not printed.
        cost: Memory, time and disk (`cluster.plan.StagePlan`); or why they are not known, a sentence; None if
            the stage trains nothing.
    """

    brief: Sequence[str] = ()
    files: Mapping[str, Any] = field(default_factory=dict)
    cost: Any = None


def _no_plan(config: DictConfig, run: RunDir) -> Plan:
    return Plan()


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage. Every function takes the whole configuration and the run directory.

    Attributes:
        name: The command.
        title: What the user reads while it runs.
        decides: Which settings its result depends on.
        reads: The files and folders its result depends on.
        makes: The files and folders that are there once it is done.
        folder: What is moved aside when the stage is started afresh.
        check: Every problem that shows before a framework starts, except what an earlier stage has yet to
            make; imports no framework.
        awaits: What `check` lets pass since an earlier stage has yet to make it, a sentence each.
        run: Does the work, in a process of its own; returns JSON values. `headline`, `table` and `failures`
            (paths) are shown to the user.
        plan: What a dry run shows; imports no framework.
        out: The user's own place for the result (`out=DIR`), which then has its record beside it; None for
            the run directory.
        nodes: It runs on all nodes of a cluster.
        reached: The step from which it would go on: that of the last verified checkpoint; 0 where it begins
            anew.
        again: What happens to a result of other settings or inputs. `refuse`: it is kept, and the command
            refused. `beside`: the stage tells the results of different jobs apart by itself. `aside`: the old
            one is moved to `old/`, and it is made again, since it costs little.
    """

    name: str
    title: str
    decides: Decides
    reads: Callable[[DictConfig, RunDir], Sequence[Path]]
    makes: Callable[[DictConfig, RunDir], Sequence[Path]]
    folder: Callable[[DictConfig, RunDir], Path]
    check: Callable[[DictConfig, RunDir], Sequence[Problem | str]]
    run: Callable[[DictConfig, RunDir], Mapping[str, Any]]
    awaits: Callable[[DictConfig, RunDir], Sequence[Problem | str]] = lambda config, run: ()
    plan: Callable[[DictConfig, RunDir], Plan] = _no_plan
    out: Callable[[DictConfig], str | None] = lambda config: None
    nodes: bool = False
    reached: Callable[[DictConfig, RunDir], int] = lambda config, run: 0
    again: str = "refuse"

    def problems(self, config: DictConfig, run: RunDir) -> list[Problem]:
        """What `check` finds."""
        return [Problem.of(found) for found in self.check(config, run)]


def model_files(path: str | None) -> list[Path]:
    """A local model's folder as something that is read; a hub id has no file here."""
    return [Path(path)] if path and Path(path).is_dir() else []
