"""Photographs of any size, cut from a mosaic of given ones, so that what is measured stays photographic."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from caecodec.bench.pictures import Pixels

_SHIFT = 37  # pixels between pictures that are cut from the same place


def sides(megapixels: float) -> tuple[int, int]:
    """Width and height in pixels of a 3:2 picture of about so many megapixels."""
    width = max(1, round(math.sqrt(1.5e6 * megapixels)))
    return width, max(1, round(1e6 * megapixels / width))


def mosaic(photos: Sequence[Pixels], width: int, height: int, number: int = 0) -> Pixels:
    """A (height, width, 3) picture; another `number` gives another picture of the same size.

    The photographs lie side by side, cut to the size of the smallest, upright ones turned; every second column and row
    is mirrored, so that a single photograph continues without an edge. The cut is at the middle of the first one.
    """
    lying = [np.rot90(photo) if photo.shape[0] > photo.shape[1] else photo for photo in photos]
    cell_height, cell_width = (min(photo.shape[side] for photo in lying) for side in (0, 1))
    shift = _SHIFT * (number // len(lying))
    top = max(0, (cell_height - height) // 2) + shift % cell_height
    left = max(0, (cell_width - width) // 2) + shift % cell_width
    rows, columns = -(-(top + height) // cell_height), -(-(left + width) // cell_width)
    made = np.empty((height, width, 3), np.uint8)
    for row in range(rows):
        for column in range(columns):
            tile = lying[(number + row * columns + column) % len(lying)][:cell_height, :cell_width]
            tile = tile[:: -1 if row % 2 else 1, :: -1 if column % 2 else 1]
            y, x = row * cell_height - top, column * cell_width - left  # of the tile in the picture
            part = tile[max(0, -y) : max(0, height - y), max(0, -x) : max(0, width - x)]
            y, x = max(0, y), max(0, x)
            made[y : y + part.shape[0], x : x + part.shape[1]] = part
    return made
