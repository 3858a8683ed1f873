"""What the commands of `caecodec bench` share: tables, progress, lists of names."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caecodec.bench.table import Table


def names_of(text: str) -> list[str]:
    """'a, b' -> ['a', 'b']."""
    return [name.strip() for name in text.split(",") if name.strip()]


def print_table(made: Table, title: str) -> None:
    """A table on standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    shown = RichTable(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for number, column in enumerate(made.columns):
        shown.add_column(column, justify="right" if number else "left", no_wrap=bool(number))
    for row in made.rows:
        shown.add_row(*row)
    # a pipe has no width: let no column be cut
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False)
    console.print(shown)
    for note in made.notes:
        console.print(note)


class Bar:
    """Progress on standard error, on a terminal only."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, done: int, of: int) -> None:
        self._progress.update(self._task, completed=done, total=of)
