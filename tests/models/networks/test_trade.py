"""What an encoder gives bits for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import photograph

import caecodec
from caecodec.codecs.opening import open_codec
from caecodec.codecs.photo import PhotoCodec
from caecodec.models.networks.trade import (
    EYE_SHARE,
    LONG_SEARCH,
    SEARCHED_SHARE,
    SEARCHED_WORTH,
    Trade,
    activity,
    trade,
)
from caecodec.pictures import picture as pixels
from caecodec.pictures import ssimulacra2


@pytest.fixture(scope="module")
def coder() -> PhotoCodec:
    return open_codec(precision="float32")


def test_errors_cost_what_both_measures_say() -> None:
    original = photograph(64, 48)
    decoded = np.clip(original.astype(int) + np.random.default_rng(1).integers(-9, 10, original.shape), 0, 255)
    decoded = decoded.astype(np.uint8)
    both = Trade(mse=0.02, eye=0.05, weight=np.ones(4, np.float32), usual=0.0, slope=0.0)
    expected = 0.02 * pixels.mse(original, decoded) + 0.05 * (100 - ssimulacra2.score(original, decoded))
    assert both.cost(original, decoded) == pytest.approx(64 * 48 * expected)
    # too small for SSIMULACRA2
    assert both.cost(original[:4], decoded[:4]) == pytest.approx(4 * 48 * 0.02 * pixels.mse(original[:4], decoded[:4]))


def test_a_search_gives_more_of_the_worth_to_squared_errors() -> None:
    one = np.ones(4, np.float32)
    seen = Trade(mse=(1 - EYE_SHARE) * 2.0, eye=EYE_SHARE * 3.0, weight=one, usual=-6.0, slope=0.8)
    searched = seen.searched(1)
    assert searched.mse == pytest.approx((1 - SEARCHED_SHARE) * 2.0)
    assert searched.eye == pytest.approx(SEARCHED_SHARE * 3.0)
    assert (searched.weight is one, searched.usual, searched.slope) == (True, -6.0, 0.8)
    squared = Trade(mse=2.0, eye=0.0, weight=one, usual=0.0, slope=0.0)
    once, long, longer = (squared.searched(rounds) for rounds in (1, LONG_SEARCH, 5 * LONG_SEARCH))
    assert 2.0 < once.mse < 1.02 * 2.0
    assert long.mse == longer.mse == pytest.approx(SEARCHED_WORTH * 2.0)
    assert long.eye == 0.0
    np.testing.assert_allclose(long.weight, SEARCHED_WORTH)


def test_calm_cells_are_rounded_with_more_care() -> None:
    seen = Trade(mse=0.0, eye=0.0, weight=np.ones(4, np.float32), usual=-6.0, slope=0.8)
    strength = np.asarray(seen.strength(0.3, np.array([[-7.0, -6.0, -4.0, 9.0]], np.float32)))[0]
    assert (np.diff(strength) > 0).all()
    assert strength[1] == pytest.approx(0.3)
    assert strength[3] <= 0.3 / (1 - EYE_SHARE) + 1e-6
    alone = replace(seen, slope=0.0)
    assert alone.strength(0.3, np.zeros((1, 4), np.float32)) == 0.3


def test_activity_is_of_texture_and_not_of_edges_or_letters() -> None:
    random = np.random.default_rng(2)
    picture = np.full((160, 160, 3), 128, np.uint8)
    picture[:, 80:] = random.integers(60, 200, (160, 80, 1))  # texture on the right
    picture[:, 24:28] = 250  # a line on the left
    picture[70:76, 8:72:3] = 0  # and as it were letters, in a row of cells
    found = activity(picture)
    assert found.shape == (10, 10)
    calm = found[1, 3]
    np.testing.assert_allclose(found[:, :4], calm, atol=1e-4)
    assert found[5, 7] > calm + 1.5
    assert calm == pytest.approx(np.log(ssimulacra2.SSIM_FLOOR), abs=1e-3)


def test_the_model_says_what_an_eye_sees(coder: PhotoCodec) -> None:
    for quality in (1, 30, 75, 100):
        seen, squared = (trade(coder.model.tensors, quality, tune) for tune in ("eye", "psnr"))
        assert squared.eye == 0 == squared.slope
        assert seen.eye > 0 < seen.slope
        assert seen.mse == pytest.approx((1 - EYE_SHARE) * squared.mse)
        assert (seen.weight > 0.2 * squared.weight).all()
    low, high = (trade(coder.model.tensors, quality, "eye") for quality in (30, 90))
    assert low.eye < high.eye
    assert low.mse < high.mse


def test_a_model_without_an_eye_trades_squared_errors(coder: PhotoCodec) -> None:
    blind = {k: v for k, v in coder.model.tensors.items() if not k.startswith("float.eye")}
    assert trade(blind, 50, "eye").eye == 0 == trade(blind, 50, "eye").slope


def test_tunes_differ_as_they_say(coder: PhotoCodec) -> None:
    from pathlib import Path

    from PIL import Image

    with Image.open(Path(__file__).parents[2] / "data" / "photo.png") as image:
        photo = np.asarray(image.convert("RGB"))[:256, :256].copy()
    seen, squared = (caecodec.encode(photo, 50, tune=tune) for tune in ("eye", "psnr"))
    assert seen != squared
    assert np.asarray(caecodec.decode(seen)).shape == np.asarray(caecodec.decode(squared)).shape == photo.shape
    with pytest.raises(caecodec.UsageError, match="tune 'ssim': choose eye or psnr"):
        caecodec.encode(photo, tune="ssim")  # type: ignore[arg-type]
