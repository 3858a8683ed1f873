from __future__ import annotations

import numpy as np
import pytest
from support import photograph

from caecodec.codecs import tiling
from caecodec.codecs.opening import open_codec
from caecodec.codecs.photo import PhotoCodec
from caecodec.engines.native import library
from caecodec.format.container import TILE
from caecodec.pictures import cells
from caecodec.pictures.picture import Picture, from_array

EXACT = library.available()
WIDE = (TILE + 80, TILE + 200)  # 2 x 2 tiles


@pytest.fixture(scope="module")
def codec() -> PhotoCodec:
    return open_codec() if EXACT else open_codec(precision="float32", engine="torch")  # numpy takes minutes


@pytest.fixture(scope="module")
def picture() -> Picture:
    return from_array(photograph(*WIDE, seed=3))


def test_tiles_cover_the_picture_once() -> None:
    for width, height in ((1, 1), (1024, 1024), (1025, 16), (3000, 2100)):
        covered = np.zeros(cells.count(width, height), int)
        for tile in tiling.tiles(width, height):
            covered[tile.top : tile.bottom, tile.left : tile.right] += 1
        assert (covered == 1).all()


def test_latents_of_tiles_equal_latents_of_the_whole(codec: PhotoCodec, picture: Picture) -> None:
    whole_cells = cells.count(picture.width, picture.height)
    everything = tiling.Region(0, whole_cells[0], 0, whole_cells[1], 0, 0)
    whole, _ = codec.engine.analyse(tiling.cut(picture.colour, everything), (slice(None), slice(None)))
    for tile, analysed in zip(tiling.tiles(picture.width, picture.height), codec.analyse(picture), strict=True):
        part = whole[tile.top : tile.bottom, tile.left : tile.right]
        assert np.abs(analysed.y - part).max() <= (0 if EXACT else 1e-3)


def test_no_seam_at_tile_borders(codec: PhotoCodec, picture: Picture) -> None:
    quality = 60
    tiles = list(tiling.tiles(picture.width, picture.height))
    coded = [codec.code_tile(analysed, quality)[1] for analysed in codec.analyse(picture)]
    whole = np.empty((*cells.count(picture.width, picture.height), coded[0].shape[2]), np.int32)
    for tile, y_hat in zip(tiles, coded, strict=True):
        whole[tile.top : tile.bottom, tile.left : tile.right] = y_hat
    tiled = codec.synthesise(picture.width, picture.height, False, quality, iter(coded))
    untiled = codec.engine.synthesise(whole, quality)[: picture.height, : picture.width]
    # float sums in another order may turn a rounding; a seam would be many steps along a line
    difference = np.abs(tiled.astype(int) - untiled.astype(int))
    assert difference.max() <= (0 if EXACT else 1)
    assert difference.mean() < 0.01


def test_the_halo_is_needed(codec: PhotoCodec, picture: Picture) -> None:
    """The comparison above can fail: without a halo the same tiles do show a seam."""
    quality, n = 60, int(codec.model.info.config["n"])
    everything = (np.arange(8 * 70 * n).reshape(8, 70, n) % 7 * 300).astype(np.int32)
    whole = codec.engine.synthesise(everything, quality)
    alone = codec.engine.synthesise(everything[:, :35], quality)
    assert np.abs(whole[:, : 35 * 16].astype(int) - alone.astype(int)).max() > 1
