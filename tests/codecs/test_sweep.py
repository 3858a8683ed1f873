"""Tiles to bands, with a renderer whose pixels see a halo of cells around them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from caecodec.codecs import tiling
from caecodec.codecs.sweep import Cells, Sweep
from caecodec.pictures import cells

WIDTH, HEIGHT = 16 * 150 - 3, 16 * 134 - 7  # 3 x 3 tiles, the last of 22 and 6 cells
LATENTS = np.random.default_rng(0).integers(0, 100, (*cells.count(WIDTH, HEIGHT), 1)).astype(np.int32)


def blurred(latents: NDArray[np.int32], halo: int) -> NDArray[np.int64]:
    """Two pixels a side of a cell: sums of what lies within the halo, zero outside, as of layers of 3x3."""
    size = 2 * halo + 1
    padded = np.pad(latents[..., 0], halo).astype(np.int64)
    sums = np.lib.stride_tricks.sliding_window_view(padded, (size, size)).sum(axis=(2, 3))
    return np.repeat(np.repeat(sums, 2, axis=0), 2, axis=1)[..., None]


@pytest.mark.parametrize("halo", [0, 1, 4])
@pytest.mark.parametrize(
    "window",
    [(0, 134, 0, 150), (0, 1, 0, 1), (63, 65, 63, 65), (128, 134, 100, 150), (60, 70, 3, 149), (133, 134, 149, 150)],
)
def test_bands_of_a_window_are_those_of_the_whole(window: tuple[int, int, int, int], halo: int) -> None:
    top, bottom, left, right = window
    sweep = Sweep(WIDTH, HEIGHT, Cells(*window), halo)
    parts = (LATENTS[t.top : t.bottom, t.left : t.right] for _, t in sweep.tiles)
    found = np.concatenate(list(sweep.bands(parts, lambda y: blurred(y, halo))))  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, blurred(LATENTS, halo)[2 * top : 2 * bottom, 2 * left : 2 * right])
    assert next(parts, None) is None


def test_only_tiles_that_a_window_sees_are_taken() -> None:
    assert [n for n, _ in Sweep(WIDTH, HEIGHT, Cells(0, 60, 0, 60), 4).tiles] == [0]
    assert [n for n, _ in Sweep(WIDTH, HEIGHT, Cells(0, 61, 0, 60), 4).tiles] == [0, 3]
    assert [n for n, _ in Sweep(WIDTH, HEIGHT, Cells(70, 80, 130, 131), 4).tiles] == [4, 5]
    assert len(Sweep(WIDTH, HEIGHT, Cells(0, 134, 0, 150), 4).tiles) == len(list(tiling.tiles(WIDTH, HEIGHT)))


def test_a_band_is_given_as_soon_as_the_row_of_tiles_is_known() -> None:
    sweep = Sweep(WIDTH, HEIGHT, Cells(0, 134, 0, 150), 4)
    taken = 0

    def counted() -> object:
        nonlocal taken
        for _, tile in sweep.tiles:
            taken += 1
            yield LATENTS[tile.top : tile.bottom, tile.left : tile.right]

    seen = [(taken, len(band)) for band in sweep.bands(counted(), lambda y: blurred(y, 4))]  # type: ignore[arg-type]
    assert seen == [(3, 120), (6, 128), (9, 20)]
