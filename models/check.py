"""What exactness costs: a float model against the integer network and tables made from it, in bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caecodec.container import CHECK_BYTES
from caecodec.entropy import Tables
from caecodec.integer import EntropyNetwork
from caecodec.latents import LatentCodec
from caecodec.models.layers import interpolate
from caecodec.models.photo import PhotoModel, level_of_quality


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
    codec = LatentCodec(EntropyNetwork(tensors), Tables.of(tensors["table.frequencies"], tensors["table.tail"]))
    level = torch.tensor([level_of_quality(quality)])
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


def _array(x: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = x[0].permute(1, 2, 0).contiguous().numpy()
    return array
