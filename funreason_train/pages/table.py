"""The one kind of table: written as Markdown, shown on a screen, put on a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table as Drawn

_GAP = 3  # columns of the screen between two cells


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        title: Its heading; empty for none.
        head: The columns' names.
        rows: Their cells; on a page a `Markup` stands as it is, any other text is escaped.
        texts: How many of the first columns are words; the others are figures, which stand to the right.
        notes: What is said below it.
        total: Whether the last row sums up the others.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1
    notes: tuple[str, ...] = ()
    total: bool = False

    def markdown(self, cell: Callable[[str], str] | None = None) -> str:
        """The table as Markdown, ending in a newline.

        Args:
            cell: Writes a cell; `inert` where others wrote it. None: only what would end it is escaped.
        """
        write = cell or _cell
        marks = ["---"] * self.texts + ["---:"] * (len(self.head) - self.texts)
        lines = [f"### {self.title}", ""] if self.title else []
        lines += [_line(map(write, self.head)), _line(marks), *(_line(map(write, row)) for row in self.rows)]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def fitting(self, width: int) -> list[Table]:
        """The table cut into tables that fit side by side into `width` columns of a screen.

        The first column stands in each of them. No cell is shortened: a word that is wider than the screen
        goes on in the next line.
        """
        needed = self._words()
        blocks: list[list[int]] = [[]]
        for n in range(1, len(self.head)):
            if blocks[-1] and needed[0] + sum(needed[k] for k in blocks[-1]) + needed[n] > width:
                blocks.append([])
            blocks[-1].append(n)
        return [self._columns([0, *block], last=block is blocks[-1]) for block in blocks]

    def _words(self) -> list[int]:
        """Columns of the screen that the longest word of each column takes, with the gap behind it."""
        return [
            max(len(word) for row in (self.head, *self.rows) for word in (row[n].split() or [""])) + _GAP
            for n in range(len(self.head))
        ]

    def _widths(self, width: int) -> list[int | None]:
        """The columns' widths in which no word is broken; None each where that is left to rich.

        Cells of two lines are preferred to a column that has one line beside another that has five.
        """
        words = [word - _GAP for word in self._words()]
        room = width - _GAP * len(words)
        cells = [[row[n] for row in (self.head, *self.rows)] for n in range(len(words))]
        if sum(words) > room:
            return [None] * len(words)
        two = [_in_two_lines(cells[n], words[n]) for n in range(len(words))]
        least = two if sum(two) <= room else words
        wanted = [max(map(len, column)) for column in cells]
        return list(_shared_out(least, wanted, room - sum(least)))

    def _columns(self, chosen: Sequence[int], last: bool) -> Table:
        return Table(
            self.title,
            tuple(self.head[n] for n in chosen),
            tuple(tuple(row[n] for n in chosen) for row in self.rows),
            sum(n < self.texts for n in chosen),
            self.notes if last else (),
            self.total,
        )

    def rich(self, width: int = 80) -> Drawn:
        """The table for a terminal of so many columns, without its notes; words stay whole where they fit."""
        from rich.box import SIMPLE
        from rich.markup import escape
        from rich.table import Table as Drawn

        title = escape(self.title) or None
        table = Drawn(title=title, title_style="bold", title_justify="left", box=SIMPLE, pad_edge=False)
        widths = self._widths(width)
        for number, name in enumerate(self.head):
            justify = "left" if number < self.texts else "right"
            table.add_column(escape(name), justify=justify, overflow="fold", width=widths[number])  # type: ignore[arg-type]
        for number, row in enumerate(self.rows):
            last = self.total and number == len(self.rows) - 1
            if last:
                table.add_section()
            table.add_row(*map(escape, row), style="bold" if last else None)
        return table

    def to_json(self) -> dict[str, Any]:
        """The table as JSON's types."""
        return {
            "title": self.title,
            "head": list(self.head),
            "rows": [list(row) for row in self.rows],
            "texts": self.texts,
            "notes": list(self.notes),
            "total": self.total,
        }

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Table:
        """The inverse of `to_json`."""
        rows = tuple(tuple(map(str, row)) for row in value["rows"])
        head, notes = tuple(map(str, value["head"])), tuple(map(str, value["notes"]))
        return cls(str(value["title"]), head, rows, int(value["texts"]), notes, bool(value["total"]))


def _in_two_lines(cells: Sequence[str], least: int) -> int:
    """The width, of at least `least`, in which each of the texts takes two lines at most."""
    return max(min(map(max, _splits(cell))) if len(cell) > least else least for cell in cells)


def _splits(text: str) -> Iterator[tuple[int, int]]:
    """How long the two lines are, for each place where a text may be broken, and without one."""
    yield len(text), 0
    for match in re.finditer(" ", text):
        yield match.start(), len(text) - match.end()


def _shared_out(least: Sequence[int], wanted: Sequence[int], spare: int) -> Sequence[int]:
    """Gives to each column alike what is spare, until it has what it wants."""
    widths = list(least)
    while spare > 0 and (short := [n for n, width in enumerate(widths) if width < wanted[n]]):
        for n in short[:spare]:
            widths[n] += 1
            spare -= 1
    return widths


def _line(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def inert(text: str) -> str:
    """A text that others wrote as a Markdown cell in which nothing is markup; one `code` word stays one."""
    if re.fullmatch(r"`[\w :]+(\.\w+)?`", text):
        return text
    return re.sub(r"([\\|<>\[\]*_])", r"\\\1", " ".join(text.split()))
