"""The page of a run: `report.html`, one file without any address in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..pages import charts
from ..pages.page import render_page
from ..pages.table import Table
from ..run.files import read_lines, write_text
from ..run.paths import RunDir

#: Title -> metrics file of the run, and the values shown of it with their names.
_CURVES = {
    "SFT loss": ("sft", {"loss": "loss"}),
    "RL": (
        "rl",
        {
            "health/score": "mean reward",
            "health/groups_without_signal": "identical rewards",
        },
    ),
}


def write_report(
    run: RunDir,
    table: Table | None,
    summary: Mapping[str, Any],
    stages: Mapping[str, Mapping[str, Any]],
    shares: Sequence[charts.Share] = (),
) -> None:
    """Writes the page from what the stages left in the run directory.

    Args:
        run: The run directory.
        table: The scores, if there are any.
        summary: As in `summary.json`.
        stages: Each stage's record of the manifest.
        shares: How often each model is right.
    """
    page = render_page(
        "report.html",
        title=run.root.name,
        scores=table,
        shares=charts.intervals("Tasks done right", shares) if shares else None,
        curves=[one for title, (stage, keys) in _CURVES.items() if (one := _curve(run, title, stage, keys))],
        stages=_stages(stages, summary),
    )
    write_text(run.report, page)


def _stages(stages: Mapping[str, Mapping[str, Any]], summary: Mapping[str, Any]) -> Table:
    rows = [
        (
            name,
            str(record.get("state", "not run")),
            f"{record.get('seconds', 0):.0f} s",
            f"{record.get('peak_bytes', 0) / 2**30:.1f} GiB",
        )
        for name, record in stages.items()
    ]
    rows.append(("all", "", f"{summary['seconds']['total']:.0f} s", ""))
    return Table("Stages", ("stage", "state", "time", "peak memory"), tuple(rows), texts=2, total=True)


def _curve(run: RunDir, title: str, stage: str, keys: Mapping[str, str]) -> dict[str, Any] | None:
    """The named values of a stage's metrics over its steps; None if there are none."""
    path = run.root / stage / "metrics.jsonl"
    if not path.is_file():
        return None
    rows = list(_rows(path))
    series = {
        name: [(float(row["step"]), float(row[key])) for row in rows if _is_number(row.get(key))]
        for key, name in keys.items()
    }
    series = {name: points for name, points in series.items() if points}
    if not series:
        return None
    last = ", ".join(f"{name} {points[-1][1]:.3g}" for name, points in series.items())
    steps = max(int(points[-1][0]) for points in series.values())
    return {"title": title, "summary": f"at step {steps}: {last}", "drawn": charts.curves(title, series)}


def _rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file that tell a step."""
    return [row for row in read_lines(path) if isinstance(row, dict) and _is_number(row.get("step"))]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
