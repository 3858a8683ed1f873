"""The command `caecodec compare`. Importing it is cheap: what compares is imported inside the command."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from caecodec.command.options import limits_options
from caecodec.command.terminal import each, warn
from caecodec.errors import FileSystemError, UsageError
from caecodec.files import writing
from caecodec.limits import Limits

if TYPE_CHECKING:
    from caecodec.bench.compare.compare import Comparison, PictureFile
    from caecodec.bench.table import Table


@click.command()
@click.argument("original", metavar="ORIGINAL")
@click.argument("others", nargs=-1, required=True, metavar="OTHER...")
@click.option("--ssimulacra2", is_flag=True, help="SSIMULACRA2 too; large pictures take a while.")
@click.option("--html", "html", metavar="PAGE.html", help="Write a page that shows them under a slider.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing page.")
@limits_options
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file on standard output.")
def compare(
    original: str,
    others: tuple[str, ...],
    ssimulacra2: bool,
    html: str | None,
    force: bool,
    limits: Limits,
    quiet: bool,
    as_json: bool,
) -> None:
    """What files cost in bytes and in quality, against the ORIGINAL.

    \b
    caecodec compare img.png img.cae img.jpg img.avif
    caecodec compare img.png img.cae img.jpg --html page.html
    """
    if html is not None:
        _check_page(html, (original, *others), force)
    from caecodec.bench.compare.compare import compare_files, figures_table, read_file

    to_stream = html is not None and writing.is_stream(html)  # then it may be standard output that takes the page
    done: list[tuple[PictureFile, Comparison]] = []
    reference: list[PictureFile] = []

    def one(name: str) -> None:
        if not reference:
            reference.append(read_file(name, limits))
            _say(name, reference[0].notes, quiet)
            return
        source = read_file(name, limits, with_bits=html is not None)
        row = compare_files(reference[0], source, ssimulacra2=ssimulacra2)
        _say(name, row.notes, quiet)
        done.append((source, row))
        if as_json:
            click.echo(json.dumps({"original": original} | row.to_dict()), err=to_stream)

    each([original], one)  # without it nothing can be done
    try:
        each(others, one)
    finally:  # those that can be read are shown whatever the others are
        rows = [row for _, row in done]
        if rows and not as_json and not quiet:
            made = figures_table(rows, ssimulacra2=ssimulacra2)
            click.echo("\n".join((_about(reference[0]), "", *_lines(made))), err=to_stream)
        if rows and html is not None:
            from caecodec.bench.compare.page import compare_page

            data = compare_page(reference[0], done, ssimulacra2=ssimulacra2)
            writing.write_atomically(html, data, overwrite=force)


def _check_page(html: str, inputs: Sequence[str], force: bool) -> None:
    """Before anything is read: Raises FileSystemError where the page exists, UsageError where it is an input."""
    if writing.is_stream(html):
        return
    if os.path.realpath(html) in {os.path.realpath(name) for name in inputs if name != writing.STDIO}:
        raise UsageError(f"--html {html} would replace an input")
    if not force and os.path.lexists(html):
        raise FileSystemError(f"{html} exists; -f overwrites it")


def _say(name: str, notes: Sequence[str], quiet: bool) -> None:
    for note in () if quiet else notes:
        warn(f"{name}: {note}")


def _about(original: PictureFile) -> str:
    size = f"{original.width}x{original.height}, {original.size_bytes:,} bytes, {original.bpp:.3f} bpp"
    return f"{original.name}: {size}"


def _lines(made: Table) -> list[str]:
    """Columns of text, numbers to the right."""
    rows = [made.columns, *made.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join((cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))))
        for cells in rows
    ]
