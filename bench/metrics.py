"""What is measured on a picture and its file. PSNR is of RGB, from the rounded 8-bit pictures."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def mse(a: Pixels, b: Pixels) -> float:
    """Mean squared error of two uint8 pictures of one shape, over all channels. Raises ValueError on two shapes."""
    if a.shape != b.shape:
        raise ValueError(f"pictures of {a.shape} and {b.shape} cannot be compared")
    difference = a.astype(np.int32) - b
    return float(np.square(difference).sum(dtype=np.int64)) / a.size


def psnr(error: float) -> float:
    """MSE of 8-bit samples -> PSNR in dB; inf for 0."""
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def bpp(size_bytes: int, width: int, height: int) -> float:
    """Bits per pixel of the whole file."""
    return 8 * size_bytes / (width * height)


def compression_rate(size_bytes: int, width: int, height: int) -> float:
    """Share saved against raw 24-bit RGB: 0 is raw size, 0.9 a tenth of it."""
    return 1 - size_bytes / (3 * width * height)
