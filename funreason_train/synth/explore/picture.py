"""The graph as one picture: tools in columns by how many others they need first, edges by their kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...pages.page import visible
from .directions import Directions
from .graph import Graph

if TYPE_CHECKING:
    from markupsafe import Markup

_COLUMN, _ROW, _WIDTH, _HEIGHT, _MARGIN = 230, 34, 180, 24, 16
_COLOURS = {"declared": "#b5482f", "state": "#8a6d1c", "value": "#2f6db5"}


def columns_of(graph: Graph) -> dict[str, int]:
    """Tool -> how many tools have to be called before it, at least."""
    directions = Directions(graph)
    depth: dict[str, int] = {}
    left = list(directions.names)
    number = 0
    while left:
        ready = [n for n in left if all(any(one in depth for one in c) for c in directions.clauses[n])]
        for name in ready or left:  # what can never be called stands in the last column
            depth[name] = number
        left = [name for name in left if name not in depth]
        number += 1
    return depth


def draw(graph: Graph) -> Markup:
    """The picture as inline SVG; names are escaped. An edge tells its kind when the pointer rests on it."""
    from markupsafe import Markup

    depth = columns_of(graph)
    rows: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for name, column in depth.items():
        row = rows.get(column, 0)
        rows[column] = row + 1
        places[name] = (_MARGIN + column * _COLUMN, _MARGIN + row * _ROW)
    width = _MARGIN * 2 + max(rows, default=0) * _COLUMN + _WIDTH
    height = _MARGIN * 2 + max(rows.values(), default=1) * _ROW
    head = Markup('<svg viewBox="0 0 {} {}" role="img" style="min-width:{}px"><title>{}</title>')
    parts = [head.format(width, height, min(width, 900), f"Tools of {visible(graph.environment)}")]
    for (one, two), kind in sorted(graph.edges().items()):
        if one not in places or two not in places:  # a tool that is left out
            continue
        x1, y1, x2, y2 = *places[one], *places[two]
        x1, y1, y2 = x1 + _WIDTH, y1 + _HEIGHT // 2, y2 + _HEIGHT // 2
        bend = max(40, abs(x2 - x1) // 2)
        path = Markup(
            '<path d="M{} {}C{} {} {} {} {} {}" fill="none" stroke="{}" stroke-opacity=".55">'
            "<title>{}</title></path>"
        )
        shape = (x1, y1, x1 + bend, y1, x2 - bend, y2, x2, y2)
        parts.append(path.format(*shape, _COLOURS[kind], visible(f"{one} → {two}: {kind}")))
    for name, (x, y) in places.items():
        box = Markup(
            '<g><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="5" fill="#8883" '
            'stroke="#8888"/><text x="{}" y="{}" font-size="11" fill="currentColor">{}</text></g>'
        )
        record = graph.tools[name]
        told = f"{name}: {record.ok} calls succeeded, {record.failed} failed"
        short = name if len(name) <= 28 else name[:27] + "…"
        place = (x, y, _WIDTH, _HEIGHT, x + 7, y + 16)
        parts.append(box.format(visible(told), *place, visible(short)))
    return Markup("").join([*parts, Markup("</svg>")])
