"""The tensors of a `tiny` model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from caecodec.engines.numpy.networks import Analysis, Synthesis
from caecodec.latents.tiny_network import ContextNetwork
from caecodec.models.data.pictures import validation_crops
from caecodec.models.export.context import context_network, named
from caecodec.models.export.integers import (
    Float,
    Ranges,
    Tensors,
    as_numpy,
    gaussian_tables,
)
from caecodec.models.export.ranges import Watch, stand_ins
from caecodec.models.export.transforms import analysis, synthesis
from caecodec.models.networks import layers
from caecodec.models.networks.levels import error_weight, even_levels
from caecodec.models.networks.tiny import TinyModel
from caecodec.pictures.cells import TINY_CELL

_SIDE = 64
_WATCHED = (0.0, 0.25, 0.5, 0.75, 1.0)  # levels at which ranges are met


def tensors_of(model: TinyModel, ranges: Ranges | None = None) -> Tensors:
    """All tensors of the weights file. Raises ModelError where the integers cannot be proven exact.

    ranges: how large activations get (`ranges_of`); those of synthetic pictures without.
    """
    ranges = ranges_of(model, stand_ins(30, _SIDE)) if ranges is None else ranges
    level = torch.from_numpy(even_levels()).float().double()

    def rows(table: Tensor) -> Float:
        return as_numpy(layers.interpolate(table.double(), level)[:, :, 0, 0])

    log_gain = rows(model.log_gain)
    log_ratio = log_gain - np.log(as_numpy(model.normaliser))
    gain_out = np.exp(rows(model.log_gain_out) - log_gain)
    lam = np.array([model.config.lambda_at(at) for at in level.tolist()])
    power = (as_numpy(model.g_s.linear.weight) ** 2).sum(axis=0)
    tensors: Tensors = {
        "float.gain": np.exp(log_gain).astype(np.float32),
        # bits an error of one step^2 is worth
        "float.weight": error_weight(lam[:, None], power, gain_out**2).astype(np.float32),
    }
    tensors |= context_network(model.context, ranges, log_ratio, np.stack([rows(table) for table in model.bias]))
    tensors |= synthesis(model.g_s, ranges, gain_out, rows(model.modulation)) | gaussian_tables()
    tensors |= analysis(model.g_a, ranges, ranges["y"])
    ContextNetwork(tensors), Analysis(tensors, TINY_CELL), Synthesis(tensors, TINY_CELL)  # prove the bounds
    return tensors


def fitted(model: TinyModel, path: Path) -> tuple[Tensors, str]:
    """All tensors with ranges that are met in pictures of at least 64x64, and a note on it.

    Raises FileNotFoundError where there are none, ModelError.
    """
    crops = validation_crops([path], _SIDE, torch.device("cpu"))
    met = ranges_of(model, crops[:: -(-len(crops) // 100)])
    return tensors_of(model, met), f"ranges met in {path.name}"


@torch.inference_mode()
def ranges_of(model: TinyModel, crops: Tensor) -> Ranges:
    """Largest magnitudes of all activations on crops (P, 3, H, W) uint8, H and W multiples of 16, at several levels.

    Named after the layers that read them as in a weights file; beside these "g_s.stem out", "int.context" (what heads
    read) and "y".
    """
    watch = Watch()
    with watch.over(model, {"g_s.stem": "g_s.stem out"}):
        x = (crops.float() / 255).contiguous(memory_format=torch.channels_last)
        for pictures in (x, x.mean(1, keepdim=True)):
            watch.note("y", model.g_a(pictures.expand(-1, 3, -1, -1) - 0.5), 1)
            for level in _WATCHED:
                model(pictures, torch.full((len(x),), level), hard=True)
    return named(watch)
