"""Tables as people read them: in a terminal, in Markdown, on a page. Cells are text already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NOTHING = "-"  # a cell that has no value


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text; the first column is what a row is about. Notes are sentences below it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """As a GitHub table, numbers to the right, notes as a list below."""
        rules = ("---", *("---:" for _ in self.columns[1:]))
        lines = ["| " + " | ".join(cells) + " |" for cells in (self.columns, rules, *self.rows)]
        return "\n".join([*lines, *([""] if self.notes else []), *(f"- {note}" for note in self.notes)])


Titled = tuple[str, Table]  # what a table is about, and the table


def markdown_of(tables: Iterable[Titled]) -> str:
    """Each table with what it is about above it, as the README has them."""
    return "\n\n".join(f"{title}\n\n{table.markdown()}" for title, table in tables)
