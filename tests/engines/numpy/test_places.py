"""Places of unpooling, chosen for what they cost and what they do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray
from support import photograph

from caecodec.codecs.autoencoder import AutoencoderCodec
from caecodec.engines import opening
from caecodec.errors import ModelError
from caecodec.format import container
from caecodec.models.export import places
from caecodec.pictures.picture import Picture
from caecodec.zoo import find
from caecodec.zoo.file import Model

QUALITY = 20


def shipped(weight: float) -> Model:
    model = find.load("mnist")
    tensors = dict(model.tensors) | {"search.place_weight": np.full(100, weight, np.float32)}
    return dataclasses.replace(model, tensors=tensors)


def pictures(count: int) -> NDArray[np.uint8]:
    return np.stack([photograph(28, 28, seed=n)[..., :1] for n in range(count)])


def cost(codec: AutoencoderCodec, latents: NDArray[np.int32], pixels: NDArray[np.uint8], weight: float) -> float:
    """Bits of places and what the error is worth, over all pictures."""
    taken = latents[:, -codec.engine.places :]
    bits = codec.latents.place_bits()[np.arange(taken.shape[1]), taken].sum()
    symbols = latents[:, : -codec.engine.places].reshape(-1, 7, 7, 4)
    back = codec.engine.synthesise(symbols, taken, QUALITY)
    return float(bits + weight * np.square((back.astype(float) - pixels) / 255).sum())


@pytest.mark.parametrize("weight", [3.0, 300.0])
def test_chosen_places_cost_less_than_those_of_maxima(weight: float) -> None:
    model, pixels = shipped(weight), pictures(3)
    codec = AutoencoderCodec(model, "cpu", "float32", engine="numpy")
    without = {key: value for key, value in model.tensors.items() if key != "search.place_weight"}
    plain = AutoencoderCodec(dataclasses.replace(model, tensors=without), "cpu", "float32", engine="numpy")
    chosen, maxima = codec.chosen(pixels, QUALITY), plain.chosen(pixels, QUALITY)
    assert cost(codec, chosen, pixels, weight) < 0.9 * cost(codec, maxima, pixels, weight)
    # no other place of any one cell would have been better by more than pixels are rounded
    found = opening.places(model)
    assert found is not None
    symbols = chosen[:, : -codec.engine.places].reshape(-1, 7, 7, 4)
    again = found.choose(
        symbols, chosen[:, -codec.engine.places :].astype(np.uint8), pixels, codec.latents.place_bits(), QUALITY
    )
    assert (again != chosen[:, -codec.engine.places :]).mean() < 0.1


def test_chosen_places_are_in_the_file() -> None:
    codec = AutoencoderCodec(shipped(100.0), "cpu", "float32", engine="numpy")
    pixels = pictures(1)
    data = codec.encode(Picture(pixels[0, ..., 0]), QUALITY)
    (found,) = codec.decode_latents(container.parse(data))
    assert np.array_equal(found, codec.chosen(pixels, QUALITY)[0])


def test_tables_of_places_are_those_of_the_shares() -> None:
    tensors = dict(find.load("mnist").tensors)
    shares = np.random.default_rng(0).dirichlet((0.3, 1, 1, 1), 1764)
    made = places.with_shares(tensors, shares)
    codec = AutoencoderCodec(dataclasses.replace(find.load("mnist"), tensors=made), "cpu", "float32", engine="numpy")
    bits = codec.latents.place_bits()
    assert np.allclose((2.0**-bits).sum(1), 1, atol=1e-4)
    lost = (shares * (bits + np.log2(shares))).sum(1).mean()
    assert 0 <= lost < 0.2


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_a_worth_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ModelError, match="place_weight"):
        opening.places(shipped(value))
