"""The paper's tables for one or several models, with differences and beside the published rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

from ...pages.table import Table
from ..attempts import Attempts
from .columns import COLUMNS

_NOT_RUN = "not run"
_REASONS = 12  # as many reasons are listed by name


@dataclass(frozen=True)
class Published:
    """A row of `published.yaml`.

    Attributes:
        name: Of the model.
        bfcl: The bfcl-eval version with the same data; `v3` or `v4` where that is not known.
        source: Where it was published.
        values: Column to per cent.
    """

    name: str
    bfcl: str
    source: str
    values: Mapping[str, float]


@lru_cache
def published() -> list[Published]:
    """The rows that others published, in order.

    Raises:
        ValueError: if the file names a column that does not exist.
    """
    import yaml

    rows = yaml.safe_load(files(__package__).joinpath("published.yaml").read_text(encoding="utf-8"))
    known = {column.key for column in COLUMNS}
    for row in rows:
        if strangers := set(row["values"]) - known:
            raise ValueError(f"published.yaml: {row['name']} has the unknown columns {strangers}")
    return [Published(**row) for row in rows]


def build(
    scores: Mapping[str, Mapping[str, Any]],
    differences: Sequence[Mapping[str, Any]],
    attempts: Attempts,
    version: str,
    notes: Sequence[str],
) -> str:
    """The whole document as Markdown.

    Args:
        scores: Model name to its scores, in the order of the rows.
        differences: `{"later", "earlier", "columns", "categories"}` each; see `scores.difference`.
        attempts: Which attempts the scores stand for.
        version: Of bfcl-eval, the same for all models.
        notes: What else a reader has to know.
    """
    several = len(attempts.all) > 1
    grids = [_group(group, scores, differences, version) for group in dict.fromkeys(c.group for c in COLUMNS)]
    grids += [_extra(f"pass@{k}", scores, _pass_at(k)) for k in attempts.pass_k]
    if len(attempts.seeds) > 1:
        grids.append(_extra(f"Mean over seeds {', '.join(map(str, attempts.seeds))}", scores, _seeds))
    grids.append(_categories(scores, differences))
    if any(found["wrong_because"] for found in scores.values()):
        grids.append(_reasons(scores))
    title = f"## BFCL, bfcl-eval {version}\n"
    about = [
        "Per cent right, with 95 % intervals"
        + (f", mean of {len(attempts.all)} attempts an entry." if several else ".")
        + " A single category has Wilson's interval. A column of several is a weighted mean; its interval "
        "adds up those of its categories as standard errors add up (MOVER), with the correlation between "
        "categories that tell the same stories in several forms (multi-turn, web search, memory).",
        "Differences are paired: both models answered the same entries.",
        f"'{_NOT_RUN}' stands where not all categories of a column were run; it counts for nothing.",
        "Published rows are others' figures, from other snapshots and prompts unless their BFCL version is "
        "named and the same; nothing is subtracted from them. Sources: "
        + "; ".join(f"[{number}] {source}" for number, source in enumerate(_sources(), 1))
        + ".",
        *notes,
    ]
    return "\n".join([title, *(grid.markdown() for grid in grids), *(f"- {note}" for note in about)]) + "\n"


def screen(
    scores: Mapping[str, Mapping[str, Any]], differences: Sequence[Mapping[str, Any]], version: str
) -> Table:
    """What a terminal shows: a row for each column or category that was run, and one line about the rest.

    Args:
        scores: See `build`.
        differences: See `build`.
        version: Of bfcl-eval.
    """
    models = list(scores.values())
    rows: list[tuple[str, ...]] = []
    shown: set[str] = set()  # categories that stand in a row of their own

    def row(kind: str, key: str, title: str, show: Callable[[Any], str]) -> None:
        cells = (show(found[kind].get(key)) for found in models)
        rows.append((title, *cells, *(_short_change(change[kind].get(key)) for change in differences)))

    for column in COLUMNS:
        if any("value" in found["columns"][column.key] for found in models):
            row("columns", column.key, f"{column.group}: {column.title}", _short)
            shown |= set(column.weights) if len(column.weights) == 1 else set()
    for name in dict.fromkeys(name for found in models for name in found["categories"]):
        if name not in shown:
            row("categories", name, name, lambda part: _short(part and {**part, "value": part["accuracy"]}))
    left_out = [c for c in COLUMNS if not any("value" in found["columns"][c.key] for found in models)]
    groups = dict.fromkeys(column.group for column in left_out)
    parts = [f"{sum(c.group == group for c in left_out)} of {group}" for group in groups]
    failed = {name: why for found in models for name, why in found["not_run"].items()}
    parts += [f"{name} ({why})" for name, why in failed.items()]
    notes = [f"Not run: {'; '.join(parts)}."] if parts else []
    head = ("per cent right", *scores, *(_minus(change) for change in differences))
    return Table(f"BFCL, bfcl-eval {version}", head, tuple(rows), notes=tuple(notes))


def _short(part: Mapping[str, Any] | None) -> str:
    if part is None or "value" not in part:
        return "–"
    low, high = part["ci95"]
    return f"{100 * part['value']:.1f} ({100 * low:.0f}–{100 * high:.0f})"


def _short_change(part: Mapping[str, Any] | None) -> str:
    if part is None:
        return "–"
    low, high = part["ci95"]
    return f"{100 * part['value']:+.1f} ({100 * low:+.0f} to {100 * high:+.0f})"


def _group(
    group: str,
    scores: Mapping[str, Mapping[str, Any]],
    differences: Sequence[Mapping[str, Any]],
    version: str,
) -> Table:
    columns = [column for column in COLUMNS if column.group == group]
    rows = [
        (name, version, *(_figure(found["columns"][column.key]) for column in columns))
        for name, found in scores.items()
    ]
    rows += [
        (
            _minus(change),
            version,
            *(_change(change["columns"].get(column.key)) for column in columns),
        )
        for change in differences
    ]
    for row, note in zip(published(), _numbers(), strict=True):
        values = [row.values.get(column.key) for column in columns]
        if any(value is not None for value in values):
            cells = ("" if value is None else f"{value:.2f}" for value in values)
            rows.append((f"{row.name} [{note}]", f"{row.bfcl}, published", *cells))
    return Table(group, ("model", "BFCL", *(column.title for column in columns)), tuple(rows), texts=2)


def _sources() -> list[str]:
    """Where the published rows come from, each once."""
    return list(dict.fromkeys(row.source for row in published()))


def _numbers() -> list[int]:
    """The number of each published row's source."""
    found = _sources()
    return [found.index(row.source) + 1 for row in published()]


def _extra(title: str, scores: Mapping[str, Mapping[str, Any]], show: Callable[[Any], str]) -> Table:
    """A further figure of every column and category that was run in some model, models across."""
    rows: list[tuple[str, ...]] = []
    for column in COLUMNS:
        parts = [found["columns"][column.key] for found in scores.values()]
        if any("value" in part for part in parts):
            cells = (show(part) if "value" in part else _NOT_RUN for part in parts)
            rows.append((f"{column.group}: {column.title}", *cells))
    for name in dict.fromkeys(name for found in scores.values() for name in found["categories"]):
        found_parts = (found["categories"].get(name) for found in scores.values())
        rows.append((name, *(show(part) if part else _NOT_RUN for part in found_parts)))
    return Table(title, ("column or category", *scores), tuple(rows))


def _categories(scores: Mapping[str, Mapping[str, Any]], differences: Sequence[Mapping[str, Any]]) -> Table:
    names = list(dict.fromkeys(name for found in scores.values() for name in found["categories"]))
    rows = []
    for name in names:
        parts = [found["categories"].get(name) for found in scores.values()]
        entries = next(part["tasks"] for part in parts if part)
        changes = (_change(change["categories"].get(name)) for change in differences)
        rows.append((name, str(entries), *(_counted(part) for part in parts), *changes))
    for name in dict.fromkeys(name for found in scores.values() for name in found["not_run"]):
        why = next(found["not_run"][name] for found in scores.values() if name in found["not_run"])
        rows.append((f"{name}: {why}", "", *[_NOT_RUN] * len(scores), *[""] * len(differences)))
    head = ("category", "entries", *scores, *map(_minus, differences))
    return Table("Categories", head, tuple(rows))


def _reasons(scores: Mapping[str, Mapping[str, Any]]) -> Table:
    """Why entries are wrong: a score that only speaks of a short context or of lost thoughts shows here."""
    total: dict[str, int] = {}
    for found in scores.values():
        for reason, count in found["wrong_because"].items():
            total[reason] = total.get(reason, 0) + count
    order = sorted(total, key=lambda reason: (-total[reason], reason))
    shown, rest = order[:_REASONS], order[_REASONS:]
    rows = [
        (name, *(str(found["wrong_because"].get(name, 0)) for found in scores.values())) for name in shown
    ]
    if rest:
        others = (sum(found["wrong_because"].get(name, 0) for name in rest) for found in scores.values())
        rows.append((f"{len(rest)} other reasons", *map(str, others)))
    return Table("Why answers are wrong (first reason of each)", ("reason", *scores), tuple(rows))


def _counted(part: Mapping[str, Any] | None) -> str:
    if part is None:
        return _NOT_RUN
    low, high = part["ci95"]
    of = part["tasks"] * part.get("attempts", 1)
    return f"{part['right']}/{of} = {100 * part['accuracy']:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _figure(part: Mapping[str, Any]) -> str:
    if "value" not in part:
        return _NOT_RUN
    low, high = part["ci95"]
    return f"{100 * part['value']:.2f} ({100 * low:.1f} to {100 * high:.1f})"


def _pass_at(k: int) -> Callable[[Mapping[str, Any]], str]:
    return lambda part: _figure(part["pass_at_k"][str(k)])


def _seeds(part: Mapping[str, Any]) -> str:
    low, high = part["seeds"]["ci95"]
    each = ", ".join(f"{100 * value:.1f}" for value in part["seeds"]["values"].values())
    return f"{100 * part['seeds']['mean']:.2f} ({100 * low:.1f} to {100 * high:.1f}); {each}"


def _change(part: Mapping[str, Any] | None) -> str:
    if part is None:
        return _NOT_RUN
    low, high = part["ci95"]
    return f"{100 * part['value']:+.2f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _minus(change: Mapping[str, Any]) -> str:
    return f"{change['later']} minus {change['earlier']}"


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Which models are compared: each with the one before it, and the last with the first."""
    found = list(pairwise(names))
    return [*found, (names[0], names[-1])] if len(names) > 2 else found
