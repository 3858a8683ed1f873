"""The context of z trained alone: in half an hour, as z is small and everything that makes it stays as it is.

`python -m caecodec.models.training.context_z CHECKPOINT -o NEW.pt --data SHARD --validation SHARD` analyses a crop of
every picture once and trains on what h_a made of them. CHECKPOINT may be one of before z had a context, when every
channel had one mean and one scale of each quality: these are what the new context begins with.
"""

from __future__ import annotations

import functools
import pickle
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from caecodec.entropy.order import STEPS
from caecodec.models.data import pictures
from caecodec.models.networks.layers import between
from caecodec.models.networks.photo import PhotoConfig, PhotoModel
from caecodec.models.networks.rate_model import SCALE_STEP, code
from caecodec.models.training import recipe
from caecodec.models.training.checkpoint import WEIGHT_KEYS, compact

_CROP = 768  # pixels
_SIDE = 8  # cells of z that a step of training sees, in a row and a column
_LEVELS = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)


def with_context(weights: Mapping[str, Tensor], config: PhotoConfig) -> PhotoModel:
    """A model of these weights; a context of z that they lack begins with the prior that z had."""
    model = PhotoModel(config)
    state = dict(weights)
    if "z_mean" in state:
        mean, index, log_gain = state.pop("z_mean"), state.pop("z_index"), state["log_gain_z"]
        bias = model.context_z.head_bias.detach().clone().reshape(STEPS, STEPS, 2, -1)  # (step, group, 2, Z/4)
        bias[:, :, 0] = (mean / log_gain.exp()).mean(0).reshape(STEPS, -1)
        bias[:, :, 1] = (index - log_gain / SCALE_STEP).mean(0).reshape(STEPS, -1)
        fresh = {key: value for key, value in model.state_dict().items() if key.startswith(("context_z.", "psi_z"))}
        fresh["context_z.head_weight"] = torch.zeros_like(fresh["context_z.head_weight"])
        state = fresh | {"context_z.head_bias": bias.flatten(-2)} | state
    model.load_state_dict(state)
    return model


@torch.inference_mode()
def analysed(model: PhotoModel, paths: Iterable[Path], rng: np.random.Generator, crop: int = _CROP) -> list[Tensor]:
    """z (Z, h, w) before its gain, of a crop of every picture: at a random place, and no larger than the picture."""
    found = []
    for encoded in pictures.encoded_pictures(list(paths)):
        picture = pictures.read(encoded)
        height, width = (min(crop, side) // 64 * 64 for side in picture.shape[:2])
        if not height or not width:
            continue
        top, left = (
            int(rng.integers(side - kept + 1)) for side, kept in zip(picture.shape, (height, width), strict=False)
        )
        part = picture[top : top + height, left : left + width].permute(2, 0, 1)[None].float() / 255
        found.append(model.analyse(part.contiguous(memory_format=torch.channels_last))[1][0])
    return found


def bits(model: PhotoModel, z: Tensor, level: Tensor, *, hard: bool) -> Tensor:
    """z (B, Z, h, w) before its gain, level (B,) -> bits of each picture (B,)."""
    at = model.position(level)
    scaled = z * between(model.log_gain_z, at).exp()
    return model.code_z(scaled, at, functools.partial(code, hard=hard, rdo=0.0))[1]


@torch.no_grad()
def measured(model: PhotoModel, held_out: Iterable[Tensor]) -> list[float]:
    """Bits that a cell of z takes as it is coded, at several levels."""
    found = []
    for level in _LEVELS:
        each = [(bits(model, z[None], torch.tensor([level]), hard=True).item(), z[0].numel()) for z in held_out]
        found.append(sum(b for b, _ in each) / sum(cells for _, cells in each))
    return found


def train(model: PhotoModel, seen: list[Tensor], steps: int, batch: int, lr: float, rng: np.random.Generator) -> None:
    """Train the context of z at random levels, on parts of `seen`; the rate falls to nothing over the second half.

    Everything else no longer asks for gradients. Raises ValueError where no z has 8x8 cells, and of a
    model with two tunes.
    """
    if model.config.tunes > 1:
        raise ValueError("this trains the context of z of models with one tune")
    model.requires_grad_(False)
    own = [*model.context_z.parameters(), model.psi_z]
    for parameter in own:
        parameter.requires_grad_()
    optimizer = torch.optim.Adam(own, lr, betas=(0.9, 0.99))
    large = [z for z in seen if min(z.shape[1:]) >= _SIDE]
    if not large:
        raise ValueError(f"no picture to train on of at least {64 * _SIDE}x{64 * _SIDE}")

    def part() -> Tensor:
        z = large[rng.integers(len(large))]
        top, left = (int(rng.integers(side - _SIDE + 1)) for side in z.shape[1:])
        return z[:, top : top + _SIDE, left : left + _SIDE]

    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, 2 * (1 - step / steps), (step + 1) / 100)
        z, level = torch.stack([part() for _ in range(batch)]), torch.rand(batch)
        loss = bits(model, z, level, hard=False).mean() / _SIDE**2
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The new checkpoint.")
@click.option("--recipe", "name", default="photo", help="Recipe whose sizes the model has.")
@click.option("--data", "train_on", type=click.Path(path_type=Path, exists=True), multiple=True, required=True)
@click.option("--validation", type=click.Path(path_type=Path, exists=True), multiple=True, required=True)
@click.option("--steps", default=4_000, show_default=True, help="Half an hour of two cores.")
@click.option("--batch", default=16, show_default=True, help="Parts of 8x8 cells in a step.")
@click.option("--lr", default=2e-3, show_default=True, help="Learning rate of the first half.")
@click.option("--cache", type=click.Path(path_type=Path), help="Keeps z of all pictures, for another try.")
def main(
    checkpoint: Path,
    output: Path,
    name: str,
    train_on: tuple[Path, ...],
    validation: tuple[Path, ...],
    steps: int,
    batch: int,
    lr: float,
    cache: Path | None,
) -> None:
    """Train the context of z of a photo model's CHECKPOINT alone."""
    wanted = recipe.load(name)
    config = wanted.model
    if not isinstance(config, PhotoConfig):
        raise click.UsageError(f"{name} is not a photo model")
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        model = with_context(state["ema"], config).eval()
    except (OSError, EOFError, KeyError, RuntimeError, TypeError, pickle.UnpicklingError) as exc:
        raise click.UsageError(f"{checkpoint}: not a checkpoint of the sizes of {name}") from exc
    if cache and cache.exists():
        seen, held_out = torch.load(cache, weights_only=True)
    else:
        seen, held_out = analysed(model, train_on, rng), analysed(model, validation, rng)
        if cache:
            torch.save((seen, held_out), cache)
    click.echo(f"{len(seen)} pictures, {len(held_out)} held out")
    before, begun = measured(model, held_out), time.monotonic()
    try:
        train(model, seen, steps, batch, lr, rng)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    took = time.monotonic() - begun
    after = measured(model, held_out)
    for level, old, new in zip(_LEVELS, before, after, strict=True):
        click.echo(f"level {level}: {old:.1f} bits a cell of z, {new:.1f} now, {new / old - 1:+.1%}")
    click.echo(f"{steps} steps of {batch} parts in {took:.0f} s")
    kept = {key: value for key, value in state.items() if key in WEIGHT_KEYS}
    entry = {
        "recipe": wanted.name,
        "only": "context_z",
        "steps": steps,
        "hours": round(took / 3600, 3),
        "device": "cpu",
    }
    changed = {"config": config.to_dict(), "recipe": wanted.text, "validation": {}}  # that was of another model
    history = [*state.get("history", []), entry]
    torch.save(kept | changed | {"history": history, "ema": compact(model.state_dict())}, output)


if __name__ == "__main__":
    main()
