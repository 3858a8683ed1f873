"""What the commands of `caecodec bench` share: options, codecs by name, tables, progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from caecodec.errors import UsageError

if TYPE_CHECKING:
    from caecodec.bench.codecs.protocol import BenchCodec
    from caecodec.bench.table import Table

Command = TypeVar("Command", bound=Callable[..., Any])

KEPT = "Results; what is in it already is not measured again."  # of --output
show_option = click.option(
    "--show", type=click.Path(path_type=Path), metavar="RESULTS.json", help="Measure nothing, show these."
)
markdown_option = click.option("--markdown", is_flag=True, help="As the README has it.")
figure_option = click.option(
    "--figure", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.png", help="Draw the curves."
)


def output_option(default: str | None, text: str | None) -> Callable[[Command], Command]:
    """-o FILE. A default of None is for the command to choose, and for `text` to tell."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        default=None if default is None else Path(default),
        show_default=default is not None,
        help=text,
    )


def hold_to_one_thread() -> None:
    """Torch and numpy, imported later, and worker processes take one thread each."""
    from caecodec.bench.timing.processes import THREAD_VARIABLES

    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"


def working_codecs(names: str, commands: Sequence[Path] = ()) -> tuple[list[BenchCodec], dict[str, str]]:
    """Names with commas between -> the codecs that work here, and why others do not, which is said.

    commands: TOML files of more codecs (`caecodec.bench.codecs.commands`).

    Raises UsageError for an unknown name, and where none works.
    """
    from caecodec.bench.codecs.commands import makers
    from caecodec.bench.codecs.registry import open_codecs

    more = {name: make for path in commands for name, make in makers(path).items()}
    opened, missing = open_codecs(names_of(names), more)
    warn_of_missing(missing)
    if not opened:
        raise UsageError("none of the codecs works here")
    return opened, missing


def warn_of_missing(missing: dict[str, str]) -> None:
    """Codec -> why it does not work here: a line each on standard error."""
    for name, why in missing.items():
        click.echo(f"caecodec: warning: {name} does not work here: {why}", err=True)


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
