"""What is wanted of a picture: regions, smaller pictures, 16 bits."""

from __future__ import annotations

import numpy as np
import pytest

from caecodec.errors import UsageError
from caecodec.pictures import view
from caecodec.pictures.view import View

PIXELS = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)


def test_a_scale_is_one_of_five_and_a_depth_one_of_two() -> None:
    assert [View.of(scale=1 / d).divisor for d in (1, 2, 4, 8, 16)] == [1, 2, 4, 8, 16]
    with pytest.raises(UsageError, match=r"scale 0\.3: choose 1, 1/2, 1/4, 1/8 or 1/16"):
        View.of(scale=0.3)
    with pytest.raises(UsageError, match="depth 12: choose 8 or 16"):
        View.of(depth=12)
    with pytest.raises(UsageError, match="give left, top, right and bottom"):
        View.of(region=(1, 2, 3))


@pytest.mark.parametrize("region", [(0, 0, 54, 37), (0, 0, 53, 38), (-1, 0, 5, 5), (5, 5, 5, 9), (9, 0, 5, 5)])
def test_a_region_outside_of_the_picture_is_refused(region: view.Box) -> None:
    with pytest.raises(UsageError, match="does not lie in the picture of 53x37 pixels"):
        View(region).window(53, 37)


@pytest.mark.parametrize("divisor", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("region", [(0, 0, 1, 1), (3, 5, 50, 36), (52, 36, 53, 37), (16, 16, 32, 32)])
def test_a_region_of_a_smaller_picture_is_what_it_touches_of_it(divisor: int, region: view.Box) -> None:
    whole = View(None, divisor).of_plane(PIXELS)
    assert whole.shape == (-(-37 // divisor), -(-53 // divisor), 3)
    left, top, right, bottom = View(region, divisor).window(53, 37)
    assert right > left
    assert bottom > top
    np.testing.assert_array_equal(View(region, divisor).of_plane(PIXELS), whole[top:bottom, left:right])


def test_a_smaller_picture_is_the_mean_of_squares_and_of_what_there_is_of_them_at_the_edge() -> None:
    small = View(None, 4).of_plane(PIXELS)
    for row, column in ((0, 0), (3, 7), (9, 13), (9, 0)):
        block = PIXELS[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].reshape(-1, 3)
        assert np.abs(small[row, column] - block.mean(axis=0)).max() <= 0.502
    assert (View(None, 16).of_plane(np.full((40, 40), 77, np.uint8)) == 77).all()


def test_sixteen_bits_round_to_eight() -> None:
    samples = np.arange(256, dtype=np.uint8)
    deep = view.deepened(samples)
    assert deep[0] == 0
    assert deep[255] == 65535
    for off in (-128, -1, 0, 1, 128):
        near = (deep.astype(int) + off).clip(0, 65535).astype(np.uint16)
        np.testing.assert_array_equal(view.rounded(near), samples)


def test_gray_of_sixteen_bits_rounds_to_the_gray_of_eight() -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (64, 64, 3), np.uint16)
    deep[:8] = 65535
    deep[8:16] = 0
    eight = (view.rounded(deep).sum(axis=2, dtype=int) + 1) // 3
    gray = view.gray_of(deep)
    np.testing.assert_array_equal(view.rounded(gray), eight)
    assert np.abs(gray - deep.mean(axis=2)).max() <= 257
