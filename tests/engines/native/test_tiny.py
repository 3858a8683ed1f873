"""The `tiny` family by the core: the same numbers as numpy's."""

from __future__ import annotations

import numpy as np
import pytest
import zoo_models
from numpy.typing import NDArray
from support import photograph

from caecodec.engines.native import library
from caecodec.engines.native.tiny import NativeTinyEngine, NativeTinyLatents
from caecodec.engines.numpy.tiny import NumpyTinyEngine
from caecodec.entropy.tables import Tables
from caecodec.errors import CorruptFileError
from caecodec.latents.tiny import ContextLatents
from caecodec.latents.tiny_network import ContextNetwork

pytestmark = pytest.mark.skipif(not library.available(), reason=library.why_not())
MODEL = zoo_models.tiny()
SHAPE = (3, 5)


def on_numpy() -> ContextLatents:
    tables = Tables.of(MODEL.tensors["table.frequencies"], MODEL.tensors["table.tail"])
    return ContextLatents(ContextNetwork(MODEL.tensors), tables)


def latents(count: int = 4) -> NDArray[np.float32]:
    return np.random.default_rng(3).laplace(0, 4, (count, *SHAPE, 19)).astype(np.float32)


def test_an_engine_is_what_numpy_is() -> None:
    native, numpy = NativeTinyEngine(MODEL), NumpyTinyEngine(MODEL)
    pixels = np.stack([photograph(24, 40, seed=seed) for seed in range(3)])
    y = native.analyse(pixels)
    assert np.array_equal(y, numpy.analyse(pixels))
    assert np.array_equal(native.analyse(pixels[:, ::-1]), numpy.analyse(pixels[:, ::-1]))
    y_hat = np.random.default_rng(2).integers(-9000, 9000, y.shape, np.int32)
    assert np.array_equal(native.synthesise(y_hat, 30), numpy.synthesise(y_hat, 30))
    assert np.array_equal(native.row("gain", 3), numpy.row("gain", 3))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("gray", [False, True])
def test_streams_and_costs_of_many_pictures_are_what_numpy_makes(gray: bool, weighted: bool) -> None:
    native, numpy, y = NativeTinyLatents(MODEL), on_numpy(), latents()
    weight = np.random.default_rng(5).uniform(0.5, 4, 19).astype(np.float32) if weighted else None
    streams, y_hat = native.encode(y, 40, gray, weight)
    expected, expected_y_hat = numpy.encode(y, 40, gray, weight)
    assert streams == expected
    assert np.array_equal(y_hat, expected_y_hat)
    cost, chosen = native.cost(y, 40, gray, weight)
    assert cost == pytest.approx(numpy.cost(y, 40, gray, weight)[0], rel=1e-9)
    assert np.array_equal(chosen, y_hat)
    assert np.array_equal(native.decode(streams, SHAPE, 40, gray), y_hat)


def test_a_damaged_stream_among_others_is_refused() -> None:
    native = NativeTinyLatents(MODEL)
    streams, _ = native.encode(latents(), 40, False)
    damaged = bytearray(streams[2])
    damaged[0] ^= 1  # of the check
    with pytest.raises(CorruptFileError, match="checksum"):
        native.decode([*streams[:2], bytes(damaged), streams[3]], SHAPE, 40, False)
