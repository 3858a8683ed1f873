"""The command `caecodec bench`. Importing it is cheap: the harness is imported inside the commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from caecodec.errors import BatchError, UsageError

if TYPE_CHECKING:
    from caecodec.bench.report import Table
    from caecodec.bench.results import Results

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
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
def rd(pictures: tuple[Path, ...], codecs: str, qualities: str | None, jobs: int, output: Path, anchor: str) -> None:
    """Rate and distortion of codecs on pictures (files, or folders of lossless ones)."""
    for variable in _THREADS:
        os.environ[variable] = "1"  # before torch and numpy are imported, and for worker processes
    from caecodec.bench import bdrate
    from caecodec.bench import rd as measuring
    from caecodec.bench.codecs import open_codecs
    from caecodec.bench.report import comparison_table

    bdrate.require_bjontegaard()  # now, not after the measurements
    grid = None if qualities is None else _whole_numbers(qualities)
    opened, missing = open_codecs([name.strip() for name in codecs.split(",")])
    for name, why in missing.items():
        click.echo(f"caecodec: warning: {name} does not work here: {why}", err=True)
    if not opened:
        raise UsageError("none of the codecs works here")
    found = measuring.find_pictures(pictures)
    with _Bar() as bar:
        results = measuring.run(
            opened, found, output, qualities=grid, processes=jobs, unavailable=missing, progress=bar.update
        )
    _print(comparison_table(results, anchor), f"{output}: {len(results.rows)} rows")
    _report_failures(results)


@bench.command()
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...", type=click.Path(path_type=Path))
@click.option("--model", help="Name, id or .safetensors file.")
@click.option("-q", "--quality", type=click.IntRange(1, 100), default=50, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=os.cpu_count() or 1, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
def speed(pictures: tuple[Path, ...], model: str | None, quality: int, threads: int, rounds: int) -> None:
    """Warm speed of caecodec: megapixels per second, start-up left out."""
    for variable in _THREADS:
        os.environ[variable] = str(threads)
    from caecodec.bench import rd as measuring
    from caecodec.bench import speed as measure

    found = measuring.find_pictures(pictures)
    click.echo(str(measure.measure([p.path for p in found], model, quality, threads, rounds)))


@bench.command()
@_results_file
@click.option("--markdown", is_flag=True, help="As the README has it.")
@click.option("--against", default="jpeg,webp,avif", show_default=True, help="Names with commas between.")
def table(file: Path, markdown: bool, against: str) -> None:
    """What other codecs need for the PSNR of caecodec at round bit rates."""
    from caecodec.bench import report, results

    made = report.rate_table(results.load(file), [name.strip() for name in against.split(",")])
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
    Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False).print(shown)


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
