from __future__ import annotations

import numpy as np
import pytest
from support import photograph

from caecodec.bench.timing.mosaic import mosaic, sides


def test_pictures_are_of_the_size_asked_for() -> None:
    for megapixels in (0.1, 0.4, 2, 12, 24):
        width, height = sides(megapixels)
        assert width * height / 1e6 == pytest.approx(megapixels, rel=0.003)
        assert width / height == pytest.approx(1.5, rel=0.01)


def test_a_mosaic_is_of_the_given_pixels_and_continues_without_an_edge() -> None:
    photo = photograph(40, 60)
    assert np.array_equal(mosaic([photo], 60, 40), photo)
    assert np.array_equal(mosaic([photo], 30, 20), photo[10:30, 15:45])
    large = mosaic([photo], 150, 100)
    assert large.shape == (100, 150, 3)
    assert np.array_equal(large[:40, 60:120], photo[:, ::-1])
    assert np.array_equal(large[40:80, :60], photo[::-1])
    assert np.array_equal(large[79], large[80])
    upright = mosaic([photo, np.rot90(photograph(60, 40, seed=3))], 120, 40)
    assert np.array_equal(upright[:, :60], photo)


def test_every_picture_of_a_batch_is_another() -> None:
    photos = [photograph(40, 60), photograph(50, 60, seed=1)]
    made = {mosaic(photos, 60, 40, number).tobytes() for number in range(20)}
    assert len(made) == 20
