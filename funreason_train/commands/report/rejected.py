"""The data of a run: its account, and rejected rows to look at, some of every reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...data.read.rows import REASONS
from ...data.rejected import some_rejected
from ...pages.embed import Texts, pack
from ...pages.table import Table
from ...run.files import MISSHAPEN, read_json

_EACH = 25  # rows of a source and reason


def account(out: Path) -> dict[str, Any] | None:
    """The sources of a data stage's result; None without a readable ledger.

    Args:
        out: Where the data stage put its result.
    """
    try:
        ledger = read_json(out / "ledger.json")
        rows = tuple((name, *map(_count, _figures(one))) for name, one in ledger.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return {"table": Table("Sources", ("source", "read", "kept", "rejected", "steps"), rows).to_json()}


def _figures(one: Any) -> tuple[int, ...]:
    return (one["read"], one["kept"], sum(one["rejected"].values()), one["steps"])


def _count(number: int) -> str:
    return f"{number:,}"


def rejected(out: Path) -> tuple[dict[str, Any] | None, str]:
    """Rejected rows: how many for which reason, and a block with examples of each.

    Args:
        out: Where the data stage put its result.

    Returns:
        What the page lists, None if nothing was rejected, and the block.
    """
    counts, shown = some_rejected(out / "rejected.jsonl", _EACH)
    counts |= _counted(out / "ledger.json")  # of a very long file only the beginning was looked at
    if not counts:
        return None, ""
    texts = Texts("rejected.jsonl has them")
    examples = [{**asdict(one), "row": texts.number(one.row)} for one in shown]
    listed = [
        {"source": source, "reason": reason, "meaning": REASONS.get(reason, ""), "rows": count}
        for (source, reason), count in counts.most_common()
    ]
    return {"reasons": listed}, pack({"texts": texts.all, "examples": examples})


def _counted(ledger: Path) -> Counter[tuple[str, str]]:
    """Rejected rows by source and reason as the ledger has them; none without a readable one."""
    try:
        return Counter(
            {
                (str(source), str(reason)): int(count)
                for source, one in read_json(ledger).items()
                for reason, count in one["rejected"].items()
                if count
            }
        )
    except (OSError, *MISSHAPEN):
        return Counter()
