"""A photo model as it will code: what exactness costs in bits, and tables fitted to the symbols that occur."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caecodec.entropy.rounding import RDO_STRENGTH
from caecodec.entropy.tables import Tables
from caecodec.format.container import CHECK_BYTES
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.models.export.integers import Tensors, integer_table
from caecodec.models.networks.layers import interpolate
from caecodec.models.networks.photo import PhotoModel
from caecodec.models.networks.trade import activity, trade

FITTED_QUALITIES = (1, 5, 12, 20, 30, 40, 50, 60, 70, 80, 90, 100)
# what the Gaussian counts for in each table, for symbols that the pictures lack; 10^3 and 10^5 did as well
_PRIOR_SYMBOLS = 1e4


@dataclass(frozen=True, slots=True)
class Cost:
    """Bits of the same latents by the float model's own probabilities, and by the integer tables."""

    quality: int
    float_bits: float
    integer_bits: float

    @property
    def growth(self) -> float:
        """Relative: 0.001 is a tenth of a percent more."""
        return self.integer_bits / self.float_bits - 1


@torch.inference_mode()
def cost_of_integers(
    model: PhotoModel, tensors: Mapping[str, NDArray[np.generic]], crops: Tensor, quality: int
) -> Cost:
    """crops (P, 3, H, W) uint8, H and W multiples of 64 -> Cost summed over them."""
    codec, _ = _codec_of(tensors)
    level = torch.tensor([model.config.level_of(float(tensors["float.lambda"][quality - 1]))])
    gain = interpolate(model.log_gain, level).exp()
    gain_z = interpolate(model.log_gain_z, level).exp()
    float_bits = integer_bits = 0.0
    for crop in crops:
        x = (crop[None].float() / 255).contiguous(memory_format=torch.channels_last)
        out = model(x, level, hard=True)
        float_bits += float(out["bits_y"] + out["bits_z"]) * x.shape[2] * x.shape[3]
        y = model.g_a(x - 0.5)
        z = model.h_a(y * model.normaliser[:, None, None]) * gain_z
        coded, _ = codec.cost(_array(y * gain), _array(z), quality)
        integer_bits += 8 * (coded - CHECK_BYTES)
    return Cost(quality, float_bits, integer_bits)


@torch.inference_mode()
def fitted_tables(model: PhotoModel, tensors: Mapping[str, NDArray[np.generic]], crops: Tensor) -> Tensors:
    """The tables of `tensors` fitted to the symbols of crops as they are coded at many qualities.

    crops (P, 3, H, W) uint8, H and W multiples of 64. Each table is the Gaussian's and the symbols' mean, weighted by
    their numbers and the same for both signs. What rate-distortion optimised rounding does to symbols is in it.
    """
    codec, tables = _codec_of(tensors)
    counts = np.zeros(tables.bits.shape)
    gain, gain_z = (np.asarray(tensors[f"float.{key}"], np.float32) for key in ("gain", "gain_z"))
    worth = {quality: trade(tensors, quality, "eye") for quality in FITTED_QUALITIES}
    for crop in crops:
        busy = activity(crop.permute(1, 2, 0).numpy())
        y = model.g_a((crop[None].float() / 255).contiguous(memory_format=torch.channels_last) - 0.5)
        z = _array(model.h_a(y * model.normaliser[:, None, None]))
        for quality, errors in worth.items():
            scaled = _array(y) * gain[quality - 1], z * gain_z[quality - 1]
            counts += codec.tally(*scaled, quality, errors.weight, errors.strength(RDO_STRENGTH, busy))
    fitted = []
    for tail, bits, seen in zip(tables.tail, tables.bits, counts, strict=True):
        entries = 2 * int(tail) + 2
        both = seen[:entries].copy()
        both[:-1] = (both[:-1] + both[-2::-1]) / 2
        fitted.append(integer_table(both + _PRIOR_SYMBOLS * 2.0 ** -bits[:entries]))
    return {"table.frequencies": np.concatenate(fitted)}


def _codec_of(tensors: Mapping[str, NDArray[np.generic]]) -> tuple[LatentCodec, Tables]:
    tables = Tables.of(tensors["table.frequencies"], tensors["table.tail"])
    return LatentCodec(EntropyNetwork(tensors), tables), tables


def _array(x: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = x[0].permute(1, 2, 0).contiguous().numpy()
    return array
