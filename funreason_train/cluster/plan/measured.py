"""What a run has measured, beside what was planned for it, and plans corrected by it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Any

from ...errors import UserError
from ...plain import is_finite
from ...run.files import MISSHAPEN, read_lines
from ...run.manifest import Manifest
from ...run.paths import RunDir
from .device import GIB
from .result import FORMAT, StagePlan

_WARM_UP = 2  # steps at the start of an attempt that say little


@dataclass(frozen=True)
class Compared:
    """One figure of the plan beside the measured one.

    Attributes:
        stage: Its name.
        what: For example "peak memory".
        unit: Of both figures.
        planned: None if the plan has none.
        measured: None if the run has none.
    """

    stage: str
    what: str
    unit: str
    planned: float | None
    measured: float | None

    @property
    def ratio(self) -> float | None:
        """Planned over measured; None if either is missing."""
        return self.planned / self.measured if self.planned is not None and self.measured else None


@dataclass(frozen=True)
class Measured:
    """What a stage of a run took; None for what was not measured.

    Attributes:
        step_seconds: Median of the steps.
        tokens_per_step: Mean of what the model has seen; of trees, tokens that rows share count once.
        peak_bytes: Of one GPU, or of all processes on a CPU machine.
        run_seconds: Of all steps, without start and end.
    """

    step_seconds: float | None
    tokens_per_step: float | None
    peak_bytes: float | None
    run_seconds: float | None


def plan_and_measured(run: RunDir) -> tuple[Compared, ...]:
    """The plan of a run beside what it measured, for every stage that was planned; empty without a plan.

    Args:
        run: With `plan/plan.json`, which every run of sft and rl writes before it starts.

    Raises:
        UserError: if the plan is of another version or no plan.
    """
    planned = read_plan(run)
    return tuple(line for stage, values in planned.items() for line in _compared(run, stage, values))


def _compared(run: RunDir, stage: str, planned: Mapping[str, Any]) -> Iterator[Compared]:
    found = measured(run, stage, str(planned["device"]))
    peak = found.peak_bytes / GIB if found.peak_bytes else None
    where = "all processes" if planned["device"] == "cpu" else "a GPU"
    yield Compared(stage, f"peak memory of {where}", "GiB", planned["peak_bytes"] / GIB, peak)
    yield Compared(stage, "time of a step", "s", planned["seconds_per_step"] or None, found.step_seconds)
    yield Compared(stage, "tokens of a step", "tokens", planned["tokens_per_step"], found.tokens_per_step)
    yield Compared(stage, "time of all steps", "s", planned["run_seconds"], found.run_seconds)


def read_plan(run: RunDir) -> Mapping[str, Any]:
    """Stage -> what `StagePlan.to_json` wrote; empty if there is no plan.

    Raises:
        UserError: if the file is of another version or no plan.
    """
    path = run.plan / "plan.json"
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        stages = value["stages"]
        whole = isinstance(stages, dict) and all(map(_is_whole, stages.values()))
        if value["format"] != FORMAT or not whole:
            raise ValueError
    except (OSError, *MISSHAPEN):
        raise UserError(
            "is not a plan that this version reads", where=str(path), fix="Delete it; `plan` writes it again"
        ) from None
    return stages


def _is_whole(plan: Any) -> bool:
    """Whether a stage's plan has the figures that are compared."""
    figures = ("peak_bytes", "seconds_per_step", "tokens_per_step")
    if not isinstance(plan, dict):
        return False
    first = plan.get("uncorrected") or {}
    return (
        isinstance(plan.get("device"), str)
        and (not first or all(is_finite(first.get(name)) for name in figures[:2]))
        and all(is_finite(plan.get(name)) for name in figures)
        and (plan.get("run_seconds") is None or is_finite(plan["run_seconds"]))
    )


def measured(run: RunDir, stage: str, device: str) -> Measured:
    """What a stage took, from its metrics and the run's record.

    Args:
        run: The run directory.
        stage: `sft` or `rl`.
        device: Of the plan, `cpu` or a GPU's; on CPU the record's peak of all processes counts.
    """
    # What is no number to count with, as a program's NaN, was not measured.
    lines = [
        {name: value for name, value in line.items() if is_finite(value)}
        for line in read_lines(run.root / stage / "metrics.jsonl")
        if isinstance(line, dict)
    ]
    record = Manifest(run).stage(stage) if run.manifest.is_file() else {}
    on_cpu = device == "cpu"
    peak = float(record.get("peak_bytes") or 0) if on_cpu else _gpu_peak(lines)
    done = record.get("state") == "done"
    timed = [line for line in lines if {"step", "seconds"} <= line.keys()]
    seconds = _sft_steps(timed) if stage == "sft" else _numbers(lines[_WARM_UP:], "perf/time_per_step")
    if stage == "sft":
        tokens = _sft_tokens([line for line in lines if {"step", "tokens"} <= line.keys()])
        steps = sum(_sft_steps(timed, whole=True)) if done else 0.0
    else:
        tokens = _numbers(lines, "perf/total_num_tokens")
        steps = sum(_numbers(lines, "perf/time_per_step")) if done else 0.0
    return Measured(
        median(seconds) if seconds else None,
        sum(tokens) / len(tokens) if tokens else None,
        peak or None,
        steps or None,
    )


def corrected(plan: StagePlan, run: RunDir) -> StagePlan:
    """The plan with the times and the memory that another run of the same kind of machines shows.

    Each step takes so many times longer as it did there, and the fullest moment so much more (or less).

    Args:
        plan: To correct.
        run: The run that was measured; with its own plan.

    Raises:
        UserError: if it has no plan or nothing measured for this stage, or ran on other devices.
    """
    before = read_plan(run).get(plan.stage)
    if before is None:
        raise UserError(
            f"there is no plan of {plan.stage} to compare with",
            where=f"plan.calibrate={run.root}",
            fix="Name the run directory of a run of sft or rl (a rehearsal's is DIR.rehearsal/run)",
        )
    if before["device"] != plan.device:
        raise UserError(
            f"it ran on {before['device']}, and the plan is for {plan.device}",
            where=f"plan.calibrate={run.root}",
            fix="Calibrate with a run on the same kind of machines",
        )
    found = measured(run, plan.stage, plan.device)
    if found.step_seconds is None and found.peak_bytes is None:
        raise UserError(
            f"nothing of {plan.stage} was measured there",
            where=f"plan.calibrate={run.root}",
            fix="Let it train a few steps",
        )
    # A plan that was corrected already would be taken for what the formulas say.
    before = before.get("uncorrected") or before
    slower = (
        found.step_seconds / before["seconds_per_step"]
        if found.step_seconds and before["seconds_per_step"]
        else 1
    )
    more = found.peak_bytes - before["peak_bytes"] if found.peak_bytes else 0.0
    return replace(
        plan,
        before=plan,
        seconds={part: value * slower for part, value in plan.seconds.items()},
        memory={moment: {**parts, "as measured": more} for moment, parts in plan.memory.items()},
        notes=(
            *plan.notes,
            f"corrected by {run.root}: steps {slower:.2f} times as long, {more / GIB:+.1f} GiB of memory",
        ),
    )


def _sft_steps(lines: Sequence[Mapping[str, Any]], *, whole: bool = False) -> list[float]:
    """Seconds of a step between logged ones; a line whose clock starts anew begins another attempt.

    Args:
        lines: Of the metrics.
        whole: Seconds from one logged step to the next instead, those before each attempt's first included.
    """
    found, before = [], [{"step": 0, "seconds": 0.0}, *lines]
    for earlier, later in pairwise(before if whole else lines):
        steps = later.get("step", 0) - earlier.get("step", 0)
        passed = later.get("seconds", 0.0) - earlier.get("seconds", 0.0)
        if whole:
            found.append(passed if passed >= 0 else later.get("seconds", 0.0))
        elif steps > 0 and passed > 0:
            found.append(passed / steps)
    return found if whole else found[1:] or found


def _sft_tokens(lines: Sequence[Mapping[str, Any]]) -> list[float]:
    """Tokens of a step, from one logged step to the next; those of each attempt count anew."""
    done, seen = 0, 0.0
    for earlier, later in pairwise([{"step": 0}, *lines]):
        name = "processed_tokens" if "processed_tokens" in later else "tokens"
        steps = later.get("step", 0) - earlier.get("step", 0)
        passed = later.get(name, 0) - earlier.get(name, 0)
        if steps > 0 and passed > 0:
            done, seen = done + steps, seen + passed
    return [seen / done] if done else []


def _gpu_peak(lines: Sequence[Mapping[str, Any]]) -> float:
    """The most that torch had reserved of a GPU: what did not fit would have failed."""
    peaks = [
        float(value) * GIB
        for line in lines
        for name, value in line.items()
        if name.endswith(("max_memory_reserved_gb", "memory_reserved_gib"))
    ]
    return max(peaks, default=0.0)


def _numbers(lines: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [float(line[name]) for line in lines if name in line]
