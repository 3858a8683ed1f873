"""What an encoder gives bits for: errors as people see them, or squared errors alone.

A photo model says for every quality what an error is worth: in each channel of y, and by how busy the picture is around
it. Its numbers are measured when it is exported (`caecodec.models.export.fitting`); a decoder sees none of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from caecodec.pictures import ssimulacra2
from caecodec.pictures.picture import Pixels, mse
from caecodec.tune import Tune

Float = NDArray[np.float32]

EYE_SHARE = 0.7  # of what an error is worth, that which SSIMULACRA2 says; the rest is squared error
# The same in a search, which with more of it gets worse in what SSIMULACRA2 does not see (docs/EXPERIMENTS.md).
SEARCHED_SHARE = 0.4
# How much more a long search by squared errors alone pays for them, and of how many rounds it is: what they save lets a
# coarser step do as well, and the quality that has that step asks for less (docs/EXPERIMENTS.md).
SEARCHED_WORTH, LONG_SEARCH = 1.12, 12
_CALMEST, _BUSIEST = 0.2, 4.0  # how far a cell may be from the usual strength


@dataclass(frozen=True, slots=True, eq=False)
class Trade:
    """The worth of errors at one quality, in bits.

    mse: of each pixel, for a mean squared error of 1 in 8-bit samples (lambda, in training). eye: of each pixel, for a
    point of SSIMULACRA2. weight (N,): of an error of one quantiser step squared in each channel of y. usual, slope: the
    logarithm of activity at which that holds, and how fast worth falls beyond (see `activity`).
    """

    mse: float
    eye: float
    weight: Float
    usual: float
    slope: float

    def cost(self, original: Pixels, decoded: Pixels) -> float:
        """Bits that the errors of a picture or a tile, (H, W[, 3]) both, are worth in all."""
        height, width = original.shape[:2]
        bits = self.mse * mse(original, decoded)
        if self.eye and min(height, width) >= ssimulacra2.SMALLEST_SIDE:
            bits += self.eye * (100 - ssimulacra2.score(original, decoded))
        return float(bits * height * width)

    def searched(self, rounds: int) -> Trade:
        """What a search of so many rounds goes by: squared errors count for more of it, or for more where they are all.

        `strength`, and the `weight` of errors that an eye sees, stay as for rounding.
        """
        if not self.eye:
            more = 1 + (SEARCHED_WORTH - 1) * min(1, rounds / LONG_SEARCH)
            return replace(self, mse=more * self.mse, weight=np.float32(more) * self.weight)
        squared, seen = (1 - SEARCHED_SHARE) / (1 - EYE_SHARE), SEARCHED_SHARE / EYE_SHARE
        return replace(self, mse=self.mse * squared, eye=self.eye * seen)

    def strength(self, usual: float, activity: Float) -> float | Float:
        """How far rounding may trade error for rate in each cell (h, w): more than `usual` where it is busy."""
        if not self.slope:
            return usual
        worth = 1 - EYE_SHARE + EYE_SHARE * np.exp(-self.slope * (activity - self.usual))
        found: Float = (usual / np.clip(worth, 1 / _BUSIEST, 1 / _CALMEST)).astype(np.float32)
        return found


def trade(tensors: Mapping[str, NDArray[np.generic]], quality: int, tune: Tune) -> Trade:
    """The trade of a photo model at a row of its tables (`caecodec.tune.row`); tune eye knows the first hundred alone.

    One that was exported without pictures to fit knows no eye.
    """

    def row(key: str) -> Float:
        return np.asarray(tensors[f"float.{key}"][quality - 1], np.float32)

    worth, weight = float(row("lambda")), row("weight")
    if tune == "psnr" or "float.eye_weight" not in tensors:
        return Trade(worth, 0.0, weight, 0.0, 0.0)
    usual, slope = row("activity")
    mixed = (1 - EYE_SHARE) * weight + EYE_SHARE * row("eye_weight")
    return Trade((1 - EYE_SHARE) * worth, EYE_SHARE * float(row("eye")), mixed, float(usual), float(slope))


def activity(pixels: Pixels) -> Float:
    """How busy a picture is: (16h, 16w, 3) -> log of the variance of lightness (h, w), as SSIMULACRA2 sees it.

    Blocks of 8x8 pixels at half size. Of a cell's own four and of what lies on both sides of it, the least counts:
    an edge, or a letter, between calm surroundings hides nothing.
    """
    y = ssimulacra2.lightness(pixels)
    half = (y[::2, ::2] + y[::2, 1::2] + y[1::2, ::2] + y[1::2, 1::2]) * np.float32(0.25)
    variance = _mean_of_4x4(np.square(half)) - np.square(_mean_of_4x4(half))
    fine = np.log(2 * np.maximum(variance, 0) + np.float32(ssimulacra2.SSIM_FLOOR))
    return _calmest(fine)


def _mean_of_4x4(x: Float) -> Float:
    """(4h, 4w) -> (h, w). Sums of rows, then of columns: many times faster than a mean over axes of 4."""
    rows = x[::4] + x[1::4] + x[2::4] + x[3::4]
    found: Float = (rows[:, ::4] + rows[:, 1::4] + rows[:, 2::4] + rows[:, 3::4]) * np.float32(1 / 16)
    return found


def _calmest(fine: Float) -> Float:
    """Logarithms at 8 pixels (2h, 2w) -> (h, w)."""
    own = fine.reshape(fine.shape[0] // 2, 2, fine.shape[1] // 2, 2).min((1, 3))
    around = np.pad(own, 1, mode="edge")
    beside = np.maximum(around[1:-1, :-2], around[1:-1, 2:])
    upright = np.maximum(around[:-2, 1:-1], around[2:, 1:-1])
    found: Float = np.minimum(own, np.minimum(beside, upright))
    return found
