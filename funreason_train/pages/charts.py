"""Bar charts as inline SVG."""

from __future__ import annotations

from html import escape

from .histogram import Histogram

_WIDTH, _HEIGHT = 520, 210
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 12, 8, 40
_LABELS = 9  # at most, along the bottom


def bars(of: Histogram) -> str:
    """A histogram as an SVG, sources stacked; a bar tells its counts when the pointer rests on it.

    The colours are the classes `s0`, `s1`, … of the page, in the order of the sources.
    """
    totals = of.totals
    step = _round_up(max(totals) / 4)
    top = step * max(1, -(-max(totals) // step))
    plot = _HEIGHT - _TOP - _BOTTOM
    slot = (_WIDTH - _LEFT - _RIGHT) / len(totals)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(of.title)}">',
    ]
    for line in range(0, top + 1, step):
        y = _TOP + plot * (1 - line / top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{line:,}</text>'
        )
    every = -(-len(totals) // _LABELS)
    for number, label in enumerate(of.labels):
        x, y = _LEFT + slot * number, float(_TOP + plot)
        parts.append(f"<g><title>{escape(_tip(of, number))}</title>")
        for place, counts in enumerate(of.counts.values()):
            height = plot * counts[number] / top
            y -= height
            if height:
                parts.append(
                    f'<rect class="s{place % 6}" x="{x + slot * 0.08:.1f}" y="{y:.1f}"'
                    f' width="{slot * 0.84:.1f}" height="{max(height, 0.6):.1f}"/>'
                )
        parts.append(f'<rect class="hit" x="{x:.1f}" y="{_TOP}" width="{slot:.1f}" height="{plot}"/></g>')
        if number % every == 0:
            short = label.partition("–")[0].removesuffix(" and more")
            anchor = x + slot / 2 if "–" not in label and len(of.labels) <= 13 else x
            parts.append(
                f'<text class="tick" x="{anchor:.1f}" y="{_TOP + plot + 16}" text-anchor="middle">'
                f"{escape(short)}</text>"
            )
    middle = _LEFT + (_WIDTH - _LEFT - _RIGHT) / 2
    parts.append(
        f'<text class="tick" x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(of.unit)}</text>'
        "</svg>"
    )
    return "".join(parts)


def _tip(of: Histogram, number: int) -> str:
    lines = [f"{of.labels[number]} {of.unit}"]
    lines += [f"{source}: {counts[number]:,}" for source, counts in of.counts.items() if counts[number]]
    return "\n".join(lines)


def _round_up(value: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50, …"""
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= value:
                return step * power
        power *= 10
