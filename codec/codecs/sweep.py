"""Tiles of latents -> bands of pixels, from top to bottom, holding one tile and the edges of those before it.

A pixel needs latents a halo around it, so a tile can be shown but for a halo along its right and lower edge, which
waits for the tiles there. What waits is two halos wide: what is shown next, and what it sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from caecodec.codecs import tiling
from caecodec.codecs.tiling import Latents, Tile
from caecodec.pictures import cells
from caecodec.pictures.view import Samples


@dataclass(frozen=True, slots=True)
class Cells:
    """A rectangle of cells."""

    top: int
    bottom: int
    left: int
    right: int

    def grown(self, halo: int, within: Cells) -> Cells:
        """A halo around it, as far as `within` reaches."""
        return Cells(
            max(within.top, self.top - halo),
            min(within.bottom, self.bottom + halo),
            max(within.left, self.left - halo),
            min(within.right, self.right + halo),
        )

    def cut(self, latents: Latents, corner: tuple[int, int]) -> Latents:
        """Its part of latents whose first cell is at `corner`."""
        top, left = corner
        return latents[self.top - top : self.bottom - top, self.left - left : self.right - left]


class Sweep:
    """Over the `window` of a picture of this size: which tiles it touches with its halo, and their bands."""

    def __init__(self, width: int, height: int, window: Cells, halo: int) -> None:
        high, wide = cells.count(width, height)
        self._all = Cells(0, high, 0, wide)
        self._window, self._halo = window, halo
        self._seen = window.grown(halo, self._all)
        seen = self._seen
        self.tiles: list[tuple[int, Tile]] = [  # number in raster order, tile
            (number, tile)
            for number, tile in enumerate(tiling.tiles(width, height))
            if tile.top < seen.bottom and tile.bottom > seen.top and tile.left < seen.right and tile.right > seen.left
        ]

    def bands(self, latents: Iterator[Latents], render: Callable[[Latents], Samples]) -> Iterator[Samples]:
        """Latents of `tiles`, in their order -> pixels of the window, some rows at a time, all its columns.

        render: latents (h, w, N) -> pixels (h*m, w*m, ...), m of the renderer's choice.
        """
        above: dict[int, Latents] = {}  # column of tiles -> the last rows of the tile above
        shown_rows = self._window.top
        for members in self._rows():
            band, before = None, None  # `before`: the last columns of the tile to the left
            shown_columns, ready_rows = self._window.left, self._ready(members[0].bottom, by_row=True)
            for tile in members:
                known, corner = self._known(next(latents), tile, above, before)
                before = self._kept(known, axis=1)
                ready_columns = self._ready(tile.right, by_row=False)
                if ready_rows > shown_rows and ready_columns > shown_columns:
                    block = Cells(shown_rows, ready_rows, shown_columns, ready_columns)
                    band = self._pasted(band, self._rendered(block, known, corner, render), block)
                    shown_columns = ready_columns
                del known
            if band is not None:
                shown_rows = ready_rows
                yield band

    def _pasted(self, band: Samples | None, pixels: Samples, block: Cells) -> Samples:
        """Pixels of a block in their place in the band, which is made for the first of them."""
        m = pixels.shape[0] // (block.bottom - block.top)
        left, right = self._window.left, self._window.right
        if band is None:
            band = np.empty((pixels.shape[0], (right - left) * m, *pixels.shape[2:]), pixels.dtype)
        band[:, (block.left - left) * m : (block.right - left) * m] = pixels
        return band

    def _rows(self) -> list[list[Tile]]:
        rows: dict[int, list[Tile]] = {}
        for _, tile in self.tiles:
            rows.setdefault(tile.row, []).append(tile)
        return list(rows.values())

    def _known(
        self, latents: Latents, tile: Tile, above: dict[int, Latents], before: Latents | None
    ) -> tuple[Latents, tuple[int, int]]:
        """What is seen of a tile, with what was kept above and to the left of it; where that begins."""
        inside = Cells(tile.top, tile.bottom, tile.left, tile.right).grown(0, self._seen)
        own = inside.cut(latents, (tile.top, tile.left))
        known = np.concatenate((above[tile.column], own)) if tile.column in above else own
        above[tile.column] = self._kept(known, axis=0)
        if before is not None:
            # the tile to the left has kept as many rows
            known = np.concatenate((before, known), axis=1)
        return known, (inside.bottom - known.shape[0], inside.right - known.shape[1])

    def _kept(self, known: Latents, axis: int) -> Latents:
        size = known.shape[axis]
        kept = slice(max(0, size - 2 * self._halo), size)
        return known[kept].copy() if axis == 0 else known[:, kept].copy()

    def _ready(self, end: int, *, by_row: bool) -> int:
        """Up to which row or column of the window pixels can be made once latents are known up to `end`."""
        whole = self._all.bottom if by_row else self._all.right
        last = self._window.bottom if by_row else self._window.right
        return min(last, end if end == whole else end - self._halo)

    def _rendered(
        self, block: Cells, known: Latents, corner: tuple[int, int], render: Callable[[Latents], Samples]
    ) -> Samples:
        around = block.grown(self._halo, self._all)
        pixels = render(around.cut(known, corner))
        m = pixels.shape[0] // (around.bottom - around.top)
        rows = slice((block.top - around.top) * m, (block.bottom - around.top) * m)
        return pixels[rows, (block.left - around.left) * m : (block.right - around.left) * m]
