"""What a person reads: sentences and tables."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table
from rich.text import Text

#: Everything that a person reads goes here; results for programs are in files.
console = Console()


def say(text: str) -> None:
    """Prints a sentence as it is: paths and settings are neither folded nor coloured."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_markdown(text: str) -> None:
    """Prints headings, tables and notes of a Markdown file; unlike rich's own reader it shortens no cell."""
    lines = text.splitlines()
    while lines:
        line = lines.pop(0)
        if line.startswith("| "):
            rows = [line]
            while lines and lines[0].startswith("| "):
                rows.append(lines.pop(0))
            console.print(_table([_cells(row) for row in rows]))
        elif line.startswith("#"):
            console.print(line.lstrip("# "), style="bold", markup=False, highlight=False)
        elif line:
            console.print(line, markup=False, highlight=False)


def _cells(row: str) -> list[str]:
    cells = row.removeprefix("|").removesuffix("|").replace("\\|", "\0").split("|")
    return [cell.strip().replace("\0", "|") for cell in cells]


def _table(rows: list[list[str]]) -> Table | Text:
    """The table, or where its words do not fit side by side a paragraph for each row."""
    head, marks, *body = rows
    words = (
        max(len(word) for row in [head, *body] for word in row[n].split() or [""]) for n in range(len(head))
    )
    if sum(words) + 3 * len(head) > console.width:  # with the space between columns
        return Text("\n").join(_paragraph(head, row) for row in body)
    table = Table(box=SIMPLE)
    for title, mark in zip(head, marks, strict=True):
        justify: JustifyMethod = "right" if mark.endswith(":") else "left"
        table.add_column(escape(title), justify=justify, overflow="fold")
    for row in body:
        table.add_row(*map(escape, row))
    return table


def _paragraph(head: list[str], row: list[str]) -> Text:
    cells = (f"{title} {cell}" for title, cell in zip(head[1:], row[1:], strict=True) if cell)
    return Text.assemble("  ", (row[0], "bold"), ": ", "; ".join(cells))
