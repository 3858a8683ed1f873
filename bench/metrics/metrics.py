"""What is measured on a picture and its file. PSNR is of RGB, from the rounded 8-bit pictures.

PSNR is always measured. The others are asked for by their names in `ASKABLE`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Literal

import numpy as np

from caecodec.bench.pictures import Pixels
from caecodec.errors import UsageError
from caecodec.pictures import ssimulacra2

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Metric:
    """A way to say how alike two pictures are: the more, the better.

    key: its name on the command line, and its field in rows and means. unit, decimals, scale: how values are shown;
    'nines' is for what nears 1. smallest_side: in pixels, of the pictures it is defined for. stored: its name in
    results files. An implementation with other values gets another one: what the last one measured is then not read,
    and measured anew when it is asked for.
    """

    key: str
    label: str
    unit: str
    decimals: int
    scale: Literal["linear", "nines"]
    smallest_side: int
    stored: str

    def level(self, value: float | None) -> float | None:
        """What curves and BD-rates take of a value: -10 log10(1 - value), in dB, of what nears 1; else the value.

        None stays None; what cannot be better is inf.
        """
        if value is None or self.scale == "linear":
            return value
        return -10 * math.log10(1 - value) if value < 1 else math.inf

    @property
    def level_unit(self) -> str:
        """Of levels: 'dB', or nothing."""
        return "dB" if self.scale == "nines" else self.unit

    def shown(self, value: float) -> str:
        """A value for people, with its unit."""
        return f"{value:.{self.decimals}f} {self.unit}".strip()


PSNR = Metric("psnr", "PSNR", "dB", 2, "linear", 1, "psnr")
SSIM = Metric("ssim", "SSIM", "", 4, "nines", 11, "ssim")  # the window
MS_SSIM = Metric("ms_ssim", "MS-SSIM", "", 4, "nines", 161, "ms_ssim")  # the window at the fifth scale
# "ssimulacra2" was measured by the package of that name, which pads one axis with reflections
SSIMULACRA2 = Metric("ssimulacra2", "SSIMULACRA2", "", 1, "linear", ssimulacra2.SMALLEST_SIDE, "ssimulacra2.1")

METRICS = (PSNR, SSIM, MS_SSIM, SSIMULACRA2)
COMPARED = (PSNR, MS_SSIM, SSIMULACRA2)  # beside each other; SSIM says little beside MS-SSIM
ASKABLE: Mapping[str, Metric] = MappingProxyType({metric.key: metric for metric in METRICS if metric is not PSNR})


def names(text: str) -> tuple[str, ...]:
    """'psnr,ms-ssim', or 'all' -> names of `ASKABLE` in their order. Raises UsageError for one that does not exist."""
    given = [part.strip() for part in text.split(",")]
    wanted = set(ASKABLE) if "all" in given else set()
    wanted |= {_named(name).key for name in given if name != "all"}
    return tuple(name for name in ASKABLE if name in wanted)


def chosen(given: Sequence[str]) -> tuple[Metric, ...]:
    """Names -> metrics in the order given; 'all' stands for `COMPARED`. Raises UsageError for an unknown name."""
    found = [metric for name in given for metric in (COMPARED if name == "all" else (_named(name),))]
    return tuple(dict.fromkeys(found))


def _named(name: str) -> Metric:
    key = name.replace("-", "_")
    for metric in METRICS:
        if metric.key == key:
            return metric
    raise UsageError(f"no metric {name!r}; choose from {', '.join(metric.key for metric in METRICS)} or all")


def defined(name: str, width: int, height: int) -> bool:
    """Whether a picture is large enough for a metric."""
    return min(width, height) >= ASKABLE[name].smallest_side


def measure(name: str, a: Pixels, b: Pixels) -> float | None:
    """A metric of `ASKABLE` of two (H, W, 3) pictures of one shape; None where they are too small for it.

    Raises UsageError where its package is missing.
    """
    if not defined(name, a.shape[1], a.shape[0]):
        return None
    return {"ssim": ssim, "ms_ssim": ms_ssim, "ssimulacra2": ssimulacra2.score}[name](a, b)


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
        raise UsageError(f"this metric needs more packages ({exc}): pip install caecodec[bench]") from exc
    module: ModuleType = pytorch_msssim
    return module
