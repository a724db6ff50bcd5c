"""The table that closes the data stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..pages.table import Table

_HEAD = ("source", "read", "kept", "rejected", "steps", "prompt tokens p50/max", "target tokens p50/max")


def ledger_table(ledger: Mapping[str, Any], out: Path, passed_over: Sequence[str] = ()) -> Table:
    """One line a source; in the notes, why rows were rejected and what became of the others.

    Args:
        ledger: Source -> account, as in `ledger.json`.
        out: Where everything lies.
        passed_over: Data sets that are declared and were not read.
    """
    rows = tuple(_row(name, account) for name, account in ledger.items())
    notes = [note for name, account in ledger.items() for note in _notes(name, account)]
    notes += [f"{name} is declared but not in data.datasets: it was not read" for name in passed_over]
    notes.append(f"everything is in {out}, rejected rows in {out / 'rejected.jsonl'}")
    return Table("Data", _HEAD, rows, notes=tuple(notes))


def _row(name: str, account: Mapping[str, Any]) -> tuple[str, ...]:
    tokens = account["tokens"]
    spans = [
        f"{tokens[part]['p50']}/{tokens[part]['max']}" if tokens else "–" for part in ("prompt", "target")
    ]
    counts = (account["read"], account["kept"], sum(account["rejected"].values()), account["steps"])
    return (name, *map(str, counts), *spans)


def _notes(name: str, account: Mapping[str, Any]) -> Iterator[str]:
    for what in ("rejected", "flags", "repairs", "steps_dropped", "augmented", "rows_missing"):
        if account[what]:
            listed = ", ".join(f"{reason} {count}" for reason, count in account[what].items())
            yield f"{name}, {what}: {listed}"
    if account["absorbed"]:
        yield (
            f"{name}, absorbed: {account['absorbed']} of the kept rows are beginnings of others; each of"
            " their steps appears there once"
        )
    cost = account["overlong"]
    if cost["steps"]:
        yield (
            f"{name}, too long: {cost['steps']} responses left out, with {cost['supervised_tokens']}"
            f" supervised tokens ({cost['supervised_tokens_share']:.1%}), {cost['calls']} calls and the"
            f" final calls of {cost['final_calls']} conversations"
        )
