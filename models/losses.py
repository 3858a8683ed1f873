"""Distortions and the rate-distortion loss."""

from __future__ import annotations

import torch
from torch import Tensor


def mse_255(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean squared error per picture in 8-bit units: (B, 3, H, W) in [0, 1] -> (B,)."""
    return (x_hat.float() - x.float()).square().mean((1, 2, 3)) * 255**2


def psnr(mse: Tensor) -> Tensor:
    """MSE in 8-bit units -> dB."""
    return 10 * torch.log10(255**2 / mse.clamp_min(1e-6))


def rate_distortion(bpp: Tensor, mse: Tensor, lam: Tensor, exponent: float) -> Tensor:
    """Mean over the batch of (R + lambda D) / (lambda / 0.02)^exponent.

    R grows about as lambda^(1/2 .. 2/3); the division keeps low qualities from being drowned by high ones, since what
    counts for a codec is relative rate.
    """
    return ((bpp + lam * mse) * (lam / 0.02) ** -exponent).mean()
