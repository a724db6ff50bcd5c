"""A record of the proof, and the pages that show it: no figure is typed by hand.

    python proof/gpu/record.py             prints the part of docs/gpu.md that follows from proof/gpu/records
    python proof/gpu/record.py --write     puts it there

A record is the `proof.jsonl` of a run on a GPU, kept as proof/gpu/records/NAME.jsonl. Standard library only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "proof" / "gpu" / "records"
PAGE = ROOT / "docs" / "gpu.md"
BEGINS, ENDS = "<!-- begins: proof/gpu/record.py --write -->", "<!-- ends -->"
NONE = "There is no record yet: nothing of this project has been run on a GPU."

Line = dict[str, Any]


def read(file: Path) -> list[Line]:
    """The lines of a record; what is not one is left out, such as a line that a kill cut off."""
    found = []
    for text in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and {"step", "status"} <= line.keys():
            found.append(line)
    return found


def latest(lines: list[Line]) -> dict[str, Line]:
    """The line that counts for each step: the last one that was done, or else the last one."""
    found: dict[str, Line] = {}
    for line in lines:
        if line["status"] == "ok" or found.get(line["step"], {}).get("status") != "ok":
            found[line["step"]] = line
    return found


def table(lines: list[Line]) -> str:
    """The record as Markdown: how each step ended, then what each measured."""
    steps = latest(lines)
    shown = ["| step | ended | seconds |", "|---|---|---:|"]
    shown += [f"| {name} | {_ended(line)} | {line.get('seconds', '')} |" for name, line in steps.items()]
    for name, line in steps.items():
        figures = dict(_flat(line.get("figures") or {}))
        if figures:
            shown += ["", f"**{name}**", "", "| figure | value |", "|---|---:|"]
            shown += [f"| {key} | {_value(value)} |" for key, value in figures.items()]
    return "\n".join(shown) + "\n"


def _ended(line: Line) -> str:
    words = {"ok": "done", "time": "stopped at its limit", "skipped": "not begun", "failed": "failed"}
    ended = words.get(line["status"], str(line["status"]))
    if line["status"] in ("ok", "skipped") or not line.get("error"):
        return ended
    last = str(line["error"]).strip().splitlines()[-1][:160]
    return f"{ended}: `{last.replace('`', ' ').replace('|', '/')}`"


def _flat(figures: Line) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in figures.items():
        if isinstance(value, dict):
            found += [(f"{key}: {name}", inner) for name, inner in value.items()]
        else:
            found.append((key, value))
    return found


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and abs(value) >= 10000:
        return f"{value:,}"
    return str(value).replace("|", "/")


def page(records: dict[str, list[Line]]) -> str:
    """The part of docs/gpu.md that follows from the records.

    Args:
        records: Name -> lines. Only what ran on a GPU at full size counts.
    """
    parts = []
    for name, lines in sorted(records.items()):
        counted = [line for line in lines if line.get("device") == "cuda" and not line.get("tiny")]
        if counted:
            card = (latest(counted).get("machine", {}).get("figures") or {}).get("card") or name
            parts.append(f"### {card}\n\n{table(counted)}")
    return "\n".join(parts) if parts else f"{NONE}\n"


def records() -> dict[str, list[Line]]:
    """The records that are kept in the repository."""
    return {file.stem: read(file) for file in sorted(RECORDS.glob("*.jsonl"))}


def placed(text: str, part: str) -> str:
    """A page with the part between the two marks replaced.

    Raises:
        ValueError: if it does not have the marks.
    """
    before, begins, rest = text.partition(BEGINS)
    _, ends, after = rest.partition(ENDS)
    if not begins or not ends:
        raise ValueError(f"{PAGE.name} has lost the marks {BEGINS} and {ENDS}")
    return f"{before}{BEGINS}\n{part}{ENDS}{after}"


if __name__ == "__main__":
    new = placed(PAGE.read_text(encoding="utf-8"), page(records()))
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(new, encoding="utf-8")
    else:
        sys.stdout.write(page(records()))
