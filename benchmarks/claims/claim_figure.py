"""A picture of recorded accuracies with their 95 % intervals, as an SVG that stands by itself.

python benchmarks/claims/claim_figure.py benchmarks/claims/recorded/NAME.json docs/images/NAME.svg
python benchmarks/claims/claim_figure.py RUN_DIR docs/images/NAME.svg     # by stage and category, of any run

The first draws a claim's table, the second what a run's evaluation of its base, SFT and RL model found.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from funreason_train.pages.statistics import wilson

_LEFT, _PLOT, _ROW, _TOP = 250, 430, 22, 34
_COLOURS = ("#4c6ef5", "#e8590c", "#2b8a3e", "#862e9c")


class Line(NamedTuple):
    """One accuracy: its group of rows, its name, its count and all tasks."""

    group: str
    name: str
    right: int
    tasks: int


def of_claim(record: dict) -> tuple[str, list[Line]]:
    """A claim's title and rows, from its record."""
    rows = [Line(row["tasks"], row["arm"], row["right"], row["n"]) for row in record["rows"]]
    title = f"{record['question']} ({record['scale']} scale, {len(record['seeds'])} seeds)"
    return title, rows


def of_run(run: Path) -> tuple[str, list[Line]]:
    """A run's accuracies by category and stage, from the scores of its evaluation."""
    models = [name for name in ("base", "sft", "rl") if (run / "eval" / name / "scores.json").is_file()]
    found = {
        name: json.loads((run / "eval" / name / "scores.json").read_text(encoding="utf-8"))["categories"]
        for name in models
    }
    categories = sorted({category for scores in found.values() for category in scores})
    lines = [
        Line(category, name, found[name][category]["right"], found[name][category]["tasks"])
        for category in categories
        for name in models
        if category in found[name]
    ]
    return "Held-out tasks done right, by category and stage", lines


def draw(title: str, lines: Sequence[Line]) -> str:
    """The picture: a dot and its interval a line, groups apart; no text becomes markup."""
    names = list(dict.fromkeys(line.name for line in lines))
    groups = list(dict.fromkeys(line.group for line in lines))
    height = _TOP + _ROW * (len(lines) + len(groups)) + 40
    parts = [f'<text x="8" y="18" font-weight="bold">{escape(title)}</text>']
    bottom = height - 34
    for percent in range(0, 101, 20):
        x = _LEFT + _PLOT * percent / 100
        parts.append(f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle" fill="#666">{percent} %</text>')
    y = _TOP
    for group in groups:
        y += _ROW
        parts.append(f'<text x="8" y="{y - 5}" fill="#666">{escape(group)}</text>')
        for line in (line for line in lines if line.group == group):
            y += _ROW
            parts += _whisker(line, y - 9, _COLOURS[names.index(line.name) % len(_COLOURS)])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _PLOT + 70} {height}" '
        'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _whisker(line: Line, y: float, colour: str) -> list[str]:
    share = line.right / line.tasks
    low, high = (_LEFT + _PLOT * bound for bound in wilson(line.right, line.tasks))
    return [
        f'<text x="24" y="{y + 4}">{escape(line.name)}</text>',
        f'<line x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}" stroke="{colour}" stroke-width="2"/>',
        f'<circle cx="{_LEFT + _PLOT * share:.1f}" cy="{y}" r="4" fill="{colour}"/>',
        f'<text x="{_LEFT + _PLOT + 8}" y="{y + 4}">{100 * share:.1f} %</text>',
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="a claim's record, or a run directory")
    parser.add_argument("picture", type=Path, help="the SVG to write")
    arguments = parser.parse_args()
    source: Path = arguments.source
    if source.is_dir():
        title, lines = of_run(source)
    else:
        title, lines = of_claim(json.loads(source.read_text(encoding="utf-8")))
    if not lines:
        raise SystemExit(f"Error: {source} holds no accuracies yet.")
    arguments.picture.write_text(draw(title, lines), encoding="utf-8")
    print(arguments.picture)


if __name__ == "__main__":
    main()
