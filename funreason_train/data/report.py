"""The table that closes the data stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def print_ledger(ledger: Mapping[str, Any], result: Mapping[str, Any], out: Path) -> None:
    """Prints one line a source, why rows were rejected, and what comes next.

    Args:
        ledger: Source -> account, as in `ledger.json`.
        result: With `sft` and `rl`, rows of each side.
        out: Where everything lies.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Data")
    for heading in (
        "source",
        "read",
        "kept",
        "rejected",
        "steps",
        "prompt tokens p50/max",
        "target tokens p50/max",
    ):
        table.add_column(heading, justify="left" if heading == "source" else "right")
    for name, account in ledger.items():
        tokens = account["tokens"]
        spans = [
            f"{tokens[part]['p50']}/{tokens[part]['max']}" if tokens else "–" for part in ("prompt", "target")
        ]
        counts = (account["read"], account["kept"], sum(account["rejected"].values()), account["steps"])
        table.add_row(name, *map(str, counts), *spans)
    console = Console()
    console.print(table)
    for name, account in ledger.items():
        for what in ("rejected", "flags", "repairs", "steps_dropped", "augmented", "rows_missing"):
            if account[what]:
                listed = ", ".join(f"{reason} {count}" for reason, count in account[what].items())
                console.print(f"{name}, {what}: {listed}", highlight=False)
        if account["absorbed"]:
            console.print(
                f"{name}, absorbed: {account['absorbed']} of the kept rows are beginnings of others; each of"
                " their steps stands there once",
                highlight=False,
            )
        cost = account["overlong"]
        if cost["steps"]:
            console.print(
                f"{name}, too long: {cost['steps']} responses left out, with {cost['supervised_tokens']}"
                f" supervised tokens ({cost['supervised_tokens_share']:.1%}), {cost['calls']} calls and the"
                f" final calls of {cost['final_calls']} conversations",
                highlight=False,
            )
    rows = "; ".join(
        f"{name} {result[name]['train']} train, {result[name]['val']} val" for name in ("sft", "rl")
    )
    console.print(
        f"Rows: {rows}. Everything is in {out}; rejected rows: {out / 'rejected.jsonl'}", highlight=False
    )
    console.print("Next: funreason-train sft", highlight=False)
