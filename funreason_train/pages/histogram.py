"""Counts in bins that a reader can name."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_BINS = 20  # at most, the open one at the end not counted
_SINGLE = 12  # values up to here get a bar each


@dataclass(frozen=True)
class Histogram:
    """Values of several sources in common bins.

    Attributes:
        title: What is counted.
        unit: Of the values.
        labels: One a bin.
        counts: Source -> one count a bin.
        summary: Mean, median, 95th percentile and maximum in words.
    """

    title: str
    unit: str
    labels: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    summary: str

    @property
    def totals(self) -> tuple[int, ...]:
        """One count a bin over all sources."""
        return tuple(map(sum, zip(*self.counts.values(), strict=True)))


def histogram(title: str, unit: str, values: Mapping[str, Sequence[int]]) -> Histogram | None:
    """Sorts values into bins: one a value where they are small, else of one width up to the 99th percentile.

    Args:
        title: What is counted.
        unit: Of the values.
        values: Source -> values, none below 0.

    Returns:
        The histogram; None if there is no value.
    """
    ordered = sorted(value for some in values.values() for value in some)
    if not ordered:
        return None
    edges, labels = _bins(ordered)
    counts = {}
    for source, some in values.items():
        found = [0] * len(labels)
        for value in some:
            found[bisect_right(edges, value) - 1] += 1
        counts[source] = tuple(found)
    mean = sum(ordered) / len(ordered)
    rank = [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95)]
    summary = f"mean {mean:,.1f} · median {rank[0]:,} · 95 % up to {rank[1]:,} · longest {ordered[-1]:,}"
    if ordered[-1] <= _SINGLE:
        summary = summary.replace("longest", "most")
    return Histogram(title, unit, tuple(labels), counts, summary)


def _bins(ordered: Sequence[int]) -> tuple[list[int], list[str]]:
    """Lower edges and labels of bins for sorted values."""
    if ordered[-1] <= _SINGLE:
        edges = list(range(min(ordered[0], 1), ordered[-1] + 1))
        return edges, [str(edge) for edge in edges]
    most = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    width = next(
        step * 10**power for power in range(19) for step in (1, 2, 5) if step * 10**power * _BINS >= most + 1
    )
    edges = list(range(ordered[0] // width * width, most + 1, width))
    labels = [f"{edge:,}–{edge + width - 1:,}" if width > 1 else f"{edge:,}" for edge in edges]
    if ordered[-1] >= edges[-1] + width:
        edges.append(edges[-1] + width)
        labels.append(f"{edges[-1]:,} and more")
    return edges, labels
