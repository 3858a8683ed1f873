"""What is measured on a picture and its file. PSNR is of RGB, from the rounded 8-bit pictures.

PSNR is always measured. The others are asked for by their names in `ASKABLE`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from caecodec.errors import UsageError

if TYPE_CHECKING:
    import torch

Pixels = NDArray[np.uint8]

# name on the command line -> (field of a row, shortest side it is defined for)
ASKABLE: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "ssim": ("ssim", 11),  # the window
        "ms-ssim": ("ms_ssim", 161),  # the window at the fifth scale
        "ssimulacra2": ("ssimulacra2", 8),
    }
)
DEFAULT = ("ssim", "ms-ssim")


def names(text: str) -> tuple[str, ...]:
    """'psnr,ssim', or 'all' -> names of `ASKABLE` in their order. Raises UsageError for one that does not exist."""
    given = {part.strip() for part in text.split(",")}
    unknown = given - {"psnr", "all", *ASKABLE}
    if unknown:
        raise UsageError(f"no metric {', '.join(sorted(unknown))!r}; choose from psnr, {', '.join(ASKABLE)} or all")
    return tuple(ASKABLE) if "all" in given else tuple(name for name in ASKABLE if name in given)


def defined(name: str, width: int, height: int) -> bool:
    """Whether a picture is large enough for a metric."""
    return min(width, height) >= ASKABLE[name][1]


def measure(name: str, a: Pixels, b: Pixels) -> float | None:
    """A metric of `ASKABLE` of two (H, W, 3) pictures of one shape; None where they are too small for it.

    Raises UsageError where its package is missing.
    """
    if not defined(name, a.shape[1], a.shape[0]):
        return None
    return {"ssim": ssim, "ms-ssim": ms_ssim, "ssimulacra2": ssimulacra2}[name](a, b)


def mse(a: Pixels, b: Pixels) -> float:
    """Mean squared error of two uint8 pictures of one shape, over all channels. Raises ValueError on two shapes."""
    if a.shape != b.shape:
        raise ValueError(f"pictures of {a.shape} and {b.shape} cannot be compared")
    difference = a.astype(np.int32) - b
    return float(np.square(difference).sum(dtype=np.int64)) / a.size


def psnr(error: float) -> float:
    """MSE of 8-bit samples -> PSNR in dB; inf for 0."""
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def ssim(a: Pixels, b: Pixels) -> float:
    """Mean SSIM of the RGB channels, Gaussian window of 11 (Wang 2004), sides of 11 pixels at least."""
    return float(_pytorch_msssim().ssim(_tensor(a), _tensor(b), data_range=255))


def ms_ssim(a: Pixels, b: Pixels) -> float:
    """Mean MS-SSIM of the RGB channels, five scales, Gaussian window of 11 (Wang 2003), sides over 160 pixels."""
    return float(_pytorch_msssim().ms_ssim(_tensor(a), _tensor(b), data_range=255))


def ssimulacra2(a: Pixels, b: Pixels) -> float:
    """SSIMULACRA 2.1 of `b` against the original `a`, at most 100, sides of 8 pixels at least."""
    try:
        from ssimulacra2 import compute_ssimulacra2
    except ImportError as exc:
        raise _missing(exc) from exc
    from PIL import Image

    files = []  # it takes files only
    for pixels in (a, b):
        files.append(io.BytesIO())
        Image.fromarray(pixels).save(files[-1], "BMP")
    return float(compute_ssimulacra2(*files))


def bpp(size_bytes: int, width: int, height: int) -> float:
    """Bits per pixel of the whole file."""
    return 8 * size_bytes / (width * height)


def compression_rate(size_bytes: float, width: int, height: int) -> float:
    """Share saved against raw 24-bit RGB: 0 is raw size, 0.9 a tenth of it."""
    return 1 - size_bytes / (3 * width * height)


def require(asked: tuple[str, ...]) -> None:
    """Raises UsageError, saying what to install, where a package of the metrics asked for is missing."""
    black = np.zeros((176, 176, 3), np.uint8)
    for name in asked:
        measure(name, black, black)


def _tensor(pixels: Pixels) -> torch.Tensor:
    import torch

    return torch.from_numpy(pixels.astype(np.float32).transpose(2, 0, 1)[None].copy())  # (1, 3, H, W)


def _pytorch_msssim() -> ModuleType:
    try:
        import pytorch_msssim
    except ImportError as exc:
        raise _missing(exc) from exc
    module: ModuleType = pytorch_msssim
    return module


def _missing(exc: ImportError) -> UsageError:
    return UsageError(f"this metric needs more packages ({exc}): pip install caecodec[bench]")
