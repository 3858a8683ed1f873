"""The commands `caecodec bench rd`, `table` and `beats`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from caecodec.bench.command.merge import mixed_option
from caecodec.bench.command.terminal import (
    KEPT,
    Bar,
    hold_to_one_thread,
    markdown_option,
    names_of,
    output_option,
    print_table,
    working_codecs,
)
from caecodec.errors import BatchError, UsageError

if TYPE_CHECKING:
    from caecodec.bench.metrics.metrics import Metric
    from caecodec.bench.metrics.published import Published
    from caecodec.bench.rd.results import Results
    from caecodec.bench.table import Table

_ANCHOR = "jpeg, or the first that was measured"
_results_file = click.argument("file", metavar="RESULTS.json", type=click.Path(path_type=Path))


@click.command()
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...", type=click.Path(path_type=Path))
@click.option("--codecs", default="caecodec,jpeg", show_default=True, help="Names with commas between, or all.")
@click.option(
    "--commands",
    multiple=True,
    metavar="FILE.toml",
    type=click.Path(path_type=Path),
    help="More codecs, as command lines.",
)
@click.option("--qualities", metavar="Q,Q,...", help="For every codec, instead of its own grid.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@output_option(None, f"{KEPT}  [default: results/rd-NAME.json, of the first PICTURE]")
@click.option("--anchor", help=f"Codec that the table compares with.  [default: {_ANCHOR}]")
@click.option(
    "--metrics",
    "asked",
    default="all",
    show_default=True,
    help="Only these of psnr, ssim, ms_ssim and ssimulacra2; PSNR is always measured.",
)
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Folder for every file made.")
@click.option(
    "--crop", type=click.IntRange(min=16), metavar="PIXELS", help="The middle square alone; in a file of its own."
)
@click.option("--time", "timed", is_flag=True, help="Note the seconds of encoding, for `table --efforts`.")
def rd(
    pictures: tuple[Path, ...],
    codecs: str,
    commands: tuple[Path, ...],
    qualities: str | None,
    jobs: int,
    output: Path | None,
    anchor: str | None,
    asked: str,
    keep: Path | None,
    crop: int | None,
    timed: bool,
) -> None:
    """Rate and distortion of codecs on pictures (files, or folders of lossless ones)."""
    hold_to_one_thread()
    from caecodec.bench.metrics import bdrate, metrics
    from caecodec.bench.pictures import find_pictures
    from caecodec.bench.rd.bd_tables import comparison_table, measured_anchor
    from caecodec.bench.rd.run import measure_rd

    bdrate.require_bjontegaard()  # now, not after the measurements
    grid = None if qualities is None else _whole_numbers(qualities)
    beside_psnr = metrics.names(asked)
    metrics.require(beside_psnr)
    opened, missing = working_codecs(codecs, commands)
    found = find_pictures(pictures, crop)
    path = output or Path("results") / f"rd-{pictures[0].resolve().stem}.json"
    with Bar() as bar:
        results = measure_rd(
            opened,
            found,
            path,
            qualities=grid,
            asked=beside_psnr,
            keep=keep,
            timed=timed,
            processes=jobs,
            unavailable=missing,
            progress=bar.update,
        )
    print_table(comparison_table(results, anchor or measured_anchor(results)), f"{path}: {len(results.rows)} rows")
    _report_failures(results)


@click.command()
@_results_file
@markdown_option
@click.option("--against", help="Names with commas between.  [default: jpeg,webp,avif, or what was measured of them]")
@click.option("--bd", "view", flag_value="bd", help="Instead: BD-rate and BD-PSNR of every codec against --anchor.")
@click.option("--metrics", "view", flag_value="metrics", help="Instead: every metric near round bit rates.")
@click.option("--overhead", "view", flag_value="overhead", help="Instead: bytes by part of the file.")
@click.option("--efforts", "view", flag_value="efforts", help="Instead: what each effort of caecodec buys, and costs.")
@click.option(
    "--each",
    "view",
    flag_value="each",
    help="Instead: each picture at about quality 50 and 75, others at as many bytes.",
)
@click.option("--direct", metavar="CODEC", help="Instead: BD-rates of CODEC directly against each of the others.")
@click.option("--anchor", help=f"Codec that --bd compares with.  [default: {_ANCHOR}]")
@click.option(
    "--metric",
    "asked",
    multiple=True,
    metavar="METRIC",
    help="psnr, ssim, ms_ssim or ssimulacra2. Of --bd and --direct several, one --metric each, or all: all but ssim."
    "  [default: psnr; of --direct all]",
)
@click.option("--codecs", help="Of --direct, --metrics and --overhead; names with commas between.  [default: all]")
@mixed_option
@click.option("--published", default="", help="Published curves for --bd and --direct; names with commas between.")
@click.option("--curves", type=click.Path(path_type=Path), help="File of published curves.  [default: what ships]")
def table(
    file: Path,
    markdown: bool,
    against: str | None,
    view: str | None,
    direct: str | None,
    anchor: str | None,
    asked: tuple[str, ...],
    codecs: str | None,
    mixed: bool,
    published: str,
    curves: Path | None,
) -> None:
    """What other codecs need for the quality of caecodec at round bit rates."""
    from caecodec.bench.metrics.claims import TITLE, claims_table
    from caecodec.bench.metrics.published import FILE, select
    from caecodec.bench.rd.merge import refuse_mixed
    from caecodec.bench.rd.results import load_rd

    view = _one_view(view, direct)
    metrics = _metrics_of(view, asked)
    found = load_rd(file)
    if not mixed:
        refuse_mixed(found, timed=view == "efforts")
    chosen = None if codecs is None else names_of(codecs)
    beside = select(names_of(published), found.pictures, curves or FILE)
    if view in ("bd", "direct"):
        made = _bd_table(found, metrics, anchor, direct, chosen, beside)
    else:
        made = _other_table(found, view, metrics, None if against is None else names_of(against), chosen)
    below = claims_table() if direct is not None else None
    if markdown:
        click.echo(made.markdown() + (f"\n\n{TITLE}:\n\n{below.markdown()}" if below else ""))
        return
    print_table(made, str(file))
    if below:
        print_table(below, TITLE)


@click.command()
@_results_file
def beats(file: Path) -> None:
    """Size of caecodec against progressive JPEG at equal PSNR, picture by picture."""
    from caecodec.bench.rd.report import BEATEN, duel_table
    from caecodec.bench.rd.results import load_rd

    print_table(duel_table(load_rd(file)), f"{file}: size against {BEATEN} at equal PSNR")


def _one_view(view: str | None, direct: str | None) -> str | None:
    """Which table is asked for. Raises UsageError where it is two."""
    if direct is None:
        return view
    if view is not None:
        raise UsageError(f"--direct and --{view} are two tables: ask for one")
    return "direct"


def _metrics_of(view: str | None, asked: tuple[str, ...]) -> tuple[Metric, ...]:
    """What a table is by. Raises UsageError where it is not by metrics, or by one only."""
    from caecodec.bench.metrics.metrics import chosen

    found = chosen(asked or (("all",) if view == "direct" else ("psnr",)))
    if asked and view not in (None, "each", "bd", "direct"):
        raise UsageError(f"--metric is not for --{view}")
    if view in (None, "each") and len(found) > 1:
        raise UsageError("this table is by one metric; --bd and --direct take several")
    return found


def _bd_table(
    found: Results,
    metrics: Sequence[Metric],
    anchor: str | None,
    direct: str | None,
    codecs: Sequence[str] | None,
    beside: Sequence[Published],
) -> Table:
    from caecodec.bench.rd.bd_tables import comparison_table, direct_table, measured_anchor, metrics_table

    if direct is not None:
        return direct_table(found, direct, metrics, codecs, beside)
    (against,) = [measured_anchor(found)] if anchor is None else found.named([anchor])
    if len(metrics) > 1:
        return metrics_table(found, metrics, against, beside)
    return comparison_table(found, against, beside, metrics[0])


def _other_table(
    found: Results,
    view: str | None,
    metrics: Sequence[Metric],
    against: Sequence[str] | None,
    codecs: Sequence[str] | None,
) -> Table:
    from caecodec.bench.rd.each import each_table
    from caecodec.bench.rd.effort import effort_table
    from caecodec.bench.rd.means import mean_table, overhead_table
    from caecodec.bench.rd.report import measured_against, our_codec, rate_table

    if view == "metrics":
        return mean_table(found, codecs)
    if view == "overhead":
        return overhead_table(found, codecs)
    if view == "efforts":
        return effort_table(found)
    ours = our_codec(found)
    others = measured_against(found, ours) if against is None else found.named(against)
    if view == "each":
        return each_table(found, others, ours, metrics[0])
    return rate_table(found, others, ours, metrics[0])


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
