"""A picture as the codec sees it: 8-bit arrays and what lies beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caecodec.errors import InputImageError
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.pictures.lazy import LazyPixels

Pixels = NDArray[np.uint8]
Deep = NDArray[np.uint16]
DEEP_MAX = 0xFFFF
DEEP_STEP = 257  # of 16 bits, to one of 8


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels as the codec sees them.

    `colour`: (H, W, 3) or, for gray, (H, W); of a large picture it may still lie in its file. `alpha`: (H, W) or None.
    All uint8. Pixels are never turned: an EXIF orientation stays a tag. `notes`: what was lost on the way here, for the
    user.
    """

    colour: Pixels | LazyPixels
    alpha: Pixels | None = None
    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.colour.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.colour.shape[0])

    @property
    def pixels(self) -> Pixels:
        """All of the colour, in memory."""
        return self.colour[:]

    @property
    def gray(self) -> bool:
        """Whether there is one channel instead of three."""
        return self.colour.ndim == 2


def from_array(array: NDArray[np.uint8], limits: Limits = DEFAULT_LIMITS) -> Picture:
    """uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) -> Picture. Raises InputImageError, LimitError."""
    array = np.asarray(array)
    if array.dtype != np.uint8:
        raise InputImageError(f"pixels must be uint8, not {array.dtype}")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise InputImageError(f"pixels must be (H, W), (H, W, 3) or (H, W, 4), not {array.shape}")
    if not array.size:
        raise InputImageError("the picture has no pixels")
    limits.check_size(array.shape[1], array.shape[0])
    if array.ndim == 3 and array.shape[2] == 4:
        return Picture(array[..., :3], np.ascontiguousarray(array[..., 3]))
    return Picture(array)


def mse(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean squared error of two pictures of one shape, over all channels. Works row by row: little memory."""
    total = 0
    for row_a, row_b in zip(a, b, strict=True):
        difference = row_a.astype(np.int32) - row_b
        total += int((difference * difference).sum())
    return total / a.size
