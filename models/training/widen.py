"""A photo model with more channels of y, or over another range of lambda, that begins as a trained one.

`python -m caecodec.models.training.widen CHECKPOINT -o NEW.pt --recipe photo --data SHARD` measures what the trained
model leaves of pictures when nothing is quantised, and gives each new channel one direction of that: the principal
components of the residual, with brightness weighted over colour as an eye does. Without more channels no
rate lifts the quality of textured pictures; `grow` adds depth and width of the networks, which is another thing.

`caecodec train photo --from NEW.pt` goes on from there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import torch
from torch import Tensor

from caecodec.entropy.order import STEPS
from caecodec.models.data import pictures
from caecodec.models.export.model_file import load_checkpoint
from caecodec.models.networks.klt import largest
from caecodec.models.networks.layers import interpolate, space_to_depth
from caecodec.models.networks.photo import PATCH, PhotoConfig, PhotoModel
from caecodec.models.networks.rate_model import SCALE_MIN, SCALE_STEP
from caecodec.models.training import recipe
from caecodec.models.training.retime import retimed

_BRIGHTNESS = 3.0  # an error in brightness counts as one three times as large in colour
_TABLES = ("log_gain", "log_gain_out", "log_gain_z", "psi_bias", "psi_z", "modulation")


@torch.inference_mode()
def residual_basis(model: PhotoModel, crops: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """crops (P, 3, H, W) uint8 -> analysis (k, 768), synthesis (768, k) and deviation (k,) of k new coefficients.

    The analysis is the linear least-squares prediction of what the whole model leaves of each direction.
    """
    brightness = torch.tensor([0.299, 0.587, 0.114])
    brightness = brightness / brightness.norm()
    colour_weight = torch.eye(3) + (_BRIGHTNESS - 1) * torch.outer(brightness, brightness)
    weight = torch.kron(torch.eye(PATCH * PATCH), colour_weight)  # channels are innermost in a patch
    top = torch.tensor([1.0])
    patches: list[Tensor] = []
    left: list[Tensor] = []
    for crop in crops:
        x = (crop[None].float() / 255 - 0.5).contiguous(memory_format=torch.channels_last)
        gain_out = interpolate(model.log_gain_out, top).exp()
        x_hat = model.g_s(model.g_a(x) * gain_out, interpolate(model.modulation, top))
        for kept, picture in ((patches, x), (left, x - x_hat)):
            kept.append(space_to_depth(picture, PATCH)[0].permute(1, 2, 0).reshape(-1, 3 * PATCH * PATCH))
    x_rows, left_rows = torch.cat(patches), torch.cat(left)  # (M, 768)
    weighted = left_rows @ weight
    directions, _ = largest((weighted.T @ weighted / len(weighted)).double(), k)  # (768, k), orthonormal columns
    directions = directions.float()
    # measured in the eye's weights but kept in pixels: synthesis columns of length 1, as the others have
    columns = torch.linalg.solve(weight, directions)
    length = columns.norm(dim=0)
    wanted = ((weighted @ directions) * length).double()  # (M, k): what each channel should add
    rows = x_rows.double()
    ridge = 1e-6 * rows.square().mean() * len(rows) * torch.eye(rows.shape[1], dtype=torch.float64)
    analysis = torch.linalg.solve(rows.T @ rows + ridge, rows.T @ wanted).T
    return analysis.float(), columns / length, (rows @ analysis.T).std(0).float()


def widened(
    model: PhotoModel, config: PhotoConfig, analysis: Tensor, synthesis: Tensor, deviation: Tensor
) -> dict[str, Tensor]:
    """State of a model of `config` that does what `model` does, with new channels as `residual_basis` gives them.

    New channels come last in each of the four coding groups. Raises ValueError where the configurations differ in more
    than n, anchors and the range of lambda.
    """
    old = model.config
    if old.tunes > 1:
        raise ValueError("a model with two tunes cannot be widened")
    free = ("n", "anchors", "lambda_min", "lambda_max")
    if replace(old, **{name: getattr(config, name) for name in free}) != config or config.n < old.n:
        raise ValueError("only n, anchors and the range of lambda may differ, and n may only grow")
    channels = torch.arange(config.n)
    per_group, kept = config.n // STEPS, old.n // STEPS
    is_old = channels % per_group < kept
    new = PhotoModel(config).state_dict()
    weights = model.state_dict()
    weights |= {name: retimed(weights[name], old, config) for name in _TABLES}
    for name, value in weights.items():
        if name in ("normaliser", "g_a.linear.weight", "g_a.down.weight", "g_a.down.bias"):
            new[name].zero_()
            new[name][is_old] = value
        elif name in ("log_gain", "log_gain_out", "g_s.linear.weight", "g_s.stem.weight", "h_a.stem.weight"):
            new[name].zero_()
            new[name][:, is_old] = value
        elif name.startswith("context.adaptors.") and value.ndim == 4:
            psi = torch.ones(config.hyper_width, dtype=torch.bool)
            new[name].zero_()
            new[name][:, torch.cat((is_old, psi))] = value
        elif name in ("context.head_weight", "context.head_bias"):
            means_then_indices = (torch.arange(2 * per_group) % per_group) < kept
            new[name].zero_()  # a trained context is loud: random heads on it would cost a bit a symbol
            new[name][..., means_then_indices] = value
        else:
            new[name] = value
    added = ~is_old
    new["normaliser"][added] = deviation.clamp_min(1e-3) ** -0.5
    new["g_a.linear.weight"][added] = analysis
    new["g_s.linear.weight"][:, added] = synthesis
    for anchor in range(config.anchors):
        new["log_gain"][anchor, added] = config.first_log_gain(anchor / (config.anchors - 1))
    index = torch.log(deviation.clamp_min(1e-3) ** 0.5 / SCALE_MIN) / SCALE_STEP
    bias = new["context.head_bias"]  # (step, group, means then indices)
    bias[:, :, kept:per_group] = 0
    bias[:, :, per_group + kept :] = index.reshape(STEPS, -1)
    return new


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The new checkpoint.")
@click.option("--recipe", "name", required=True, help="Recipe of the wider model.")
@click.option("--data", "folder", type=click.Path(path_type=Path, exists=True), required=True, help="Photographs.")
def main(checkpoint: Path, output: Path, name: str, folder: Path) -> None:
    """Begin the wider model of a recipe from a trained CHECKPOINT."""
    model, _ = load_checkpoint(checkpoint)
    config = recipe.load(name).model
    if not isinstance(model, PhotoModel) or not isinstance(config, PhotoConfig):
        raise click.UsageError("only photo models can be widened so")
    crops = pictures.validation_crops([folder], 256, torch.device("cpu"))
    basis = residual_basis(model, crops, config.n - model.config.n)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    kept = {key: state[key] for key in ("step", "elapsed", "patches", "history")}
    torch.save({"ema": widened(model, config, *basis), "config": config.to_dict()} | kept, output)
    click.echo(f"{output}: n {model.config.n} -> {config.n}, from {len(crops)} crops")


if __name__ == "__main__":
    main()
