"""The commands `caecodec bench speed`, `growth` and `stages`."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from caecodec.bench.command.terminal import (
    KEPT,
    Bar,
    Command,
    figure_option,
    markdown_option,
    names_of,
    output_option,
    print_table,
    show_option,
    warn_of_missing,
)
from caecodec.errors import BatchError, UsageError

if TYPE_CHECKING:
    from caecodec.bench.table import Titled

_MOST = 10_000  # megapixels, or files of a batch
Number = TypeVar("Number", int, float)


_timed = (
    click.argument("pictures", nargs=-1, metavar="[PICTURE]...", type=click.Path(path_type=Path)),
    click.option("-q", "--quality", type=click.IntRange(min=1), help="For every codec, instead of --bpp."),
    click.option(
        "--bpp",
        type=click.FloatRange(min=0, min_open=True),
        default=0.75,
        show_default=True,
        help="Each codec at the quality whose mean rate is nearest.",
    ),
    click.option("--threads", type=click.IntRange(min=1), default=os.cpu_count() or 1, show_default=True),
    show_option,
    markdown_option,
)


def _timing(command: Command) -> Command:
    """The arguments that `speed` and `growth` share."""
    for option in reversed(_timed):
        command = option(command)
    return command


@click.command()
@_timing
@click.option("--codecs", default="caecodec,jpeg", show_default=True, help="Names with commas between, or all.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@output_option("results/speed.json", KEPT)
def speed(
    pictures: tuple[Path, ...],
    codecs: str,
    quality: int | None,
    bpp: float,
    threads: int,
    rounds: int,
    output: Path,
    show: Path | None,
    markdown: bool,
) -> None:
    """Speed and peak memory of codecs on the CPU, in turns, and the cold start of one file."""
    _pictures_or_show(pictures, show)
    from caecodec.bench.timing.report import speed_tables
    from caecodec.bench.timing.results import Aim, load_speed

    if show is not None:
        results = load_speed(show)
    else:
        from caecodec.bench.codecs.registry import known_names
        from caecodec.bench.pictures import find_pictures
        from caecodec.bench.timing.speed import measure_speed

        names, found = known_names(names_of(codecs)), find_pictures(pictures)
        aim = Aim(bpp=bpp) if quality is None else Aim(quality=quality)
        with Bar() as bar:
            results = measure_speed(names, found, output, aim=aim, threads=threads, rounds=rounds, progress=bar.update)
    _show_timings(speed_tables(results), markdown)
    _end_timing(results.unavailable, [(row.codec, row.error) for row in results.codecs], measured=show is None)


@click.command()
@_timing
@click.option("--codecs", default="caecodec", show_default=True, help="Names with commas between, or all.")
@click.option("--sizes", default="0.1,0.4,2,12,24", show_default=True, help="Megapixels of one picture.")
@click.option("--batches", default="1,10,100", show_default=True, help="Files that the command is given.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@output_option("results/growth.json", KEPT)
@figure_option
def growth(
    pictures: tuple[Path, ...],
    codecs: str,
    sizes: str,
    batches: str,
    quality: int | None,
    bpp: float,
    threads: int,
    rounds: int,
    output: Path,
    show: Path | None,
    markdown: bool,
    figure: Path | None,
) -> None:
    """Time and memory as pictures grow, and as files get many; pictures are cut from a mosaic of PICTUREs."""
    _pictures_or_show(pictures, show)
    megapixels, counts = _positive("--sizes", sizes, float), _positive("--batches", batches, int)
    from caecodec.bench.timing.figure import draw_growth
    from caecodec.bench.timing.report import growth_tables
    from caecodec.bench.timing.results import Aim, load_growth

    if show is not None:
        results = load_growth(show)
    else:
        from caecodec.bench.codecs.registry import known_names
        from caecodec.bench.pictures import find_pictures
        from caecodec.bench.timing.growth import measure_growth

        names, found = known_names(names_of(codecs)), find_pictures(pictures)
        aim = Aim(bpp=bpp) if quality is None else Aim(quality=quality)
        with Bar() as bar:
            results = measure_growth(
                names,
                found,
                output,
                aim=aim,
                sizes=megapixels,
                batches=counts,
                threads=threads,
                rounds=rounds,
                progress=bar.update,
            )
    if figure is not None:
        draw_growth(results, figure)
    _show_timings(growth_tables(results), markdown)
    rows = [(f"{row.codec}, {row.megapixels:g} megapixels", row.error) for row in results.sizes]
    rows += [(f"{row.codec}, {row.files} files", row.error) for row in results.batches]
    _end_timing(results.unavailable, rows, measured=show is None)


@click.command()
@click.argument("picture", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("-q", "--quality", type=click.IntRange(1, 100), default=54, show_default=True)
@click.option("-m", "--model", help="A photo model; default the one `caecodec encode` takes.")
@click.option("--threads", default="1,2", show_default=True, help="Numbers of threads, with commas between.")
@click.option("--megapixels", type=click.FloatRange(min=0.01, max=200), help="Instead, a mosaic of this size.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--markdown", is_flag=True, help="As the documentation has it.")
def stages(
    picture: Path,
    quality: int,
    model: str | None,
    threads: str,
    megapixels: float | None,
    rounds: int,
    markdown: bool,
) -> None:
    """Where the time of coding one PICTURE goes, warm and from a cold start, and what its networks reach."""
    counts = _positive("--threads", threads, int)
    from caecodec.bench.pictures import load_pixels
    from caecodec.bench.timing.mosaic import mosaic, sides
    from caecodec.bench.timing.stages import cold_table, stage_table
    from caecodec.codecs.opening import open_codec
    from caecodec.pictures.picture import from_array
    from caecodec.search import choice

    array = load_pixels(picture)
    loaded = from_array(array if megapixels is None else mosaic([array], *sides(megapixels)))
    title = f"{loaded.width}x{loaded.height}, quality {quality}; columns: direction, threads; the fastest of {rounds}."
    tables = [(title, stage_table(loaded, quality, counts, rounds, model))]
    data = choice.encode(open_codec(model), loaded, quality)
    tables.append((f"Cold start, {counts[-1]} threads.", cold_table(data, counts[-1], rounds)))
    _show_timings(tables, markdown)


def _pictures_or_show(pictures: tuple[Path, ...], show: Path | None) -> None:
    if show is not None and pictures:
        raise UsageError("--show measures nothing: leave out the pictures")
    if show is None and not pictures:
        raise UsageError("name pictures to measure on, or results with --show")


def _show_timings(tables: Sequence[Titled], markdown: bool) -> None:
    if markdown:
        from caecodec.bench.table import markdown_of

        click.echo(markdown_of(tables))
        return
    for title, table in tables:
        click.echo(textwrap.fill(title, 110))  # a title of its own would be as narrow as the table
        print_table(table, "")


def _end_timing(unavailable: dict[str, str], rows: Sequence[tuple[str, str | None]], *, measured: bool) -> None:
    """Say what did not work; after a measurement, leave with the status that says so."""
    warn_of_missing(unavailable)
    failed = [(what, error) for what, error in rows if error is not None]
    for what, error in failed:
        click.echo(f"{what}: {error}", err=True)
    if failed and measured:
        raise BatchError(f"{len(failed)} of {len(rows)} measurements failed")


def _positive(option: str, text: str, kind: type[Number]) -> list[Number]:
    """'0.1,2' -> numbers above 0, each once, rising. Raises UsageError."""
    try:
        found = sorted({kind(part) for part in names_of(text)})
    except ValueError as exc:
        raise UsageError(f"{option} {text!r}: write numbers with commas between") from exc
    if any(not 0 < number < _MOST for number in found):
        raise UsageError(f"{option} {text!r}: write numbers from above 0 to {_MOST}")
    return found
