"""The commands that make models: `train` and `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from caecodec.command.options import debug_option


@click.command(short_help="Train a model by a RECIPE.")
@click.argument("recipe")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), help="Run folder.  [default: runs/NAME]")
@click.option(
    "--data",
    multiple=True,
    metavar="PATH",
    help="What to train on: folders, tar shards or pictures; a data set as NAME=PATH.",
)
@click.option(
    "--validation", multiple=True, metavar="PATH", help="Pictures to validate on.  [default: some of --data, held out]"
)
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="End after so long, the schedule finished."
)
@click.option("--resume", is_flag=True, help="Continue the run in the folder.")
@click.option("--from", "start", type=click.Path(path_type=Path), help="Start from the weights of a checkpoint.")
@click.option(
    "--branch", type=click.Path(path_type=Path), help="Start where another run stands, its optimiser's state and all."
)
@click.option(
    "--schedule",
    type=click.Choice(["whole", "constant", "decay"]),
    help="Learning rate: constant then to zero; constant until stopped; to zero at once.  [default: whole]",
)
@click.option("--decoder-only", is_flag=True, help="Keep the encoder, train the rest on latents as they are coded.")
@click.option("--drawn", is_flag=True, help="Train an autoencoder of the literature as drawn: floats, no codec.")
@click.option("--without", default="", metavar="CLASS", help="Leave a class of the data set out.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="cpu or cuda.  [default: cuda where there is one]")
@click.option("--compile/--no-compile", "compile_model", default=None, help="torch.compile.  [default: on CUDA]")
@click.option("--seed", type=int, help="Other than the recipe's.")
@debug_option
def train(recipe: str, folder: Path | None, data: tuple[str, ...], validation: tuple[str, ...], **options: Any) -> None:
    """Train a model by a RECIPE (a .toml file, or the name of one that ships)."""
    from caecodec.models.training import run

    run.run_recipe(recipe, folder, data, validation, **options)


@click.command(short_help="Turn a CHECKPOINT into a model.")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), required=True, help="Folder for the model.")
@click.option("--name", help="Name of the model.  [default: the recipe's]")
@click.option("--data", default="", help="One line on what it was trained on, for `caecodec models`.")
@click.option("--measured", default="", help="One line on its measured quality, for `caecodec models`.")
@click.option("--fit", metavar="PATH", help="Photographs (256x256 at least) to fit tables and qualities to.")
@click.option("--check", "check", metavar="PATH", help="Pictures to compare integers and floats, and SSIMULACRA2, on.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing model.")
@debug_option
def export(
    checkpoint: Path,
    folder: Path,
    name: str | None,
    data: str,
    measured: str,
    fit: str | None,
    check: str | None,
    force: bool,
) -> None:
    """Turn a training CHECKPOINT into a model that encode and decode can use."""
    from caecodec.models.export import model_file

    summary, to_fit = {"data": data, "quality": measured}, Path(fit) if fit else None
    path = model_file.export(checkpoint, folder, name, summary, overwrite=force, fit=to_fit)
    click.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    for cost in model_file.costs_of_integers(checkpoint, path, Path(check)) if check else ():
        bits = f"{cost.float_bits:.0f} bits in float, {cost.integer_bits:.0f} in integers"
        psnr = f"{cost.float_psnr:.2f} dB ({cost.integer_psnr - cost.float_psnr:+.4f})"
        click.echo(f"quality {cost.quality}: {bits} ({100 * cost.growth:+.3f} %), {psnr}")
    for quality, scores in model_file.scores_of_qualities(path, Path(check)).items() if check and fit else ():
        error = f"{scores.mean() - quality:+.1f} on average, {abs(scores - quality).mean():.1f} a picture"
        click.echo(f"quality {quality}: SSIMULACRA2 {scores.mean():.1f} ({error})")
