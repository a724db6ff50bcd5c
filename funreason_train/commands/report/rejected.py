"""The data of a run: its account, and rejected rows to look at, some of every reason."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ...data.read.rows import REASONS
from ...pages.embed import Texts, pack
from ...pages.table import Table
from ...run.files import read_json, read_lines

_EXAMPLES = 25  # of each source and reason
_LONGEST = 4_000  # characters of a row
_READ = 400_000  # lines of rejected.jsonl that are looked at


def account(out: Path) -> dict[str, Any] | None:
    """The sources of a data stage's result; None without a readable ledger.

    Args:
        out: Where the data stage put its result.
    """
    try:
        ledger = read_json(out / "ledger.json")
        rows = tuple(
            (
                name,
                *(
                    f"{count:,}"
                    for count in (one["read"], one["kept"], sum(one["rejected"].values()), one["steps"])
                ),
            )
            for name, one in ledger.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    table = Table("Sources", ("source", "read", "kept", "rejected", "steps"), rows)
    return {"table": table.to_json()}


def rejected(out: Path) -> tuple[dict[str, Any] | None, str]:
    """Rejected rows: how many for which reason, and a block with examples of each.

    Args:
        out: Where the data stage put its result.

    Returns:
        What the page lists, None if nothing was rejected, and the block.
    """
    counts: Counter[tuple[str, str]] = Counter()
    texts = Texts("rejected.jsonl has them")
    examples: list[dict[str, Any]] = []
    for place, line in enumerate(read_lines(out / "rejected.jsonl")):
        if not isinstance(line, dict) or place >= _READ:
            continue
        key = (str(line.get("source")), str(line.get("reason")))
        counts[key] += 1
        if counts[key] <= _EXAMPLES:
            row = line.get("row")
            text = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False, indent=1)
            examples.append(
                {
                    "source": key[0],
                    "reason": key[1],
                    "position": str(line.get("position") or ""),
                    "id": str(line.get("id") or ""),
                    "detail": str(line.get("detail") or "")[:500],
                    "row": texts.number(_indented(text)[:_LONGEST]),
                }
            )
    if not counts:
        return None, ""
    listed = [
        {"source": source, "reason": reason, "meaning": REASONS.get(reason, ""), "rows": count}
        for (source, reason), count in counts.most_common()
    ]
    return {"reasons": listed, "shown": len(examples)}, pack({"texts": texts.all, "examples": examples})


def _indented(text: str) -> str:
    """JSON text with a line a field, anything else as it stands."""
    if len(text) > 100_000:
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return text
