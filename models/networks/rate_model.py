"""What a symbol costs: the discretised Gaussian that training optimises and export turns into integer tables."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from caecodec.entropy.fixed_point import SCALES
from caecodec.models.networks.quantize import add_noise, bounded, round_ste

SCALE_MIN, SCALE_MAX = 0.11, 64.0
SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALES - 1)  # nats from one scale index to the next


def scale_of_index(index: Tensor) -> Tensor:
    """Scale index (any shape, real-valued) -> standard deviation, log-spaced from SCALE_MIN to SCALE_MAX."""
    return SCALE_MIN * torch.exp(bounded(index, 0.0, SCALES - 1.0) * SCALE_STEP)


def shrink(residual: Tensor, scale: Tensor, weight: Tensor, strength: float) -> Tensor:
    """Round to nearest, or one step nearer to zero where that saves more rate than it costs distortion.

    weight: bits that an error of one step^2 is worth. What `caecodec.latents.photo.quantise` does, for
    training; no gradient.
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


def code(
    target: Tensor, mean: Tensor, scale: Tensor, weight: Tensor | None, hard: bool, rdo: float
) -> tuple[Tensor, Tensor]:
    """Values and bits of latents under their mean and scale, elementwise, all after the gain.

    Bits are those of noisy latents and values are rounded straight-through; `hard`: both as the codec codes them, with
    rate-distortion optimised rounding of strength `rdo` where there is a weight (see `shrink`).
    """
    if not hard:
        return round_ste(target - mean) + mean, gaussian_bits(add_noise(target) - mean, scale)
    residual = target - mean
    symbol = torch.floor(residual + 0.5).detach() if weight is None else shrink(residual, scale, weight, rdo)
    bits = gaussian_bits(symbol, scale)
    if torch.is_grad_enabled():
        # coded symbols teach the scale but say nothing about which way to move a mean; noisy ones do
        noisy = gaussian_bits(add_noise(target) - mean, scale.detach())
        bits = bits + noisy - noisy.detach()
    return symbol + mean, bits


class MixturePrior(nn.Module):
    """A density of its own for every channel: three logistics, in units of the channel before its gain.

    Three can lean to one side, which what comes out of a ReLU does. Integer tables are made from it at export.
    """

    COMPONENTS = 3

    def __init__(self, channels: int) -> None:
        super().__init__()
        k = self.COMPONENTS
        self.mean = nn.Parameter(torch.linspace(-1.0, 1.0, k).repeat(channels, 1))  # (C, 3)
        self.log_scale = nn.Parameter(torch.zeros(channels, k))
        self.logit = nn.Parameter(torch.zeros(channels, k))

    @torch.no_grad()
    def start_at(self, y: Tensor) -> None:
        """Start at the mean and deviation of y (B, C, h, w)."""
        rows = y.float().transpose(0, 1).flatten(1)
        deviation = rows.std(1, keepdim=True).clamp_min(1e-3)
        self.mean.copy_(rows.mean(1, keepdim=True) + deviation * torch.tensor([-0.5, 0.0, 0.5], device=y.device))
        self.log_scale.copy_(torch.log(deviation / 2).expand_as(self.log_scale))

    def centre(self) -> Tensor:
        """Mean of each channel, (C,): where the rounding has its zero."""
        centre: Tensor = (self.logit.softmax(1) * self.mean).sum(1).detach()
        return centre

    def mass(self, low: Tensor, high: Tensor) -> Tensor:
        """Probability of [low, high], both (..., C) in units before the gain -> (..., C)."""
        middle = (low + high)[..., None] / 2 - self.mean
        # where both ends lie far above the mean, 1 - 1 would be left: mirror them
        sign = torch.where(middle > 0, -1.0, 1.0)
        scale = self.log_scale.exp()
        ends = [torch.sigmoid(sign * (end[..., None] - self.mean) / scale) for end in (low, high)]
        return ((ends[1] - ends[0]).abs() * self.logit.softmax(1)).sum(-1)

    def bits(self, v: Tensor, gain: Tensor) -> Tensor:
        """Bits of values v (B, C, h, w) after the gain (B, C, 1, 1), elementwise."""
        v, gain = v.permute(0, 2, 3, 1), gain.permute(0, 2, 3, 1)
        return -torch.log2(self.mass((v - 0.5) / gain, (v + 0.5) / gain).clamp_min(2.0**-24)).permute(0, 3, 1, 2)
