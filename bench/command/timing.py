"""The commands `caecodec bench speed`, `growth` and `stages`."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from caecodec.bench.command.terminal import Bar, names_of, print_table
from caecodec.errors import BatchError, UsageError

if TYPE_CHECKING:
    from caecodec.bench.table import Titled

_MOST = 10_000  # megapixels, or files of a batch
Command = TypeVar("Command", bound=Callable[..., Any])
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
    click.option(
        "--show", type=click.Path(path_type=Path), metavar="RESULTS.json", help="Measure nothing, show these."
    ),
    click.option("--markdown", is_flag=True, help="As the README has it."),
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
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("results/speed.json"),
    show_default=True,
    help="Results; what is in it already is not measured again.",
)
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
    from caecodec.bench.timing import report
    from caecodec.bench.timing import results as timings

    if show is not None:
        results = timings.load_speed(show)
    else:
        from caecodec.bench.codecs.registry import known_names
        from caecodec.bench.pictures import find_pictures
        from caecodec.bench.timing import speed as racing

        names, found = known_names(names_of(codecs)), find_pictures(pictures)
        aim = timings.Aim(bpp=bpp) if quality is None else timings.Aim(quality=quality)
        with Bar() as bar:
            results = racing.run(names, found, output, aim=aim, threads=threads, rounds=rounds, progress=bar.update)
    _show_timings(report.speed_tables(results), markdown)
    _end_timing(results.unavailable, [(row.codec, row.error) for row in results.codecs], measured=show is None)


@click.command()
@_timing
@click.option("--codecs", default="caecodec", show_default=True, help="Names with commas between, or all.")
@click.option("--sizes", default="0.1,0.4,2,12,24", show_default=True, help="Megapixels of one picture.")
@click.option("--batches", default="1,10,100", show_default=True, help="Files that the command is given.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("results/growth.json"),
    show_default=True,
    help="Results; what is in it already is not measured again.",
)
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.png", help="Draw the curves.")
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
    from caecodec.bench.timing import figure as growth_figure
    from caecodec.bench.timing import report
    from caecodec.bench.timing import results as timings

    if show is not None:
        results = timings.load_growth(show)
    else:
        from caecodec.bench.codecs.registry import known_names
        from caecodec.bench.pictures import find_pictures
        from caecodec.bench.timing import growth as growing

        names, found = known_names(names_of(codecs)), find_pictures(pictures)
        aim = timings.Aim(bpp=bpp) if quality is None else timings.Aim(quality=quality)
        with Bar() as bar:
            results = growing.run(
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
        growth_figure.draw(results, figure)
    _show_timings(report.growth_tables(results), markdown)
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
    """Where the time of coding one PICTURE goes, warm and from a cold start, and what its convolutions reach."""
    counts = _positive("--threads", threads, int)
    from caecodec.bench.pictures import load_pixels
    from caecodec.bench.timing import mosaic
    from caecodec.bench.timing import stages as breakdown
    from caecodec.codecs import opening
    from caecodec.pictures import picture as pixels

    array = load_pixels(picture)
    loaded = pixels.from_array(array if megapixels is None else mosaic.mosaic([array], *mosaic.sides(megapixels)))
    title = f"{loaded.width}x{loaded.height}, quality {quality}; columns: direction, threads; the fastest of {rounds}."
    tables = [(title, breakdown.stage_table(loaded, quality, counts, rounds, model))]
    data = opening.open_codec(model).encode(loaded, quality)
    tables.append((f"Cold start, {counts[-1]} threads.", breakdown.cold_table(data, counts[-1], rounds)))
    _show_timings(tables, markdown)
    reached = breakdown.alone_of(loaded, quality, model)
    click.echo("Each convolution alone, on all cores: g_a {:.0f}, g_s {:.0f} GMAC/s.".format(*reached))


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
    for name, why in unavailable.items():
        click.echo(f"caecodec: warning: {name} does not work here: {why}", err=True)
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
