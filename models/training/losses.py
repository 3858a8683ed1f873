"""Distortions and the rate-distortion loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

DISTORTIONS = ("mse", "bce", "ssim", "ms-ssim")


def mse_255(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean squared error per picture in 8-bit units: (B, C, H, W) in [0, 1] -> (B,)."""
    return (x_hat.float() - x.float()).square().mean((1, 2, 3)) * 255**2


def psnr(mse: Tensor) -> Tensor:
    """MSE in 8-bit units -> dB."""
    return 10 * torch.log10(255**2 / mse.clamp_min(1e-6))


def ssim(x_hat: Tensor, x: Tensor, scales: int = 1) -> Tensor:
    """Structural similarity of pictures (B, C, H, W) in [0, 1] -> (B,), mean over channels; the usual constants.

    Window of 11 pixels and deviation 1.5 (Wang 2004), without padding; smaller where the picture is. scales > 1:
    multi-scale (Wang 2003) with the first of its weights, renormalised: tiny pictures do not have five scales.
    """
    weights = torch.tensor((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)[:scales], device=x.device)
    weights = weights / weights.sum()
    x_hat, x = x_hat.float(), x.float()
    result = torch.ones(len(x), device=x.device)
    for scale in range(scales):
        luminance, structure = _ssim_parts(x_hat, x)
        last = scale == scales - 1
        part = (luminance * structure if last else structure).mean((1, 2, 3))
        # a negative similarity has no real power
        result = result * (part if scales == 1 else part.clamp_min(1e-4) ** weights[scale])
        if not last:
            x_hat, x = F.avg_pool2d(x_hat, 2), F.avg_pool2d(x, 2)
    return result


def _ssim_parts(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast times structure, at every place the window fits."""
    channels, size = a.shape[1], min(11, *a.shape[2:])
    offsets = torch.arange(size, device=a.device) - (size - 1) / 2
    window = torch.exp(-offsets.square() / (2 * 1.5**2))
    window = window / window.sum()

    def blur(t: Tensor) -> Tensor:
        t = F.conv2d(t, window.expand(channels, 1, 1, size), groups=channels)
        return F.conv2d(t, window[:, None].expand(channels, 1, size, 1), groups=channels)

    mean_a, mean_b = blur(a), blur(b)
    variance_a, variance_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * covariance + c2) / (variance_a + variance_b + c2)


def distortion(kind: str, x_hat: Tensor, x: Tensor) -> Tensor:
    """One of DISTORTIONS per picture, (B, C, H, W) in [0, 1] -> (B,), in units in which it stands beside `mse_255`.

    1 - SSIM and cross-entropy (nats a sample) are multiplied by 255^2 / 50 and 255^2 / 5, which brings gradients of the
    three to one order of magnitude on photographs; lambda has its meaning for `mse`.
    """
    x_hat, x = x_hat.float(), x.float()
    if kind == "mse":
        return mse_255(x_hat, x)
    if kind == "bce":
        return F.binary_cross_entropy(x_hat.clamp(0, 1), x, reduction="none").mean((1, 2, 3)) * (255**2 / 5)
    return (1 - ssim(x_hat, x, scales=3 if kind == "ms-ssim" else 1)) * (255**2 / 50)


def rate_distortion(bpp: Tensor, error: Tensor, lam: Tensor, exponent: float) -> Tensor:
    """Mean over the batch of (R + error) / (lambda / 0.02)^exponent; error: lambda D in bits per pixel.

    R grows about as lambda^(1/2 .. 2/3); the division keeps low qualities from being drowned by high ones, since what
    counts for a codec is relative rate.
    """
    return ((bpp + error) * (lam / 0.02) ** -exponent).mean()
