"""What a symbol costs: the discretised Gaussian that training optimises and export turns into integer tables."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from caecodec.integer import SCALES
from caecodec.models.quantize import bounded

SCALE_MIN, SCALE_MAX = 0.11, 64.0
SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALES - 1)  # nats from one scale index to the next


def scale_of_index(index: Tensor) -> Tensor:
    """Scale index (any shape, real-valued) -> standard deviation, log-spaced from SCALE_MIN to SCALE_MAX."""
    return SCALE_MIN * torch.exp(bounded(index, 0.0, SCALES - 1.0) * SCALE_STEP)


def shrink(residual: Tensor, scale: Tensor, weight: Tensor, strength: float) -> Tensor:
    """Round to nearest, or one step nearer to zero where that saves more rate than it costs distortion.

    weight: bits that an error of one step^2 is worth. What `caecodec.latents.quantise` does, for training; no gradient.
    """
    with torch.no_grad():
        symbol = torch.floor(residual + 0.5)
        nearer = symbol - symbol.sign()
        saved = gaussian_bits(symbol, scale) - gaussian_bits(nearer, scale)
        added = (residual - nearer).square() - (residual - symbol).square()
        return torch.where(added * weight < strength * saved, nearer, symbol)


def gaussian_bits(v: Tensor, scale: Tensor) -> Tensor:
    """Bits of a symbol at distance `v` from its mean, elementwise: -log2 P(v - 1/2 < N(0, scale) < v + 1/2).

    (Balle 2018, arXiv:1802.01436; Minnen 2018, arXiv:1809.02736.)
    """
    v = v.abs()  # by symmetry; the upper tail keeps its precision in float32
    upper = torch.special.erfc((v - 0.5) / (scale * math.sqrt(2)))
    lower = torch.special.erfc((v + 0.5) / (scale * math.sqrt(2)))
    return -torch.log2((0.5 * (upper - lower)).clamp_min(2.0**-24))
