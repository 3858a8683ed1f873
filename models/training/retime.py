"""A trained model over another range of lambda: the same model where both ranges have it, continued in a line beyond.

`python -m caecodec.models.training.retime CHECKPOINT -o NEW.pt --recipe tiny` gives a model of small pictures the range
of a recipe. What it does far below the lowest lambda that it has seen was never trained, and is not far from what
training would make of it: gains, biases and modulation are nearly straight lines over the logarithm of lambda.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import click
import torch
from torch import Tensor

from caecodec.models.export.model_file import load_checkpoint
from caecodec.models.networks.tiny import TinyConfig, TinyModel
from caecodec.models.training import recipe
from caecodec.models.training.checkpoint import WEIGHT_KEYS

_TABLES = {"log_gain": 0, "log_gain_out": 0, "bias": 1, "modulation": 0}  # of a tiny model, and the axis of anchors


class Range(Protocol):
    """What a configuration says of levels, see `caecodec.models.networks.levels.LambdaRange`."""

    @property
    def anchors(self) -> int: ...

    def lambda_at(self, level: float) -> float: ...

    def level_of(self, lam: float) -> float: ...


def retimed(table: Tensor, old: Range, new: Range, axis: int = 0) -> Tensor:
    """A table by anchors of the old range, along `axis`, -> by those of the new one."""
    rows = []
    for anchor in range(new.anchors):
        place = old.level_of(new.lambda_at(anchor / (new.anchors - 1))) * (old.anchors - 1)
        low = min(max(math.floor(place), 0), old.anchors - 2)
        rows.append(torch.lerp(table.select(axis, low), table.select(axis, low + 1), place - low))
    return torch.stack(rows, axis)


def retimed_model(model: TinyModel, config: TinyConfig) -> dict[str, Tensor]:
    """State of a model of `config` that does what `model` does. Raises ValueError where more than the range differs."""
    old = model.config
    if replace(old, anchors=config.anchors, lambda_min=config.lambda_min, lambda_max=config.lambda_max) != config:
        raise ValueError("only anchors and the range of lambda may differ")
    state = model.state_dict()
    return state | {name: retimed(state[name], old, config, axis) for name, axis in _TABLES.items()}


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The new checkpoint.")
@click.option("--recipe", "name", required=True, help="Recipe with the new range.")
def main(checkpoint: Path, output: Path, name: str) -> None:
    """Give a trained model of small pictures the range of a recipe."""
    model, _ = load_checkpoint(checkpoint)
    wanted = recipe.load(name)
    config = wanted.model
    if not isinstance(model, TinyModel) or not isinstance(config, TinyConfig):
        raise click.UsageError("only models of the family tiny are given another range so")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    kept = {key: state[key] for key in WEIGHT_KEYS} | {
        "config": config.to_dict(),
        "recipe": wanted.text,
        "validation": {},
    }
    torch.save({"ema": retimed_model(model, config)} | kept, output)
    click.echo(f"{output}: lambda {model.config.lambda_min:g} to {model.config.lambda_max:g} -> ", nl=False)
    click.echo(f"{config.lambda_min:g} to {config.lambda_max:g}")


if __name__ == "__main__":
    main()
