"""The photo family by the core: the same numbers as numpy's, whatever arrays a caller has."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest
import zoo_models
from numpy.typing import NDArray
from support import photograph

from caecodec.engines.native import library
from caecodec.engines.native.photo import NativePhotoEngine, NativePhotoLatents
from caecodec.engines.native.rounds import Gradients, NativeTrial
from caecodec.engines.numpy.photo import NumpyPhotoEngine
from caecodec.engines.protocol import PhotoEngine, Refinement
from caecodec.entropy.tables import Tables
from caecodec.errors import CorruptFileError, UsageError
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.models.networks.trade import Trade
from caecodec.search.rounds import chosen_again

pytestmark = pytest.mark.skipif(not library.available(), reason=library.why_not())
MODEL = zoo_models.photo()
SHAPE = (5, 7)


def no_gradients() -> PhotoEngine:
    raise AssertionError("nobody asked for gradients")


def tables() -> Tables:
    return Tables.of(MODEL.tensors["table.frequencies"], MODEL.tensors["table.tail"])


def on_numpy() -> LatentCodec:
    return LatentCodec(EntropyNetwork(MODEL.tensors), tables())


def latents(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """y and z in steps."""
    rng = np.random.default_rng(seed)
    return rng.laplace(0, 4, (*SHAPE, 20)).astype(np.float32), rng.laplace(0, 4, (2, 2, 8)).astype(np.float32)


def test_an_engine_is_what_numpy_is() -> None:
    native, numpy = NativePhotoEngine(MODEL), NumpyPhotoEngine(MODEL, no_gradients)
    assert (native.halo_in, native.halo_out) == (numpy.halo_in, numpy.halo_out)
    assert np.array_equal(native.row("gain", 3), numpy.row("gain", 3))
    pixels, inner = photograph(96, 128), (slice(1, 6), slice(0, 7))
    for ours, theirs in zip(native.analyse(pixels, inner), numpy.analyse(pixels, inner), strict=True):
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)
    y_hat = np.random.default_rng(2).integers(-9000, 9000, (*SHAPE, 20), np.int32)
    assert np.array_equal(native.synthesise(y_hat, 30), numpy.synthesise(y_hat, 30))


def test_arrays_may_lie_in_memory_as_they_like() -> None:
    engine = NativePhotoEngine(MODEL)
    pixels, inner = photograph(64, 64), (slice(None), slice(None))
    turned = pixels[::-1, ::-1]
    y, _ = engine.analyse(turned, inner)
    assert np.array_equal(y, engine.analyse(turned.copy(), inner)[0])
    y_hat = np.random.default_rng(2).integers(-9000, 9000, (8, 8, 20), np.int64)
    part = y_hat[::2, 1:7]
    assert np.array_equal(engine.synthesise(part, 30), engine.synthesise(part.astype(np.int32), 30))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("quality", [1, 64, 100])
def test_streams_costs_and_maps_are_what_numpy_makes(quality: int, weighted: bool) -> None:
    native, numpy = NativePhotoLatents(MODEL), on_numpy()
    y, z = latents()
    rng = np.random.default_rng(5)
    weight = rng.uniform(0.5, 4, 20).astype(np.float32) if weighted else None
    strength = rng.uniform(0, 1, SHAPE).astype(np.float32) if weighted else 0.5
    stream, y_hat = native.encode(y, z, quality, weight, strength)
    expected, expected_y_hat = numpy.encode(y, z, quality, weight, strength)
    assert stream == expected
    assert np.array_equal(y_hat, expected_y_hat)
    cost, chosen = native.cost(y, z, quality, weight, strength)
    assert cost == pytest.approx(numpy.cost(y, z, quality, weight, strength)[0], rel=1e-9)
    assert np.array_equal(chosen, y_hat)
    assert abs(cost - len(stream)) < 8
    assert np.array_equal(native.decode(stream, SHAPE, quality), y_hat)
    for ours, theirs in zip(native.bits(stream, SHAPE, quality), numpy.bits(stream, SHAPE, quality), strict=True):
        assert np.allclose(ours, theirs, rtol=1e-5, atol=1e-4)


def test_one_strength_is_that_strength_everywhere() -> None:
    native, (y, z) = NativePhotoLatents(MODEL), latents(1)
    weight = np.ones(20, np.float32)
    everywhere = np.full(SHAPE, 0.75, np.float32)
    assert native.encode(y, z, 50, weight, 0.75)[0] == native.encode(y, z, 50, weight, everywhere)[0]


def test_a_stream_that_is_damaged_or_of_another_size_or_quality_is_refused() -> None:
    native = NativePhotoLatents(MODEL)
    stream, _ = native.encode(*latents(), 50)
    damaged = bytearray(stream)
    damaged[len(stream) // 2] ^= 0x10
    for data, shape, quality in (
        (bytes(damaged), SHAPE, 50),
        (stream[: len(stream) // 2], SHAPE, 50),
        (stream, (7, 5), 50),
        (stream, SHAPE, 51),
        (b"\x00\x01", SHAPE, 50),
    ):
        for read in (native.decode, native.bits):
            with pytest.raises(CorruptFileError):
                read(data, shape, quality)


@pytest.mark.parametrize("quality", [0, 101, 201, -1])
def test_a_quality_that_is_none_is_refused(quality: int) -> None:
    with pytest.raises(UsageError):
        NativePhotoEngine(MODEL).synthesise(np.zeros((1, 1, 20), np.int32), quality)


def given(shape: tuple[int, int] = SHAPE) -> Refinement:
    """A tile to be chosen again."""
    rng = np.random.default_rng(4)
    y = rng.laplace(0, 0.1, (*shape, 20)).astype(np.float32)
    z = rng.laplace(0, 4, (-(-shape[0] // 4), -(-shape[1] // 4), 8)).astype(np.float32)
    trade = Trade(0.01, 0.05, np.ones(20, np.float32), 0.0, 0.0)
    return Refinement(photograph(16 * shape[0], 16 * shape[1]), y, z, 50, trade, 0.3, np.zeros(shape, bool))


def test_a_trial_takes_whole_pairs_of_cells_and_tells_a_slope_where_it_is_asked_for() -> None:
    tile = given()
    trial = NativePhotoEngine(MODEL).trial(tile, tables())
    target = np.zeros((6, 8, 20), np.float32)
    found = trial(target, np.ones((6, 8), np.float32), slope=True)
    assert found.y_hat.shape == target.shape
    assert found.slope is not None
    assert found.slope.shape == target.shape
    assert np.isfinite(found.slope).all()
    again = trial(target[::-1, ::-1], np.ones((6, 8), np.float64), slope=False)  # however they lie in memory
    assert (again.cost, again.slope) == (found.cost, None)
    for shape in ((5, 7, 20), (6, 8, 19)):
        with pytest.raises(ValueError, match="not of"):
            trial(np.zeros(shape, np.float32), np.ones(shape[:2], np.float32), slope=True)


def test_a_trial_whose_pixels_are_not_its_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="do not belong to 5 x 7 cells"):
        NativePhotoEngine(MODEL).trial(replace(given(), pixels=photograph(80, 96)), tables())


def test_what_a_search_makes_can_be_coded() -> None:
    engine, tile = NativePhotoEngine(MODEL), given()
    gain = engine.row("gain", 50)
    y = chosen_again(engine.trial(tile, tables()), gain, tile, 3).symbols
    assert y.shape == tile.y.shape
    assert tile.z is not None
    NativePhotoLatents(MODEL).encode(y * gain, tile.z * engine.row("gain_z", 50), 50)


def test_memory_of_trials_and_of_models_is_given_back() -> None:
    """A model goes with all that was made of it, in any order."""
    model = zoo_models.photo(9)
    made = Gradients(model)
    trial = NativeTrial(made, given(), np.ones(8, np.float32))
    ended = trial._end, made._end
    del made, model
    assert all(end.alive for end in ended)
    del trial
    gc.collect()
    assert not ended[0].alive
    assert not ended[1].alive
