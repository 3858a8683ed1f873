"""Whole cells of a picture: what a network with strides is given."""

from __future__ import annotations

import numpy as np

from caecodec.pictures.picture import Pixels

CELL = 16  # pixels to a position of y in photo models, in a row or a column
TINY_CELL = 8  # in `tiny` models


def count(width: int, height: int, cell: int = CELL) -> tuple[int, int]:
    """Rows and columns of cells of a picture of this size in pixels."""
    return -(-height // cell), -(-width // cell)


def filled(colour: Pixels, cell: int = CELL) -> Pixels:
    """Colour (H, W[, 3]) -> (h, w, 3), continued past the right and lower edge to whole cells."""
    below, beside = -colour.shape[0] % cell, -colour.shape[1] % cell
    if below or beside:
        colour = np.pad(colour, ((0, below), (0, beside), *((0, 0),) * (colour.ndim - 2)), mode="edge")
    return np.repeat(colour[..., None], 3, axis=2) if colour.ndim == 2 else colour


def as_asked(pixels: Pixels, gray: bool) -> Pixels:
    """(H, W, C) -> (H, W, 3) as it is, or (H, W) for gray: the mean of the channels, rounded.

    A gray picture went in with all channels equal.
    """
    if not gray:
        return np.ascontiguousarray(pixels)
    channels = pixels.shape[2]
    found: Pixels = ((pixels.sum(axis=2, dtype=np.uint16) + channels // 2) // channels).astype(np.uint8)
    return found
