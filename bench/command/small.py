"""The commands `caecodec bench small` and `latents`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from caecodec.bench.command.terminal import (
    Bar,
    figure_option,
    markdown_option,
    output_option,
    print_table,
    show_option,
)
from caecodec.errors import UsageError

if TYPE_CHECKING:
    from caecodec.bench.small.results import SmallResults


@click.command()
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
    from caecodec.bench.small.features import measure_features

    with Bar() as bar:
        summary, written = measure_features(
            model, data, folder, set_name=set_name, pictures=pictures, checkpoint=checkpoint, progress=bar.update
        )
    print_table(summary.table(), str(written))


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--data", required=True, metavar="SET=PATH", help="The data set, of which the test pictures are taken.")
@click.option("--bytes", "size", type=float, required=True, help="Of a picture's file, in the mean, at most.")
@click.option("--pictures", type=click.IntRange(min=1), default=1000, show_default=True, help="At most.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("results/beside.png"), show_default=True,
    help="Picture: originals, and under them what comes back of each model.",
)  # fmt: skip
def beside(models: tuple[str, ...], data: str, size: float, pictures: int, output: Path) -> None:
    """Models of small pictures beside each other at equal bytes: names, NAME@EFFORT, or .safetensors files."""
    ((small_set, path),) = _named_paths((data,)).items()
    from caecodec.bench.small.beside import beside_table, measure_beside
    from caecodec.bench.small.features import some_of

    rows, drawn = measure_beside(models, small_set, some_of(small_set, path, pictures), size, output)
    print_table(beside_table(rows), str(drawn))


@click.command()
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
    default=Path("models/runs"),
    show_default=True,
    help="Folder with NAME-drawn/weights.pt of the autoencoders as drawn.",
)
@output_option("results/small.json", None)
@show_option
@markdown_option
@figure_option
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
    from caecodec.bench.small.report import small_tables
    from caecodec.bench.small.results import load_small
    from caecodec.bench.table import markdown_of

    results = load_small(show) if show else _measure(models, sets, training, limit, curve_pictures, output)
    if figure is not None:
        from caecodec.bench.small.figures import draw_curves

        draw_curves(results, figure)
    if markdown:
        click.echo(markdown_of(small_tables(results)))
    else:
        for title, table in small_tables(results):
            print_table(table, title)


def _measure(
    models: tuple[str, ...],
    sets: dict[str, Path],
    training: Path,
    limit: int | None,
    curve_pictures: int,
    output: Path,
) -> SmallResults:
    """Measure what `output` does not hold yet; it is saved at every step."""
    from caecodec.bench.small.results import load_small, save_small
    from caecodec.bench.small.run import measure_small, plan

    planned, skipped = plan(models, sets)
    for line in skipped:
        click.echo(f"caecodec: warning: {line}", err=True)
    with Bar() as bar:
        results = measure_small(
            planned,
            sets,
            training,
            limit=limit,
            curve_pictures=curve_pictures,
            earlier=load_small(output) if output.exists() else None,
            keep=lambda results: save_small(results, output),
            progress=bar.update,
        )
    save_small(results, output)
    return results


def _named_paths(pairs: tuple[str, ...]) -> dict[str, Path]:
    """'SET=PATH' -> set: path. Raises UsageError."""
    from caecodec.models.data import datasets

    found = {}
    for pair in pairs:
        name, _, path = pair.partition("=")
        if name not in datasets.NAMES or not path:
            raise UsageError(f"--data {pair!r}: write SET=PATH, with SET one of {', '.join(datasets.NAMES)}")
        found[name] = Path(path).expanduser()
    return found
