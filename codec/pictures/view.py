"""What is wanted of a picture: a part of it, made smaller, in 8 or 16 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caecodec.errors import UsageError
from caecodec.pictures.picture import DEEP_STEP, Deep, Pixels

Samples = NDArray[Any]  # uint8 or, where 16 bits are wanted, uint16
Box = tuple[int, int, int, int]  # left, top, right, bottom, half-open
DIVISORS = (1, 2, 4, 8, 16)
DEPTHS = (8, 16)


@dataclass(frozen=True, slots=True)
class View:
    """region: in pixels of the whole picture; None is all of it. divisor: of its sides. depth: bits of a sample.

    A picture of W x H pixels made smaller has ceil(W/divisor) x ceil(H/divisor). Of it the view has every pixel that
    the region touches.
    """

    region: Box | None = None
    divisor: int = 1
    depth: int = 8

    @classmethod
    def of(cls, region: object = None, scale: float = 1, depth: int = 8) -> View:
        """As callers say it. Raises UsageError."""
        divisor = next((d for d in DIVISORS if scale == 1 / d), None)
        if divisor is None:
            raise UsageError(f"scale {scale!r}: choose 1, 1/2, 1/4, 1/8 or 1/16")
        if depth not in DEPTHS:
            raise UsageError(f"depth {depth!r}: choose 8 or 16 bits")
        return cls(None if region is None else _box(region), divisor, depth)

    @property
    def whole(self) -> bool:
        """Whether it is the picture as it is, in 8 bits."""
        return self == WHOLE

    def window(self, width: int, height: int) -> Box:
        """Its place in the smaller picture, of a picture of this size. Raises UsageError for one outside of it."""
        left, top, right, bottom = self.region or (0, 0, width, height)
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise UsageError(
                f"region {left},{top},{right},{bottom} does not lie in the picture of {width}x{height} pixels: give "
                f"left,top,right,bottom with 0 <= left < right <= {width} and 0 <= top < bottom <= {height}"
            )
        d = self.divisor
        return left // d, top // d, -(-right // d), -(-bottom // d)

    def of_plane(self, samples: Pixels) -> Samples:
        """All of a picture (H, W[, C]) -> what is wanted of it."""
        height, width = samples.shape[:2]
        left, top, right, bottom = (side * self.divisor for side in self.window(width, height))
        return self.finished(samples[top:bottom, left:right])

    def finished(self, samples: Pixels) -> Samples:
        """Samples (h, w[, C]) from a multiple of the divisor on -> smaller, in the bits that are wanted."""
        if self.divisor == 1:
            return samples if self.depth == 8 else deepened(samples)
        return self.rounded(smaller(deepened(samples), self.divisor))

    def rounded(self, samples: Deep) -> Samples:
        """Samples of 16 bits in the bits that are wanted."""
        return samples if self.depth == 16 else rounded(samples)


WHOLE = View()


def _box(region: object) -> Box:
    try:
        left, top, right, bottom = (int(side) for side in region)  # type: ignore[attr-defined]
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"region {region!r}: give left, top, right and bottom in pixels") from None
    return left, top, right, bottom


def deepened(samples: Pixels) -> Deep:
    """8 bits -> 16: 255 becomes 65535."""
    return samples.astype(np.uint16) * np.uint16(DEEP_STEP)


def rounded(samples: Deep) -> Pixels:
    """16 bits -> the nearest of 8."""
    found: Pixels = ((samples.astype(np.uint32) + DEEP_STEP // 2) // DEEP_STEP).astype(np.uint8)
    return found


def smaller(samples: Deep, divisor: int) -> Deep:
    """Means, rounded, of squares of `divisor` pixels of (H, W[, C]); of what there is of them at the edges."""
    sums: NDArray[Any] = samples
    counts = np.ones((1, 1), np.uint32)
    for axis, side in enumerate(samples.shape[:2]):
        starts = np.arange(0, side, divisor)
        sums = np.add.reduceat(sums, starts, axis=axis, dtype=np.uint32)
        each = np.diff(np.append(starts, side)).astype(np.uint32)
        counts = counts * (each[:, None] if axis == 0 else each[None])
    counts = counts.reshape(*counts.shape, *(1,) * (samples.ndim - 2))
    found: Deep = ((sums + counts // 2) // counts).astype(np.uint16)
    return found


def gray_of(samples: Deep) -> Deep:
    """(H, W, 3) -> (H, W): the mean, rounded, as near as it can be while it rounds to the gray of 8 bits."""
    mean = (samples.sum(axis=2, dtype=np.uint32) + 1) // 3
    gray = (rounded(samples).sum(axis=2, dtype=np.uint32) + 1) // 3 * DEEP_STEP
    nearest = np.clip(mean + DEEP_STEP // 2, gray, gray + 2 * (DEEP_STEP // 2)) - DEEP_STEP // 2
    found: Deep = nearest.astype(np.int64).clip(0, 0xFFFF).astype(np.uint16)
    return found
