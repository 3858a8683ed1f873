"""The command `caecodec bench`. Importing it is cheap: the harness is imported inside the commands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from caecodec.bench.command import small, timing, words
from caecodec.bench.command.terminal import Bar, names_of, print_table
from caecodec.errors import BatchError, UsageError

if TYPE_CHECKING:
    from caecodec.bench.rd.results import Results

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_results_file = click.argument("file", metavar="RESULTS.json", type=click.Path(path_type=Path))


@click.group()
def bench() -> None:
    """Measure codecs against each other on pictures of yours."""


for _command in (timing.speed, timing.growth, timing.stages, small.small, small.latents):
    bench.add_command(_command)
bench.add_command(words.words)


@bench.command()
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...", type=click.Path(path_type=Path))
@click.option("--codecs", default="caecodec,jpeg", show_default=True, help="Names with commas between, or all.")
@click.option("--qualities", metavar="Q,Q,...", help="For every codec, instead of its own grid.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Results; what is in it already is not measured again.  [default: results/rd-NAME.json, of the first PICTURE]",
)
@click.option("--anchor", default="jpeg", show_default=True, help="Codec that the table compares with.")
@click.option(
    "--metrics",
    "asked",
    default="all",
    show_default=True,
    help="Only these of psnr, ssim, ms_ssim and ssimulacra2; PSNR is always measured.",
)
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Folder for every file made.")
@click.option(
    "--crop",
    type=click.IntRange(min=16),
    metavar="PIXELS",
    help="The middle square alone; in a file of its own.",
)
@click.option("--time", "timed", is_flag=True, help="Note the seconds of encoding, for `table --efforts`.")
def rd(
    pictures: tuple[Path, ...],
    codecs: str,
    qualities: str | None,
    jobs: int,
    output: Path | None,
    anchor: str,
    asked: str,
    keep: Path | None,
    crop: int | None,
    timed: bool,
) -> None:
    """Rate and distortion of codecs on pictures (files, or folders of lossless ones)."""
    for variable in _THREADS:
        os.environ[variable] = "1"  # before torch and numpy are imported, and for worker processes
    from caecodec.bench.codecs.registry import open_codecs
    from caecodec.bench.metrics import bdrate, metrics
    from caecodec.bench.pictures import find_pictures
    from caecodec.bench.rd import run as measuring
    from caecodec.bench.rd.bd_tables import comparison_table

    bdrate.require_bjontegaard()  # now, not after the measurements
    grid = None if qualities is None else _whole_numbers(qualities)
    beside_psnr = metrics.names(asked)
    metrics.require(beside_psnr)
    opened, missing = open_codecs(names_of(codecs))
    for name, why in missing.items():
        click.echo(f"caecodec: warning: {name} does not work here: {why}", err=True)
    if not opened:
        raise UsageError("none of the codecs works here")
    found = find_pictures(pictures, crop)
    if output is None:
        output = Path("results") / f"rd-{pictures[0].resolve().stem}.json"
    with Bar() as bar:
        results = measuring.run(
            opened,
            found,
            output,
            qualities=grid,
            asked=beside_psnr,
            keep=keep,
            timed=timed,
            processes=jobs,
            unavailable=missing,
            progress=bar.update,
        )
    print_table(comparison_table(results, anchor), f"{output}: {len(results.rows)} rows")
    _report_failures(results)


@bench.command()
@_results_file
@click.option("--markdown", is_flag=True, help="As the README has it.")
@click.option("--against", default="jpeg,webp,avif", show_default=True, help="Names with commas between.")
@click.option("--bd", "view", flag_value="bd", help="Instead: BD-rate and BD-PSNR of every codec against --anchor.")
@click.option("--metrics", "view", flag_value="metrics", help="Instead: every metric near round bit rates.")
@click.option("--overhead", "view", flag_value="overhead", help="Instead: bytes by part of the file.")
@click.option("--efforts", "view", flag_value="efforts", help="Instead: what each effort of caecodec buys, and costs.")
@click.option("--direct", metavar="CODEC", help="Instead: BD-rates of CODEC directly against each of the others.")
@click.option("--anchor", default="jpeg", show_default=True, help="Codec that --bd compares with.")
@click.option(
    "--metric",
    "asked",
    multiple=True,
    metavar="METRIC",
    help="psnr, ssim, ms_ssim or ssimulacra2. Of --bd and --direct several, one --metric each, or all: all but ssim."
    "  [default: psnr; of --direct all]",
)
@click.option("--codecs", help="Of --direct, --metrics and --overhead; names with commas between.  [default: all]")
@click.option("--published", default="", help="Published curves for --bd and --direct; names with commas between.")
@click.option("--curves", type=click.Path(path_type=Path), help="File of published curves.  [default: what ships]")
def table(
    file: Path,
    markdown: bool,
    against: str,
    view: str | None,
    direct: str | None,
    anchor: str,
    asked: tuple[str, ...],
    codecs: str | None,
    published: str,
    curves: Path | None,
) -> None:
    """What other codecs need for the quality of caecodec at round bit rates."""
    from caecodec.bench.metrics import claims, metrics
    from caecodec.bench.metrics import published as anchors
    from caecodec.bench.rd import bd_tables, effort, means, report, results

    if direct is not None:
        if view is not None:
            raise UsageError(f"--direct and --{view} are two tables: ask for one")
        view = "direct"
    of = metrics.chosen(asked or (("all",) if view == "direct" else ("psnr",)))
    if asked and view not in (None, "bd", "direct"):
        raise UsageError(f"--metric is not for --{view}")
    if view is None and len(of) > 1:
        raise UsageError("this table is by one metric; --bd and --direct take several")
    found = results.load(file)
    chosen = None if codecs is None else names_of(codecs)
    beside = anchors.select(names_of(published), found.pictures, curves or anchors.FILE)
    below = None
    if direct is not None:
        made, below = bd_tables.direct_table(found, direct, of, chosen, beside), claims.table()
    elif view == "bd" and len(of) > 1:
        made = bd_tables.metrics_table(found, of, anchor, beside)
    elif view == "bd":
        made = bd_tables.comparison_table(found, anchor, beside, of[0])
    elif view == "metrics":
        made = means.mean_table(found, chosen)
    elif view == "efforts":
        made = effort.effort_table(found)
    elif view == "overhead":
        made = means.overhead_table(found, chosen)
    else:
        made = report.rate_table(found, names_of(against), metric=of[0])
    if markdown:
        click.echo(made.markdown() + (f"\n\n{claims.TITLE}:\n\n{below.markdown()}" if below else ""))
        return
    print_table(made, str(file))
    if below:
        print_table(below, claims.TITLE)


@bench.command()
@_results_file
def beats(file: Path) -> None:
    """Size of caecodec against progressive JPEG at equal PSNR, picture by picture."""
    from caecodec.bench.rd import report, results

    print_table(report.duel_table(results.load(file)), f"{file}: size against {report.BEATEN} at equal PSNR")


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
    from caecodec.bench.metrics import bdrate
    from caecodec.bench.page import build
    from caecodec.bench.page import view as page_view
    from caecodec.files.jobs import make_folder, write_atomically

    bdrate.require_bjontegaard()
    views = build.NOTHING_SHOWN
    if pictures:
        names = None if view is None else names_of(view)
        with Bar() as bar:
            views = page_view.make(pictures, names, names_of(view_codecs), view_bpp, bar.update)
    made = build.build(files, views).encode()
    make_folder(output.parent)
    write_atomically(str(output), made, overwrite=True)
    click.echo(f"{output}: {len(made) / 1e6:.1f} MB")


def _whole_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as exc:
        raise UsageError(f"--qualities {text!r}: write whole numbers with commas between, like 10,50,90") from exc


def _report_failures(results: Results) -> None:
    for row in results.failures:
        click.echo(f"{row.picture}, {row.codec} at quality {row.quality}: {row.error}", err=True)
    if results.failures:
        raise BatchError(f"{len(results.failures)} of {len(results.rows)} measurements failed")
