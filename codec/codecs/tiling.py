"""Tiles of a picture and the halo around them. All extents are half-open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caecodec.format.container import TILE, tile_grid
from caecodec.pictures import cells
from caecodec.pictures.cells import CELL
from caecodec.pictures.lazy import LazyPixels
from caecodec.pictures.picture import Pixels

Latents = NDArray[Any]

TILE_CELLS = TILE // CELL


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile in cells of y: rows top..bottom, columns left..right."""

    row: int
    column: int
    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Cells high, cells wide."""
        return self.bottom - self.top, self.right - self.left

    @property
    def region(self) -> Region:
        """The tile without a halo."""
        return Region(self.top, self.bottom, self.left, self.right, 0, 0)


def tiles(width: int, height: int) -> Iterator[Tile]:
    """Tiles in raster order."""
    rows, columns = tile_grid(width, height)
    high, wide = cells.count(width, height)
    for r in range(rows):
        for c in range(columns):
            top, left = r * TILE_CELLS, c * TILE_CELLS
            yield Tile(r, c, top, min(top + TILE_CELLS, high), left, min(left + TILE_CELLS, wide))


@dataclass(frozen=True, slots=True)
class Region:
    """A tile grown by a halo and cut at the picture's edge, in cells; `inner_*` is the tile within it."""

    top: int
    bottom: int
    left: int
    right: int
    inner_top: int
    inner_left: int


def with_halo(tile: Tile, halo: int, extent: tuple[int, int]) -> Region:
    """Grow `tile` by `halo` cells inside `extent` (rows, columns)."""
    top, left = max(0, tile.top - halo), max(0, tile.left - halo)
    bottom, right = min(extent[0], tile.bottom + halo), min(extent[1], tile.right + halo)
    return Region(top, bottom, left, right, tile.top - top, tile.left - left)


def border(tile: Tile, width: int, extent: tuple[int, int]) -> NDArray[np.bool_]:
    """Cells of a tile (h, w) within `width` cells of an edge that it shares with another."""
    found = np.zeros(tile.shape, np.bool_)
    found[: width if tile.top else 0] = True
    found[:, : width if tile.left else 0] = True
    found[tile.shape[0] - (width if tile.bottom < extent[0] else 0) :] = True
    found[:, tile.shape[1] - (width if tile.right < extent[1] else 0) :] = True
    return found


def cut(colour: Pixels | LazyPixels, region: Region) -> Pixels:
    """A region of the picture (H, W[, 3]) -> (h, w, 3), whole cells."""
    rows = slice(region.top * CELL, region.bottom * CELL)
    return cells.filled(colour[rows, region.left * CELL : region.right * CELL])


def inside(colour: Pixels | LazyPixels, tile: Tile) -> Pixels:
    """A tile's part of the picture (H, W[, 3]); of an array as a view."""
    return colour[tile.top * CELL : tile.bottom * CELL, tile.left * CELL : tile.right * CELL]
