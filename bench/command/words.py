"""The command `caecodec bench words`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from caecodec.bench.command.terminal import (
    KEPT,
    Bar,
    hold_to_one_thread,
    markdown_option,
    names_of,
    output_option,
    print_table,
    show_option,
    working_codecs,
)
from caecodec.errors import BatchError, UsageError

if TYPE_CHECKING:
    from caecodec.bench.words.run import WordResults

_CODECS = "caecodec,avif,jxl-7"


@click.command()
@click.argument("pictures", nargs=-1, metavar="PICTURE...", type=click.Path(path_type=Path))
@click.option(
    "--codecs", help=f"Names with commas between, or all.  [default: {_CODECS}; with --show those that are there]"
)
@click.option("--bpp", default="0.2,0.4,0.8", show_default=True, help="Bits per pixel, with commas between.")
@output_option("results/words.json", KEPT)
@click.option("--anchor", help="Codec that the others are compared with, picture by picture.  [default: the first]")
@show_option
@markdown_option
def words(
    pictures: tuple[Path, ...],
    codecs: str | None,
    bpp: str,
    output: Path,
    anchor: str | None,
    show: Path | None,
    markdown: bool,
) -> None:
    """How many words tesseract still reads in pictures after coding, codec by codec at equal bytes."""
    if (show is None) == (not pictures):
        raise UsageError("name either pictures to measure, or with --show the results to look at")
    from caecodec.bench.words.report import word_table
    from caecodec.bench.words.run import load_words

    if show is None:
        results = _measure(pictures, codecs or _CODECS, _rates(bpp), output)
        chosen = None
    else:
        results = load_words(show)
        chosen = names_of(codecs) if codecs else None
    failures = [] if show else results.failures
    for row in failures:
        click.echo(f"{row.picture}, {row.codec} at {row.target_bpp:g} bpp: {row.error}", err=True)
    made = word_table(results, chosen, anchor)
    if markdown:
        click.echo(made.markdown())
    else:
        print_table(made, str(show or output))
    if failures:
        raise BatchError(f"{len(failures)} of {len(results.rows)} measurements failed")


def _measure(pictures: tuple[Path, ...], codecs: str, targets: list[float], output: Path) -> WordResults:
    hold_to_one_thread()
    from caecodec.bench.pictures import find_pictures
    from caecodec.bench.words.reader import find_tesseract
    from caecodec.bench.words.run import measure_words

    tesseract = find_tesseract()  # now, not after the codecs
    opened, missing = working_codecs(codecs)
    found = find_pictures(pictures)
    with Bar() as bar:
        return measure_words(
            opened,
            found,
            output,
            targets=targets,
            tesseract=tesseract,
            unavailable=missing,
            progress=bar.update,
        )


def _rates(text: str) -> list[float]:
    """'0.2,0.4' -> rising numbers above 0. Raises UsageError."""
    try:
        rates = sorted({float(part) for part in names_of(text)})
    except ValueError:
        rates = []
    if not rates or not all(0 < rate < math.inf for rate in rates):
        raise UsageError(f"--bpp {text!r}: write numbers above 0 with commas between, like 0.2,0.4,0.8")
    return rates
