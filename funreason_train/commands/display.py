"""What a person reads: sentences and tables."""

from __future__ import annotations

from dataclasses import replace
from textwrap import fill

from rich.console import Console

from ..pages.table import Table
from ..plain import visible

#: Everything that a person reads goes here; results for programs are in files.
console = Console(emoji=False)  # `:Car:` of `shop:Car: …` is no picture


def say(text: str) -> None:
    """Prints a sentence as it is: paths and settings are neither folded nor coloured."""
    console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


def print_table(table: Table) -> None:
    """Prints a table and its notes; where it is too wide, as several tables, and no cell is cut off."""
    table = replace(
        table,
        title=visible(table.title),
        head=tuple(map(visible, table.head)),
        rows=tuple(tuple(map(visible, row)) for row in table.rows),
        notes=tuple(map(visible, table.notes)),
    )
    for part in table.fitting(console.width):
        console.print(part.rich(console.width))
        for note in part.notes:
            say(_note(note))


def _note(text: str) -> str:
    """A note in lines of the screen's width; no word is broken, so that a path can be copied."""
    return fill(
        text, console.width, initial_indent="- ", subsequent_indent="  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
