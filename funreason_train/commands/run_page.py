"""The page of a run: `report.html`, one file without any address in it."""

from __future__ import annotations

import html
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..pages.table import Comparison
from ..run.files import write_text
from ..run.paths import RunDir

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .3rem .9rem; border-bottom: 1px solid #d8dee6; text-align: right }
td:first-child, th:first-child { text-align: left }
tr.total td { font-weight: 600; border-top: 2px solid #1c2430 }
figure { margin: 1.5rem 0 } svg { max-width: 100%; height: auto }
code { background: #f2f4f7; padding: .1rem .3rem }
"""


def write_report(
    run: RunDir,
    table: Comparison | None,
    summary: Mapping[str, Any],
    stages: Mapping[str, Mapping[str, Any]],
) -> None:
    """Writes the page from what the stages left in the run directory."""
    parts = [f"<h1>Run {html.escape(run.root.name)}</h1>"]
    if table is not None:
        parts.append(_scores(table))
    curves = [
        _curve(run.sft / "metrics.jsonl", {"loss": "SFT loss"}),
        _curve(
            run.rl / "metrics.jsonl",
            {"health/score": "mean reward", "health/groups_without_signal": "groups without signal"},
        ),
    ]
    parts += ["<h2>Training</h2>", *(curve for curve in curves if curve)]
    parts += ["<h2>Stages</h2>", _stages(stages, summary)]
    parts.append(
        "<p>Rows, prompts and verdicts: <code>data/ledger.json</code>, <code>rl/rollouts/</code>, "
        "<code>eval/NAME/episodes.jsonl</code>; what went wrong, side by side: "
        "<code>eval/failures.html</code>; inputs and settings of each stage: "
        "<code>manifest.json</code>.</p>"
    )
    body = "\n".join(parts)
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(run.root.name)}</title>'
    write_text(run.report, f"{page}<style>{_STYLE}</style><body>{body}</body></html>\n")


def _scores(table: Comparison) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
    rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in table.rows]
    body = "".join(f"<tr>{row}</tr>" for row in rows[:-1]) + f"<tr class='total'>{rows[-1]}</tr>"
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in table.notes)
    return f"<h2>{html.escape(table.title)}</h2><table><tr>{head}</tr>{body}</table><ul>{notes}</ul>"


def _stages(stages: Mapping[str, Mapping[str, Any]], summary: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(record.get('state', 'not run')))}</td>"
        f"<td>{record.get('seconds', 0):.0f} s</td>"
        f"<td>{record.get('peak_bytes', 0) / 2**30:.1f} GiB</td></tr>"
        for name, record in stages.items()
    )
    total = summary["seconds"]["total"]
    head = "<tr><th>stage</th><th>state</th><th>time</th><th>peak memory</th></tr>"
    foot = f"<tr class='total'><td>all</td><td></td><td>{total:.0f} s</td><td></td></tr>"
    return f"<table>{head}{rows}{foot}</table>"


def _curve(path: Path, keys: Mapping[str, str]) -> str:
    """The named values of a metrics file over its steps as an inline SVG; nothing if there are none."""
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    series = {
        label: [(row["step"], row[key]) for row in rows if key in row and "step" in row]
        for key, label in keys.items()
    }
    series = {label: points for label, points in series.items() if points}
    if not series:
        return ""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.add_subplot()
    for label, points in series.items():
        marker = "o" if len(points) < 30 else None
        axes.plot(*zip(*points, strict=True), label=label, marker=marker, markersize=3)
    axes.set_xlabel("step")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    svg = buffer.getvalue()
    return f"<figure>{svg[svg.index('<svg') :]}</figure>"
