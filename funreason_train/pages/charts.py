"""Charts as inline SVG, in the colours of the page's stylesheet; no text in them becomes markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
_ROW = 26  # height of one share


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


def curves(title: str, of: Mapping[str, Sequence[tuple[float, float]]]) -> Markup:
    """Values over steps, one line a name.

    Args:
        title: What is shown.
        of: Name to its (step, value), in order; at least one point in all, only finite numbers.
    """
    points = [point for some in of.values() for point in some]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high, step = _scale(min(y for _, y in points), max(y for _, y in points))
    plot, wide = _HEIGHT - _TOP - _BOTTOM, _WIDTH - _LEFT - _RIGHT

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - left) / (right - left) if right > left else 0.5
        return _LEFT + wide * across, _TOP + plot * (1 - (y - low) / (high - low))

    lines = round((high - low) / step)
    parts = [_rule(at(left, low + n * step)[1], f"{low + n * step:.4g}") for n in range(lines + 1)]
    for number, (name, some) in enumerate(of.items()):
        drawn = [at(x, y) for x, y in some]
        parts.append(_of("<g><title>{}</title>", name))
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
        parts.append(f'<polyline class="line l{number % _COLOURS}" points="{path}"/>')
        if len(drawn) < 30:
            parts += [
                f'<circle class="s{number % _COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>' for x, y in drawn
            ]
        parts.append("</g>")
        x = _LEFT + 10 + number * 170
        parts.append(f'<rect class="s{number % _COLOURS}" x="{x}" y="{_TOP}" width="9" height="9"/>')
        parts.append(_of('<text class="label" x="{}" y="{}">{}</text>', x + 14, _TOP + 9, name))
    for step_at in dict.fromkeys((left, right)):
        parts.append(_tick(at(step_at, low)[0] - 8 * (step_at > left), _TOP + plot + 16, f"{step_at:,.10g}"))
    parts.append(_tick(_LEFT + wide / 2, _HEIGHT - 6, "step"))
    return _svg(title, _HEIGHT, parts)


def intervals(title: str, shares: Sequence[Share]) -> Markup:
    """Shares with their intervals, one line each, on a scale from 0 to 100 per cent."""
    label = 8 + 7 * min(28, max((len(one.name) for one in shares), default=0))
    height = _TOP + _ROW * len(shares) + 24

    def at(value: float) -> float:
        return label + (_WIDTH - label - 70) * min(1.0, max(0.0, value))

    parts: list[str] = []
    for line in (0, 0.25, 0.5, 0.75, 1):
        parts.append(
            f'<line class="grid" x1="{at(line):.1f}" x2="{at(line):.1f}" y1="{_TOP}" y2="{height - 24}"/>'
        )
        parts.append(_tick(at(line), height - 8, f"{100 * line:.0f} %"))
    for number, one in enumerate(shares):
        y, colour = _TOP + _ROW * (number + 0.5), number % _COLOURS
        figure = f"{100 * one.value:.1f} %"
        tip = f"{one.name}: {figure} ({100 * one.low:.1f} to {100 * one.high:.1f})"
        parts.append(_of("<g><title>{}</title>", tip))
        name = one.name if len(one.name) <= 28 else one.name[:27] + "…"
        parts.append(_of('<text class="label" x="0" y="{}">{}</text>', f"{y + 4:.1f}", name))
        parts.append(
            f'<line class="line l{colour}" x1="{at(one.low):.1f}" x2="{at(one.high):.1f}"'
            f' y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<circle class="s{colour}" cx="{at(one.value):.1f}" cy="{y:.1f}" r="4.5"/>'
            f'<text class="label" x="{_WIDTH}" y="{y + 4:.1f}" text-anchor="end">{figure}</text></g>'
        )
    return _svg(title, height, parts)


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


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Round numbers below and above two values, and the distance of lines between them."""
    spread = high - low or abs(high) or 1.0
    power = 1.0
    while power > spread:
        power /= 10
    while power * 10 <= spread:
        power *= 10
    step = next(power * part for part in (0.2, 0.25, 0.5, 1, 2, 2.5, 5, 10) if power * part * 5 >= spread)
    first, last = low // step, -(-high // step)
    return first * step, max(last, first + 1) * step, step
