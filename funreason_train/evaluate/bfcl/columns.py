"""The columns of the paper's tables: which BFCL categories each one is made of, and with which weights.

Every column is a weighted mean of category accuracies, so its value, its interval and the interval of a
paired difference all follow from the same weights. Source: bfcl-eval's `eval_checker/eval_runner_helper.py`;
the "v4 overall" is the paper's, the mean of web search and memory, not the leaderboard's total.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...pages.statistics import Difference, correlation_of, weighted_sum
from .categories import MEMORY, MULTI_TURN, WEB_SEARCH

_SIMPLE = ("simple_python", "simple_java", "simple_javascript")

LIVE_ENTRIES = {
    "live_simple": 258,
    "live_multiple": 1053,
    "live_parallel": 16,
    "live_parallel_multiple": 24,
}
"""How many entries the live categories have, which weight their column."""

# Categories whose entries of the same number tell the same story in another form, so that their verdicts go
# together: an interval that took them for independent would be too narrow.
_FAMILIES = (MULTI_TURN, WEB_SEARCH, MEMORY)


@dataclass(frozen=True)
class Column:
    """One column of the paper's tables.

    Attributes:
        key: As in `scores.json`, such as `multi_turn.overall`.
        group: The table it stands in.
        title: Its heading there.
        weights: Category to its weight; they add up to 1.
    """

    key: str
    group: str
    title: str
    weights: Mapping[str, float]


def _mean(*parts: Mapping[str, float]) -> dict[str, float]:
    """The plain mean of weighted means, as weights over their categories."""
    found: dict[str, float] = {}
    for part in parts:
        for name, weight in part.items():
            found[name] = found.get(name, 0.0) + weight / len(parts)
    return found


def _columns() -> tuple[Column, ...]:
    def one(name: str) -> dict[str, float]:
        return {name: 1.0}

    def equal(names: Sequence[str]) -> dict[str, float]:
        return _mean(*map(one, names))

    non_live = _mean(equal(_SIMPLE), *map(one, ("multiple", "parallel", "parallel_multiple")))
    live = {name: count / sum(LIVE_ENTRIES.values()) for name, count in LIVE_ENTRIES.items()}
    web, memory = equal(WEB_SEARCH), equal(MEMORY)
    turns, single, agentic = "Multi-turn", "Single-turn", "BFCL v4 agentic"
    return (
        Column("multi_turn.overall", turns, "Overall", equal(MULTI_TURN)),
        Column("multi_turn.base", turns, "Base", one("multi_turn_base")),
        Column("multi_turn.miss_func", turns, "Miss func", one("multi_turn_miss_func")),
        Column("multi_turn.miss_param", turns, "Miss param", one("multi_turn_miss_param")),
        Column("multi_turn.long_context", turns, "Long context", one("multi_turn_long_context")),
        Column("single_turn.overall", single, "Overall", _mean(non_live, live)),
        Column("single_turn.non_live", single, "Non-live", non_live),
        Column("single_turn.live", single, "Live", live),
        Column("v4.overall", agentic, "Overall", _mean(web, memory)),
        Column("v4.web_search", agentic, "Web search", web),
        Column("v4.web_search.base", agentic, "Base", one("web_search_base")),
        Column("v4.web_search.no_snippet", agentic, "No snippet", one("web_search_no_snippet")),
        Column("v4.memory", agentic, "Memory", memory),
        Column("v4.memory.kv", agentic, "KV", one("memory_kv")),
        Column("v4.memory.vector", agentic, "Vector", one("memory_vector")),
        Column("v4.memory.rec_sum", agentic, "Rec-sum", one("memory_rec_sum")),
    )


COLUMNS = _columns()
"""All columns, in the paper's order."""

Values = Mapping[str, Mapping[str, float]]
"""Category to entry id to its value: 1 right, 0 wrong, between them the share of right attempts."""


def missing(column: Column, categories: Mapping[str, object]) -> list[str]:
    """The categories that the column needs and that are not among `categories`."""
    return [name for name in column.weights if name not in categories]


def column_value(column: Column, values: Values, estimate: Callable[[str], Difference]) -> Difference:
    """The column with its 95 % interval.

    Args:
        column: One whose categories are all there.
        values: What each entry counts; in a paired comparison the difference of two models, in -1..1. They
            say how much the categories of one family (the same scenarios in several forms) go together.
        estimate: The figure of one category with its interval.

    Raises:
        KeyError: if a category is missing.
    """
    names = list(column.weights)

    def correlation(i: int, j: int) -> float:
        return entry_correlation(names[i], names[j], values)

    return weighted_sum([*column.weights.values()], [estimate(name) for name in names], correlation)


def entry_correlation(first: str, second: str, values: Values) -> float:
    """How much the entries of two categories go together; 0 unless they are of one family.

    It is that of the category means: Pearson's over the shared entries, less if not all are shared.
    """
    if not any(first in family and second in family for family in _FAMILIES):
        return 0.0
    a = {_number(name, first): value for name, value in values[first].items()}
    b = {_number(name, second): value for name, value in values[second].items()}
    shared = sorted(a.keys() & b.keys())
    if len(shared) < 2:
        return 0.0
    found = correlation_of([a[name] for name in shared], [b[name] for name in shared])
    return found * len(shared) / (len(a) * len(b)) ** 0.5


def _number(entry: str, category: str) -> str:
    """What entries of one family share: `multi_turn_base_7` and `multi_turn_miss_func_7` are number 7."""
    return entry.removeprefix(f"{category}_")
