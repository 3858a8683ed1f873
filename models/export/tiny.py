"""The tensors of a `tiny` model."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caecodec.entropy.fixed_point import FRACTION_BITS, TABLE_BITS
from caecodec.latents.tiny_network import ContextNetwork
from caecodec.models.export.integers import Tensors, as_numpy, fixed, gaussian_tables, integer_layer
from caecodec.models.networks import layers
from caecodec.models.networks.levels import error_weight, even_levels
from caecodec.models.networks.rate_model import SCALE_STEP
from caecodec.models.networks.tiny import TinyModel


def tensors_of(model: TinyModel) -> Tensors:
    """All tensors of the weights file. Raises ModelError where the context network cannot be proven exact."""
    steps: Tensors = {
        "steps.groups": np.array(model.config.groups, np.int32),
        "steps.splits": np.array(model.config.splits, np.int32),
    }
    tensors = steps | _context(model) | _tables(model) | gaussian_tables() | _networks(model)
    ContextNetwork(tensors)  # proves the bounds
    return tensors


def _context(model: TinyModel) -> Tensors:
    c = model.context
    out: Tensors = {}
    for name, layer in c.named_modules():
        if isinstance(layer, torch.nn.Linear):
            weight = np.ascontiguousarray(as_numpy(layer.weight).T)
            out |= integer_layer(weight, as_numpy(layer.bias), f"int.context.{name}")
    # (out, in, 3, 3) -> (9 * in, out): taps in raster order, channels innermost
    weight = as_numpy(c.mix.weight.permute(2, 3, 1, 0).reshape(-1, c.mix.out_channels))
    assert c.mix.bias is not None
    return out | integer_layer(weight, as_numpy(c.mix.bias), "int.context.mix")


def _tables(model: TinyModel) -> Tensors:
    level = torch.from_numpy(even_levels()).float().double()  # as float32 rounds them: model ids hang on it

    def rows(table: Tensor) -> NDArray[np.float64]:
        return as_numpy(layers.interpolate(table.double(), level)[:, :, 0, 0])

    log_gain = rows(model.log_gain)
    log_ratio = log_gain - np.log(as_numpy(model.normaliser))
    gain_out = np.exp(rows(model.log_gain_out) - log_gain)
    lam = np.array([model.config.lambda_at(at) for at in level.tolist()])
    power = (as_numpy(model.g_s.linear.weight) ** 2).sum(axis=0)
    return {
        "quality.to_u": fixed(np.exp(-log_ratio), TABLE_BITS),
        "quality.to_y": fixed(np.exp(log_ratio), TABLE_BITS),
        "quality.index": fixed(log_ratio / SCALE_STEP, FRACTION_BITS),
        "quality.bias": fixed(np.stack([rows(table) for table in model.bias]), FRACTION_BITS),
        "float.gain": np.exp(log_gain).astype(np.float32),
        "float.gain_out": gain_out.astype(np.float32),
        # encoder only: bits an error of one step^2 is worth
        "float.weight": error_weight(lam[:, None], power, gain_out**2).astype(np.float32),
        "float.modulation": rows(model.modulation).astype(np.float32),
    }


def _networks(model: TinyModel) -> Tensors:
    out: Tensors = {}
    for part in ("g_a", "g_s"):
        for key, value in getattr(model, part).state_dict().items():
            # the linear branches carry the picture itself; 11 bits are not enough at 45 dB
            kind = np.float32 if key.startswith("linear.") or value.ndim == 1 else np.float16
            out[f"{part}.{key}"] = value.detach().cpu().float().contiguous().numpy().astype(kind)
    return out
