"""The tensors of a photo model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from caecodec.entropy.fixed_point import FRACTION_BITS, QUALITIES, SCALES, TABLE_BITS
from caecodec.entropy.order import STEPS
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.models.data.pictures import validation_crops
from caecodec.models.export import fitting
from caecodec.models.export.exactness import fitted_tables
from caecodec.models.export.fitting import Worth
from caecodec.models.export.integers import Tensors, as_numpy, fixed, gaussian_tables, integer_layer
from caecodec.models.networks import layers
from caecodec.models.networks.levels import error_weight, even_levels
from caecodec.models.networks.photo import PhotoModel
from caecodec.models.networks.rate_model import SCALE_STEP


def tensors_of(model: PhotoModel, levels: NDArray[np.float64] | None = None, worth: Worth | None = None) -> Tensors:
    """All tensors of the weights file. Raises ModelError where the integer network cannot be proven exact.

    levels: of qualities 1..100; evenly spaced without. worth: of errors to an eye; without it nothing is known of eyes.
    """
    if levels is None:
        levels = even_levels()
    tensors = entropy_network(model) | quality_tables(model, levels) | gaussian_tables() | float_networks(model)
    if worth is not None:
        tensors |= eye_tables(worth.at(levels), tensors)
    EntropyNetwork(tensors)  # proves the bounds
    return tensors


def fitted(model: PhotoModel, path: Path) -> tuple[Tensors, str]:
    """All tensors with what is measured on pictures: what an eye sees, qualities, tables; and a note on it.

    path: photographs of at least 256x256. Raises FileNotFoundError where there are none, ModelError.
    """
    crops = validation_crops([path], 256, torch.device("cpu"))
    pictures = fitting.photographs([path], 24)
    worth = fitting.measure(model, crops[:: -(-len(crops) // 20)])
    levels = even_levels()
    some = range(1, QUALITIES + 1, 9)
    tensors = tensors_of(model, levels, worth)
    reached = fitting.scores(tensors, model.config.to_dict(), pictures, some).mean(0)
    note = f"fitted to {path.name}"
    try:
        levels = fitting.levels_of_qualities(levels[[quality - 1 for quality in some]], reached)
    except ValueError as exc:
        note += f"; qualities are evenly spaced, for {exc}"
    tensors = tensors_of(model, levels, worth)
    return tensors | fitted_tables(model, tensors, crops[:: -(-len(crops) // 80)]), note


def eye_tables(worth: Worth, tensors: Tensors) -> Tensors:
    """Of each quality, for encoders only: see `caecodec.models.networks.trade`."""
    return {
        "float.eye": worth.eye.astype(np.float32),
        "float.eye_weight": (worth.ratio * np.asarray(tensors["float.weight"], np.float64)).astype(np.float32),
        "float.activity": np.stack((worth.usual, worth.slope), axis=1).astype(np.float32),
    }


def _convert(module: nn.Module, name: str) -> Tensors:
    """Every 1x1 and depthwise convolution under `module`."""
    out: Tensors = {}
    for path, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            weight = as_numpy(layer.weight)
            # (C, 1, 3, 3) -> (9, C), or (out, in, 1, 1) -> (in, out)
            matrix = weight.reshape(len(weight), -1).T
            out |= integer_layer(np.ascontiguousarray(matrix), as_numpy(layer.bias), f"{name}.{path}")
    return out


def entropy_network(model: PhotoModel) -> Tensors:
    """The `int.*` tensors: h_s and context as integers."""
    out = _convert(model.h_s, "int.h_s") | _convert(model.context, "int.context")
    for step in range(STEPS):
        for group in range(STEPS):
            weight, bias = model.context.head_weight[step, group], model.context.head_bias[step, group]
            out |= integer_layer(as_numpy(weight), as_numpy(bias), f"int.context.head.{step}.{group}")
    return out


def quality_tables(model: PhotoModel, levels: NDArray[np.float64]) -> Tensors:
    """The tables of each quality 1..100: `quality.*` in integers, `float.*` for the two float networks."""
    level = torch.from_numpy(levels)

    def rows(table: Tensor) -> NDArray[np.float64]:
        return as_numpy(layers.interpolate(table.double(), level)[:, :, 0, 0])

    log_gain, log_gain_z = rows(model.log_gain), rows(model.log_gain_z)
    log_ratio = log_gain - np.log(as_numpy(model.normaliser))
    gain_out = np.exp(rows(model.log_gain_out) - log_gain)
    lam = np.array([model.config.lambda_at(level) for level in levels])
    power = (as_numpy(model.g_s.linear.weight) ** 2).sum(axis=0)
    weight = error_weight(lam[:, None], power, gain_out**2)
    index = np.clip(np.floor(rows(model.z_index) + 0.5), 0, SCALES - 1)
    return {
        "quality.to_u": fixed(np.exp(-log_ratio), TABLE_BITS),
        "quality.to_y": fixed(np.exp(log_ratio), TABLE_BITS),
        "quality.index": fixed(log_ratio / SCALE_STEP, FRACTION_BITS),
        "quality.psi": fixed(rows(model.psi_bias), FRACTION_BITS),
        "quality.z_to_u": fixed(np.exp(-log_gain_z), TABLE_BITS),
        "quality.z_mean": fixed(rows(model.z_mean), FRACTION_BITS),
        "quality.z_index": index.astype(np.uint8),
        "float.gain": np.exp(log_gain).astype(np.float32),
        "float.gain_z": np.exp(log_gain_z).astype(np.float32),
        "float.gain_out": gain_out.astype(np.float32),
        "float.lambda": lam.astype(np.float32),  # encoder only, as the next: bits a pixel that an MSE of 1 is worth
        "float.weight": weight.astype(np.float32),  # bits an error of one step^2 is worth
        "float.modulation": rows(model.modulation).astype(np.float32),
    }


def float_networks(model: PhotoModel) -> Tensors:
    """g_a, g_s and h_a in float16 where that loses nothing that is measured, plus the normaliser."""
    out: Tensors = {"float.normaliser": model.normaliser.cpu().numpy().astype(np.float32)}
    for part in ("g_a", "g_s", "h_a"):
        for key, value in getattr(model, part).state_dict().items():
            # the linear branches carry the picture itself; 11 bits are not enough at 45 dB
            kind = np.float32 if key.startswith("linear.") or value.ndim == 1 else np.float16
            out[f"{part}.{key}"] = value.detach().cpu().float().contiguous().numpy().astype(kind)
    return out
