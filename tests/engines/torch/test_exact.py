"""The engine on torch beside the exact ones: one step off at most, in a few samples of the loudest pictures two."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from support import photograph

from caecodec.codecs.opening import open_codec
from caecodec.format import container
from caecodec.pictures.picture import from_array
from caecodec.search.choice import lossy

NOISE = np.random.default_rng(0).integers(0, 256, (112, 144, 3), np.uint8)  # louder than what a model's ranges are of
EXTREMES = np.random.default_rng(1).integers(0, 2, (64, 64, 3), np.uint8) * 255
PICTURES = {"photograph": photograph(48, 64), "noise": NOISE, "black and white": EXTREMES}


def off(picture: NDArray[np.uint8], quality: int, model: str, precision: str = "float32") -> NDArray[np.int64]:
    """By how many steps each sample differs."""
    pytest.importorskip("torch")
    exact, rounded = open_codec(model), open_codec(model, precision=precision, engine="torch")
    parsed = container.parse(lossy(exact, from_array(picture), quality))
    pixels = [codec.decode(parsed).colour.astype(int) for codec in (exact, rounded)]
    return np.abs(pixels[0] - pixels[1])


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("quality", [1, 50, 100])
def test_pixels_are_one_step_off_at_most(name: str, quality: int) -> None:
    for steps in (off(PICTURES[name], quality, "photo"), off(PICTURES[name][:37, :64], quality, "tiny")):
        assert steps.max() <= 2
        assert (steps == 2).mean() <= (0.001 if name == "black and white" else 0)


@pytest.mark.parametrize("quality", [1, 50, 100])
def test_pixels_of_a_bfloat16_body_are_two_steps_off_at_most(quality: int) -> None:
    assert off(PICTURES["photograph"], quality, "photo", "bfloat16").max() <= 2
    assert off(PICTURES["photograph"], quality, "tiny", "bfloat16").max() <= 2
