"""The command `caecodec bench`. Importing it is cheap: the harness is imported inside the commands."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from caecodec.errors import BatchError, UsageError

if TYPE_CHECKING:
    from caecodec.bench.report import Table
    from caecodec.bench.results import Results

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_MOST = 10_000  # megapixels, or files of a batch
Command = TypeVar("Command", bound=Callable[..., Any])
Number = TypeVar("Number", int, float)
_results_file = click.argument("file", metavar="RESULTS.json", type=click.Path(path_type=Path))


@click.group()
def bench() -> None:
    """Measure codecs against each other on pictures of yours."""


@bench.command()
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...", type=click.Path(path_type=Path))
@click.option("--codecs", default="caecodec,jpeg", show_default=True, help="Names with commas between, or all.")
@click.option("--qualities", metavar="Q,Q,...", help="For every codec, instead of its own grid.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("results/rd.json"),
    show_default=True,
    help="Results; what is in it already is not measured again.",
)
@click.option("--anchor", default="jpeg", show_default=True, help="Codec that the table compares with.")
@click.option(
    "--metrics",
    "asked",
    default="psnr,ssim,ms-ssim",
    show_default=True,
    help="Of psnr, ssim, ms-ssim and ssimulacra2, or all; PSNR is always measured.",
)
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Folder for every file made.")
def rd(
    pictures: tuple[Path, ...],
    codecs: str,
    qualities: str | None,
    jobs: int,
    output: Path,
    anchor: str,
    asked: str,
    keep: Path | None,
) -> None:
    """Rate and distortion of codecs on pictures (files, or folders of lossless ones)."""
    for variable in _THREADS:
        os.environ[variable] = "1"  # before torch and numpy are imported, and for worker processes
    from caecodec.bench import bdrate, metrics
    from caecodec.bench import rd as measuring
    from caecodec.bench.codecs import open_codecs
    from caecodec.bench.report import comparison_table

    bdrate.require_bjontegaard()  # now, not after the measurements
    grid = None if qualities is None else _whole_numbers(qualities)
    beside_psnr = metrics.names(asked)
    metrics.require(beside_psnr)
    opened, missing = open_codecs([name.strip() for name in codecs.split(",")])
    for name, why in missing.items():
        click.echo(f"caecodec: warning: {name} does not work here: {why}", err=True)
    if not opened:
        raise UsageError("none of the codecs works here")
    found = measuring.find_pictures(pictures)
    with _Bar() as bar:
        results = measuring.run(
            opened,
            found,
            output,
            qualities=grid,
            asked=beside_psnr,
            keep=keep,
            processes=jobs,
            unavailable=missing,
            progress=bar.update,
        )
    _print(comparison_table(results, anchor), f"{output}: {len(results.rows)} rows")
    _report_failures(results)


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


@bench.command()
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
    from caecodec.bench import timing_report, timings

    if show is not None:
        results = timings.load_speed(show)
    else:
        from caecodec.bench import rd as measuring
        from caecodec.bench import speed as racing

        names, found = racing.checked_names(_names(codecs)), measuring.find_pictures(pictures)
        aim = timings.Aim(bpp=bpp) if quality is None else timings.Aim(quality=quality)
        with _Bar() as bar:
            results = racing.run(names, found, output, aim=aim, threads=threads, rounds=rounds, progress=bar.update)
    _show_timings(timing_report.speed_tables(results), markdown)
    _end_timing(results.unavailable, [(row.codec, row.error) for row in results.codecs], measured=show is None)


@bench.command()
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
    from caecodec.bench import growth_figure, timing_report, timings

    if show is not None:
        results = timings.load_growth(show)
    else:
        from caecodec.bench import growth as growing
        from caecodec.bench import rd as measuring
        from caecodec.bench.speed import checked_names

        names, found = checked_names(_names(codecs)), measuring.find_pictures(pictures)
        aim = timings.Aim(bpp=bpp) if quality is None else timings.Aim(quality=quality)
        with _Bar() as bar:
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
    _show_timings(timing_report.growth_tables(results), markdown)
    rows = [(f"{row.codec}, {row.megapixels:g} megapixels", row.error) for row in results.sizes]
    rows += [(f"{row.codec}, {row.files} files", row.error) for row in results.batches]
    _end_timing(results.unavailable, rows, measured=show is None)


def _pictures_or_show(pictures: tuple[Path, ...], show: Path | None) -> None:
    if show is not None and pictures:
        raise UsageError("--show measures nothing: leave out the pictures")
    if show is None and not pictures:
        raise UsageError("name pictures to measure on, or results with --show")


def _show_timings(tables: Sequence[tuple[str, Table]], markdown: bool) -> None:
    from caecodec.bench import timing_report

    if markdown:
        click.echo(timing_report.markdown(tables))
        return
    for title, table in tables:
        click.echo(textwrap.fill(title, 110))  # a title of its own would be as narrow as the table
        _print(table, "")


def _end_timing(unavailable: dict[str, str], rows: Sequence[tuple[str, str | None]], *, measured: bool) -> None:
    """Say what did not work; after a measurement, leave with the status that says so."""
    for name, why in unavailable.items():
        click.echo(f"caecodec: warning: {name} does not work here: {why}", err=True)
    failed = [(what, error) for what, error in rows if error is not None]
    for what, error in failed:
        click.echo(f"{what}: {error}", err=True)
    if failed and measured:
        raise BatchError(f"{len(failed)} of {len(rows)} measurements failed")


@bench.command()
@_results_file
@click.option("--markdown", is_flag=True, help="As the README has it.")
@click.option("--against", default="jpeg,webp,avif", show_default=True, help="Names with commas between.")
@click.option("--bd", "view", flag_value="bd", help="Instead: BD-rate and BD-PSNR of every codec against --anchor.")
@click.option("--metrics", "view", flag_value="metrics", help="Instead: every metric near round bit rates.")
@click.option("--overhead", "view", flag_value="overhead", help="Instead: bytes by part of the file.")
@click.option("--anchor", default="jpeg", show_default=True, help="Codec that --bd compares with.")
@click.option("--codecs", help="Of --metrics and --overhead; names with commas between.  [default: all]")
@click.option("--published", default="", help="Published curves to set beside --bd; names with commas between.")
@click.option("--curves", type=click.Path(path_type=Path), help="File of published curves.  [default: what ships]")
def table(
    file: Path,
    markdown: bool,
    against: str,
    view: str | None,
    anchor: str,
    codecs: str | None,
    published: str,
    curves: Path | None,
) -> None:
    """What other codecs need for the PSNR of caecodec at round bit rates."""
    from caecodec.bench import means, report, results
    from caecodec.bench import published as anchors

    found = results.load(file)
    chosen = None if codecs is None else _names(codecs)
    if view == "bd":
        beside = anchors.select(_names(published), found.pictures, curves or anchors.FILE)
        made = report.comparison_table(found, anchor, beside)
    elif view == "metrics":
        made = means.mean_table(found, chosen)
    elif view == "overhead":
        made = means.overhead_table(found, chosen)
    else:
        made = report.rate_table(found, _names(against))
    if markdown:
        click.echo(made.markdown())
    else:
        _print(made, str(file))


@bench.command()
@_results_file
def beats(file: Path) -> None:
    """Size of caecodec against progressive JPEG at equal PSNR, picture by picture."""
    from caecodec.bench import report, results

    _print(report.duel_table(results.load(file)), f"{file}: size against {report.BEATEN} at equal PSNR")


@bench.command()
@click.argument("model")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="The model's data set, as for training.")
@click.option("--set", "set_name", metavar="NAME", help="Which set it is, where the model's name does not say.")
@click.option("--pictures", type=click.IntRange(min=10), default=2000, show_default=True, help="At most, of a split.")
@click.option(
    "--anomaly",
    "checkpoint",
    metavar="CHECKPOINT",
    type=click.Path(path_type=Path),
    help="Of `caecodec train --without CLASS`: find that class by its reconstruction error.",
)
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), help="Folder.  [default: results/latents-MODEL]"
)
def latents(
    model: str, data: Path, set_name: str | None, pictures: int, checkpoint: Path | None, folder: Path | None
) -> None:
    """Latents as features: PCA, t-SNE, a linear probe, and anomalies by reconstruction error."""
    from caecodec.bench import latents as measuring

    with _Bar() as bar:
        summary, written = measuring.measure(
            model, data, folder, set_name=set_name, pictures=pictures, checkpoint=checkpoint, progress=bar.update
        )
    _print(summary.table(), str(written))


@bench.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--data", multiple=True, metavar="SET=PATH", help="A data set: cifar10, cifar100, fashion-mnist, mnist.")
@click.option("--limit", type=click.IntRange(min=1), help="Only so many pictures of each set, evenly spread.")
@click.option(
    "--curve-pictures",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Of each set, for the curves of models; what a table reports of one quality is of the whole set.",
)
@click.option(
    "--training",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("models/training"),
    show_default=True,
    help="Folder with NAME-drawn/weights.pt of the autoencoders as drawn.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("results/small.json"),
    show_default=True,
)
@click.option("--show", type=click.Path(path_type=Path), metavar="RESULTS.json", help="Measure nothing, show these.")
@click.option("--markdown", is_flag=True, help="As the README has it.")
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.png", help="Draw the curves.")
def small(
    models: tuple[str, ...],
    data: tuple[str, ...],
    limit: int | None,
    curve_pictures: int,
    training: Path,
    output: Path,
    show: Path | None,
    markdown: bool,
    figure: Path | None,
) -> None:
    """Small-picture models on whole test sets, beside JPEG and WebP (all models where none is named)."""
    if show is not None and (models or data):
        raise UsageError("--show measures nothing: leave out the models and --data")
    sets = _named_paths(data)
    from caecodec.bench import small as measuring
    from caecodec.bench import small_report

    if show is not None:
        results = measuring.load(show)
    else:
        planned, skipped = measuring.plan(models, sets)
        for line in skipped:
            click.echo(f"caecodec: warning: {line}", err=True)
        with _Bar() as bar:
            results = measuring.run(
                planned,
                sets,
                training,
                limit=limit,
                curve_pictures=curve_pictures,
                earlier=measuring.load(output) if output.exists() else None,
                keep=lambda results: measuring.save(results, output),
                progress=bar.update,
            )
        measuring.save(results, output)
    if figure is not None:
        small_report.draw(results, figure)
    if markdown:
        click.echo(small_report.markdown(results))
    else:
        for title, table in small_report.tables(results):
            _print(table, title)


@bench.command("report")
@click.argument("files", nargs=-1, required=True, metavar="RESULTS.json...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
)
@click.option(
    "--pictures",
    multiple=True,
    metavar="DIR_OR_FILE",
    type=click.Path(path_type=Path),
    help="Originals to look at; may be given again.",
)
@click.option("--view", metavar="NAME,...", help="Which of the pictures.  [default: the first two]")
@click.option("--view-codecs", default="caecodec,jpeg,avif", show_default=True, help="Names with commas between.")
@click.option("--view-bpp", type=click.FloatRange(min=0, min_open=True), default=0.3, show_default=True)
def report_page(
    files: tuple[Path, ...],
    output: Path,
    pictures: tuple[Path, ...],
    view: str | None,
    view_codecs: str,
    view_bpp: float,
) -> None:
    """One HTML page of results of rd, speed, growth and small; it opens from disk and loads nothing."""
    if view is not None and not pictures:
        raise UsageError("--view needs --pictures, where the originals are")
    for variable in _THREADS:
        os.environ[variable] = "1"  # as the measurements were made
    from caecodec.bench import bdrate, page, page_view
    from caecodec.files import make_folder, write_atomically

    bdrate.require_bjontegaard()
    views = page.NOTHING_SHOWN
    if pictures:
        names = None if view is None else _names(view)
        with _Bar() as bar:
            views = page_view.make(pictures, names, _names(view_codecs), view_bpp, bar.update)
    made = page.build(files, views).encode()
    make_folder(output.parent)
    write_atomically(str(output), made, overwrite=True)
    click.echo(f"{output}: {len(made) / 1e6:.1f} MB")


def _named_paths(pairs: tuple[str, ...]) -> dict[str, Path]:
    """'SET=PATH' -> set: path. Raises UsageError."""
    from caecodec.models import datasets

    found = {}
    for pair in pairs:
        name, _, path = pair.partition("=")
        if name not in datasets.NAMES or not path:
            raise UsageError(f"--data {pair!r}: write SET=PATH, with SET one of {', '.join(datasets.NAMES)}")
        found[name] = Path(path).expanduser()
    return found


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _positive(option: str, text: str, kind: type[Number]) -> list[Number]:
    """'0.1,2' -> numbers above 0, each once, rising. Raises UsageError."""
    try:
        found = sorted({kind(part) for part in _names(text)})
    except ValueError as exc:
        raise UsageError(f"{option} {text!r}: write numbers with commas between") from exc
    if any(not 0 < number < _MOST for number in found):
        raise UsageError(f"{option} {text!r}: write numbers from above 0 to {_MOST}")
    return found


def _whole_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as exc:
        raise UsageError(f"--qualities {text!r}: write whole numbers with commas between, like 10,50,90") from exc


def _print(made: Table, title: str) -> None:
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


def _report_failures(results: Results) -> None:
    for row in results.failures:
        click.echo(f"{row.picture}, {row.codec} at quality {row.quality}: {row.error}", err=True)
    if results.failures:
        raise BatchError(f"{len(results.failures)} of {len(results.rows)} measurements failed")


class _Bar:
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

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, done: int, of: int) -> None:
        self._progress.update(self._task, completed=done, total=of)
