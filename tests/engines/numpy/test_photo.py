"""The photo family by numpy: what an engine promises, and which models it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import zoo_models
from numpy.typing import NDArray
from support import photograph

from caecodec.engines.numpy.photo import NumpyPhotoEngine
from caecodec.engines.protocol import PhotoEngine
from caecodec.errors import ModelError
from caecodec.zoo.file import Model

MODEL = zoo_models.photo()


def no_gradients() -> PhotoEngine:
    raise AssertionError("nobody asked for gradients")


def engine(model: Model = MODEL) -> NumpyPhotoEngine:
    return NumpyPhotoEngine(model, no_gradients)


def latents(rows: int, columns: int) -> NDArray[np.int32]:
    return np.random.default_rng(4).integers(-9000, 9000, (rows, columns, 20), np.int32)


def test_shapes_and_types_are_those_of_the_protocol() -> None:
    y, z = engine().analyse(photograph(80, 112), (slice(0, 5), slice(1, 7)))
    assert (y.shape, z.shape, y.dtype, z.dtype) == ((5, 6, 20), (2, 2, 8), np.float32, np.float32)
    pixels = engine().synthesise(latents(3, 2), 50)
    assert (pixels.shape, pixels.dtype) == ((48, 32, 3), np.uint8)
    assert engine().row("gain", 7).tolist() == [7] * 20


def test_a_part_seen_with_its_halo_is_that_of_the_whole_to_the_bit() -> None:
    one, pixels = engine(), photograph(128, 160)
    halo = one.halo_in
    whole, _ = one.analyse(pixels, (slice(0, 8), slice(0, 10)))
    top, left = 3 - halo, 4 - halo
    seen = pixels[16 * top : 16 * (5 + halo), 16 * left : 16 * (6 + halo)]
    part, _ = one.analyse(seen, (slice(halo, halo + 2), slice(halo, halo + 2)))
    assert np.array_equal(part, whole[3:5, 4:6])


def test_pixels_of_a_part_with_its_halo_are_those_of_the_whole() -> None:
    one, y_hat = engine(), latents(9, 8)
    halo = one.halo_out
    whole = one.synthesise(y_hat, 80)
    part = one.synthesise(y_hat[3 - halo : 5 + halo, 4 - halo : 5 + halo], 80)
    inner = part[16 * halo : -16 * halo, 16 * halo : -16 * halo]
    assert np.array_equal(inner, whole[48:80, 64:80])
    assert len(np.unique(whole)) > 50  # not a flat picture


def test_the_quality_is_heard() -> None:
    y_hat = latents(1, 1)
    assert not np.array_equal(engine().synthesise(y_hat, 1), engine().synthesise(y_hat, 100))


@pytest.mark.parametrize("name", ["g_s.stem.weight", "g_a.linear.bias", "h_a.unit", "quality.modulation"])
def test_a_model_that_lacks_a_tensor_is_refused(name: str) -> None:
    tensors = {key: value for key, value in MODEL.tensors.items() if key != name}
    with pytest.raises(ModelError, match="lacks"):
        engine(Model(MODEL.info, tensors))


@pytest.mark.parametrize("name", ["g_s.head.weight", "g_a.down.weight", "h_a.down2.weight", "h_a.stem.weight"])
def test_layers_that_do_not_fit_each_other_are_refused(name: str) -> None:
    shorter = np.asarray(MODEL.tensors[name])[:-1]
    with pytest.raises(ModelError):
        engine(Model(MODEL.info, {**MODEL.tensors, name: shorter}))


@pytest.mark.parametrize("name", ["g_s.stem", "g_a.blocks.0.expand", "h_a.down1"])
def test_weights_whose_sums_could_leave_32_bits_are_refused(name: str) -> None:
    loud = np.full_like(MODEL.tensors[f"{name}.weight"], 32767)
    with pytest.raises(ModelError):
        engine(Model(MODEL.info, {**MODEL.tensors, f"{name}.weight": loud}))
