"""The `tiny` family by numpy."""

from __future__ import annotations

import numpy as np
import pytest
import zoo_models
from support import photograph

from caecodec.engines.numpy.tiny import NumpyTinyEngine
from caecodec.errors import ModelError
from caecodec.zoo.file import Model

MODEL = zoo_models.tiny()


def test_shapes_and_types_are_those_of_the_protocol() -> None:
    engine = NumpyTinyEngine(MODEL)
    y = engine.analyse(np.stack([photograph(24, 40), photograph(24, 40, seed=1)]))
    assert (y.shape, y.dtype) == ((2, 3, 5, 19), np.float32)
    pixels = engine.synthesise(np.zeros((3, 2, 1, 19), np.int32), 50)
    assert (pixels.shape, pixels.dtype) == ((3, 16, 8, 3), np.uint8)
    assert engine.row("gain", 100).tolist() == [100] * 19


def test_many_at_once_are_what_each_is_alone() -> None:
    engine = NumpyTinyEngine(MODEL)
    pixels = np.stack([photograph(32, 32, seed=seed) for seed in range(5)])
    y = engine.analyse(pixels)
    y_hat = np.random.default_rng(1).integers(-9000, 9000, y.shape, np.int32)
    decoded = engine.synthesise(y_hat, 70)
    for n in range(5):
        assert np.array_equal(engine.analyse(pixels[n : n + 1])[0], y[n])
        assert np.array_equal(engine.synthesise(y_hat[n : n + 1], 70)[0], decoded[n])


def test_a_model_that_lacks_a_tensor_is_refused() -> None:
    tensors = {key: value for key, value in MODEL.tensors.items() if key != "g_s.linear.shift"}
    with pytest.raises(ModelError, match="lacks"):
        NumpyTinyEngine(Model(MODEL.info, tensors))
