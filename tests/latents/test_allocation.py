from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from support import photograph

import caecodec
from caecodec.format import container
from caecodec.format.container import TILE
from caecodec.zoo import find


@pytest.mark.parametrize(
    ("width", "height", "quality"),
    [(512, 384, 20), (512, 384, 80), (40, 24, 20), (40, 24, 80), (16, 16, 80), (TILE + 80, TILE + 200, 20)],
)
def test_bits_of_all_cells_are_the_bits_of_the_file(width: int, height: int, quality: int) -> None:
    data = caecodec.encode(photograph(height, width, seed=5), quality)
    found = caecodec.bit_allocation(data)
    assert found.latent_bits.shape == (-(-height // 16), -(-width // 16))
    assert found.hyper_bits.shape == (-(-height // 64), -(-width // 64))
    assert found.cells.shape == found.latent_bits.shape
    streams = container.parse(data).tiles
    coded = 8 * sum(len(stream) - container.CHECK_BYTES for stream in streams)
    total = float(found.latent_bits.sum(dtype=float) + found.hyper_bits.sum(dtype=float))
    assert float(found.cells.sum(dtype=float)) == pytest.approx(total, rel=1e-5)
    # a range coder ends within two bytes of what its symbols carry, and rounds each of them
    rounding = 2e-5 * 8 * find.find().config["n"] * found.latent_bits.size
    assert -16 * len(streams) - rounding <= total - coded <= 8 * len(streams)


def test_bits_go_where_the_detail_is() -> None:
    picture = np.full((256, 256, 3), 128, np.uint8)
    picture[64:128, 128:192] = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    cells = caecodec.bit_allocation(caecodec.encode(picture, 50)).cells
    busy = np.zeros((16, 16), bool)
    busy[4:8, 8:12] = True
    assert cells[busy].min() > 10 * cells[2:14, :6].max()


def test_gray_pictures_and_alpha_have_a_map_too() -> None:
    picture = Image.fromarray(photograph(48, 64)).convert("LA")
    assert caecodec.bit_allocation(caecodec.encode(picture)).cells.shape == (3, 4)


def test_a_model_without_a_map_says_so() -> None:
    with pytest.raises(caecodec.UsageError, match="tiny"):
        caecodec.bit_allocation(caecodec.encode(photograph(32, 32), model="tiny"))
