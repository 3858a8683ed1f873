"""Tiles of a picture and the halo around them. All extents are half-open; pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from caecodec.format.container import TILE, tile_grid

CELL = 16  # pixels to a position of y
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


def cells(width: int, height: int) -> tuple[int, int]:
    """Extent of y for a picture of this size in pixels: rows, columns."""
    return -(-height // CELL), -(-width // CELL)


def tiles(width: int, height: int) -> Iterator[Tile]:
    """Tiles in raster order."""
    rows, columns = tile_grid(width, height)
    high, wide = cells(width, height)
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
