"""A plan as tables and as a few lines (pure)."""

from __future__ import annotations

from ...cluster.plan import GIB, StagePlan
from ...pages.table import Table

#: A plan that is beyond a device's memory by more than this share is refused: the largest error of the plan's
#: memory that docs/plan.md aims at.
CERTAIN = 0.15
_OTHERWISE = "a smaller model, or more or larger machines (cluster=PROFILE)"


def brief(plan: StagePlan) -> list[str]:
    """The plan in a few lines, for dry runs."""
    lines = [f"memory: {_fullest(plan)}"]
    if plan.seconds:
        total = "" if plan.run_seconds is None else f", {duration(plan.run_seconds)} in all"
        lines.append(f"time: about {duration(plan.step_seconds)} a step{total}")
    largest = (
        "" if plan.largest is None else f"; the largest pass that fits is {plan.largest[0]}={plan.largest[1]}"
    )
    lines.append(f"step: {plan.tokens:,.0f} tokens{largest}")
    lines.append(
        f"room: {plan.disk / GIB:,.1f} GiB of disk, {plan.host / GIB:,.1f} GiB of host memory a machine"
        + (f", {plan.network / 1e9:,.1f} GB sent by a GPU in a step" if plan.network else "")
    )
    return [*lines, *(f"assumed: {note}" for note in plan.notes), *warnings(plan)]


def warnings(plan: StagePlan) -> list[str]:
    """What does not fit and what to change; empty if it fits."""
    return [f"does not fit: {text}" for text in complaints(plan)]


def complaints(plan: StagePlan) -> list[str]:
    """Why a plan does not fit, each a sentence with the way out; empty if it does."""
    if plan.fits:
        return []
    found = list(plan.problems)
    if plan.capacity and plan.peak > plan.usable:
        found.append(
            f"{plan.peak / GIB:.1f} GiB {_of(plan)} are planned, {plan.usable / GIB:.1f} GiB can be used"
            + _ways(plan)
        )
    return found


def certain(plan: StagePlan) -> bool:
    """Whether a plan does not fit even if it is off by as much as plans may be."""
    return bool(plan.problems) or bool(plan.capacity and plan.peak > plan.capacity * (1 + CERTAIN))


def table(plan: StagePlan) -> Table:
    """Memory by part and moment."""
    parts = list(dict.fromkeys(part for moment in plan.memory.values() for part in moment))
    rows = [
        (part, *(f"{moment[part] / GIB:.1f}" if part in moment else "" for moment in plan.memory.values()))
        for part in parts
    ]
    rows.append(("all", *(f"{sum(moment.values()) / GIB:.1f}" for moment in plan.memory.values())))
    return Table("", ("GiB", *plan.memory), tuple(rows), texts=1, total=True)


def times(plan: StagePlan) -> Table | None:
    """Seconds of a step by part; None where the machines' speed is not known."""
    if not plan.seconds:
        return None
    shown = [(part, f"{value:,.3g}") for part, value in plan.seconds.items() if value]
    return Table(
        "",
        ("of a step", "seconds"),
        (*shown, ("all", f"{plan.step_seconds:,.3g}")),
        texts=1,
        total=True,
    )


def heading(plan: StagePlan) -> str:
    """What the tables are about."""
    machines = "" if plan.device == "cpu" else f" ({plan.devices} of them)"
    return f"{plan.stage}: memory {_of(plan)}{machines}, and time"


def duration(seconds: float) -> str:
    """Seconds, minutes, hours or days, whichever reads best."""
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {name}"
    return f"{seconds:,.1f} seconds"


def _of(plan: StagePlan) -> str:
    return "of all processes" if plan.device == "cpu" else f"of a GPU of {plan.device}"


def _fullest(plan: StagePlan) -> str:
    moment, parts = max(plan.memory.items(), key=lambda one: sum(one[1].values()))
    named = ", ".join(f"{part} {value / GIB:.1f}" for part, value in parts.items() if value >= 0.05 * GIB)
    most = f" of {plan.capacity / GIB:.1f}" if plan.capacity else ""
    return f"{plan.peak / GIB:.1f}{most} GiB {_of(plan)} in {moment} ({named})"


def _ways(plan: StagePlan) -> str:
    if not plan.advice:
        return f". No setting makes it fit: it needs {_OTHERWISE}"
    fitting = [one for one in plan.advice if one.bytes <= plan.usable]
    ways = " or ".join(f"{one.setting} ({one.bytes / GIB:.1f} GiB)" for one in (fitting or plan.advice))
    if fitting:
        return f". It fits with {ways}"
    return f". No single setting is enough (nearest: {ways}); otherwise it needs {_OTHERWISE}"
