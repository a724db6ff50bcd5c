"""Charts as inline SVG, in the colours of the page's stylesheet; no text in them becomes markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .histogram import Histogram
from .page import visible

if TYPE_CHECKING:
    from markupsafe import Markup

_WIDTH, _HEIGHT = 520, 210
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 12, 8, 40
_LABELS = 9  # at most, along the bottom
_COLOURS = 6


@dataclass(frozen=True)
class Share:
    """One line of a chart of shares: a name, a share in 0..1 and its interval."""

    name: str
    value: float
    low: float
    high: float


def bars(of: Histogram) -> Markup:
    """A histogram, sources stacked; a bar tells its counts when the pointer rests on it.

    The colours are the classes `s0`, `s1`, … of the page, in the order of the sources.
    """
    totals = of.totals
    step = _round_up(max(totals) / 4)
    top = step * max(1, -(-max(totals) // step))
    plot = _HEIGHT - _TOP - _BOTTOM
    slot = (_WIDTH - _LEFT - _RIGHT) / len(totals)
    parts = [_rule(_TOP + plot * (1 - line / top), f"{line:,}") for line in range(0, top + 1, step)]
    every = -(-len(totals) // _LABELS)
    for number, label in enumerate(of.labels):
        x, y = _LEFT + slot * number, float(_TOP + plot)
        parts.append(_of("<g><title>{}</title>", _tip(of, number)))
        for place, counts in enumerate(of.counts.values()):
            height = plot * counts[number] / top
            y -= height
            if height:
                parts.append(
                    f'<rect class="s{place % _COLOURS}" x="{x + slot * 0.08:.1f}" y="{y:.1f}"'
                    f' width="{slot * 0.84:.1f}" height="{max(height, 0.6):.1f}"/>'
                )
        parts.append(f'<rect class="hit" x="{x:.1f}" y="{_TOP}" width="{slot:.1f}" height="{plot}"/></g>')
        if number % every == 0:
            short = label.partition("–")[0].removesuffix(" and more")
            anchor = x + slot / 2 if "–" not in label and len(of.labels) <= 13 else x
            parts.append(_tick(anchor, _TOP + plot + 16, short))
    parts.append(_tick(_LEFT + (_WIDTH - _LEFT - _RIGHT) / 2, _HEIGHT - 6, of.unit))
    return _svg(of.title, _HEIGHT, parts)


def _svg(title: str, height: int, parts: Sequence[str]) -> Markup:
    from markupsafe import Markup

    head = _of('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">', _WIDTH, height, title)
    return Markup(head + "".join(parts) + "</svg>")


def _of(markup: str, *values: object) -> str:
    """Markup with values in it, escaped."""
    from markupsafe import Markup

    return str(Markup(markup).format(*(visible(one) if isinstance(one, str) else one for one in values)))


def _rule(y: float, text: str) -> str:
    """A line across, and what it stands for."""
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{text}</text>'
    )


def _tick(x: float, y: float, text: str) -> str:
    return _of(
        '<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>', f"{x:.1f}", f"{y:.1f}", text
    )


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
