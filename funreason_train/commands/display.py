"""What a person reads: sentences and tables."""

from __future__ import annotations

from rich.console import Console

from ..pages.table import Table

#: Everything that a person reads goes here; results for programs are in files.
console = Console()


def say(text: str) -> None:
    """Prints a sentence as it is: paths and settings are neither folded nor coloured."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_table(table: Table) -> None:
    """Prints a table and its notes; where it is too wide, as several tables, and no cell is cut off."""
    for part in table.fitting(console.width):
        console.print(part.rich(console.width))
        for note in part.notes:
            console.print(f"- {note}", markup=False, highlight=False)
