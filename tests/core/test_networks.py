"""The native core computes what numpy does, to the bit: every kernel set, odd sizes, extreme numbers, any threads."""

from __future__ import annotations

import functools
from collections.abc import Callable

import core_models
import numpy as np
import pytest
from core_library import CoreError, KernelSet, Model, kernels
from numpy.typing import NDArray

from caecodec.engines.numpy.networks import Analysis, Synthesis
from caecodec.engines.numpy.photo import HyperAnalysis
from caecodec.entropy.tables import Tables
from caecodec.errors import ModelError
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.latents.tiny import ContextLatents
from caecodec.latents.tiny_network import ContextNetwork

MODELS: dict[str, Callable[[], core_models.TensorDict]] = {
    # no width is a multiple of a vector, nor any of them even where it need not be
    "odd": lambda: core_models.photo(1, n=20, z=8, psi=13, context=11, width=9),
    "even": lambda: core_models.photo(2, n=96, z=32, psi=64, context=48, width=32, hyper=48),
    "extreme": lambda: core_models.photo(3, n=12, z=12, psi=24, context=34, width=18, depth=1, extreme=True),
    "wide z": lambda: core_models.photo(
        6, n=8, z=20, psi=5, context=6, width=4, depth=1, psi_z=9, context_z=14, trunk_z=2
    ),
    "dependent": lambda: core_models.photo(5, n=20, z=8, psi=13, context=11, width=9, dense=12),
    "all dependent": lambda: core_models.photo(6, n=8, z=8, psi=5, context=6, width=4, depth=1, dense=0),
    "shallow": lambda: core_models.photo(4, n=16, z=8, psi=16, context=16, width=16, depth=0, trunk=0, trunk_z=0),
}
SIZES = [(1, 1), (1, 6), (5, 7), (19, 9)]


@functools.cache
def tensors(name: str) -> core_models.TensorDict:
    return MODELS[name]()


@functools.cache
def model(name: str, kernel: str, threads: int = 1) -> Model:
    return Model(core_models.safetensors(tensors(name), "photo"), kernel, threads)


@functools.cache
def latent_codec(name: str) -> LatentCodec:
    found = tensors(name)
    return LatentCodec(EntropyNetwork(found), Tables.of(found["table.frequencies"], found["table.tail"]))


def latents(name: str, shape: tuple[int, int], spread: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(7)
    n, z = (tensors(name)[f"quality.{key}"].shape[1] for key in ("to_u", "z_to_u"))
    y = rng.laplace(0, spread, (*shape, n))
    return y.astype(np.float32), rng.laplace(0, spread, (-(-shape[0] // 4), -(-shape[1] // 4), z)).astype(np.float32)


@functools.cache
def expected(name: str, shape: tuple[int, int], quality: int, spread: float) -> tuple[bytes, NDArray[np.int32]]:
    return latent_codec(name).encode(*latents(name, shape, spread), quality)


@pytest.fixture(params=kernels())
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", SIZES)
def test_streams_and_latents_are_those_of_numpy(name: str, shape: tuple[int, int], kernel: str) -> None:
    for quality, spread in ((1, 3.0), (100, 300.0)):
        stream, y_hat = expected(name, shape, quality, spread)
        core = model(name, kernel)
        again, coded = core.encode(*latents(name, shape, spread), quality)
        assert np.array_equal(coded, y_hat)
        assert again == stream
        assert np.array_equal(core.decode(stream, shape, quality), y_hat)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", SIZES)
def test_pixels_are_those_of_numpy(name: str, shape: tuple[int, int], kernel: str) -> None:
    _, y_hat = expected(name, shape, 100, 300.0)
    for latents_ in (y_hat, np.where(y_hat > 0, np.int32((1 << 26) - 1), np.int32(1 - (1 << 26)))):
        pixels = Synthesis(tensors(name), 16)(latents_, 17)
        assert np.array_equal(model(name, kernel).synthesise(latents_, 17), pixels)


@pytest.mark.parametrize("name", MODELS)
def test_analysis_is_that_of_numpy(name: str, kernel: str) -> None:
    rng = np.random.default_rng(5)
    found = tensors(name)
    g_a, core = Analysis(found, 16), model(name, kernel)
    h_a = HyperAnalysis(found, g_a.n)
    for rows, columns, inner in ((1, 1, np.s_[0:1, 0:1]), (6, 9, np.s_[0:6, 0:9]), (7, 8, np.s_[1:6, 2:7])):
        samples = rng.integers(0, 255, (16 * rows, 16 * columns, 3), np.uint8, endpoint=True)
        samples[: 16 * (rows // 2)] = 255 * (samples[: 16 * (rows // 2)] > 100)
        y = g_a(samples)[inner]
        found_y, found_z = core.analyse(samples, inner)
        assert np.array_equal(found_y, y.astype(np.float32) * g_a.unit)
        assert np.array_equal(found_z, h_a(y).astype(np.float32) * h_a.unit)


@pytest.mark.parametrize("threads", [2, 8])
def test_numbers_do_not_depend_on_threads(threads: int) -> None:
    name, shape = "even", (19, 9)
    alone, together = model(name, ""), model(name, "", threads)
    y, z = latents(name, shape, 30.0)
    assert together.encode(y, z, 50)[0] == alone.encode(y, z, 50)[0]
    _, y_hat = alone.encode(y, z, 50)
    stream, _ = alone.encode(y, z, 50)
    assert np.array_equal(together.decode(stream, shape, 50), y_hat)
    assert np.array_equal(together.synthesise(y_hat, 50), alone.synthesise(y_hat, 50))
    samples = np.random.default_rng(1).integers(0, 255, (16 * 19, 16 * 9, 3), np.uint8)
    for a, b in zip(*(core.analyse(samples, np.s_[1:18, 0:9]) for core in (alone, together)), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("name", ["odd", "dependent", "all dependent"])
def test_rounding_costs_and_bits_are_those_of_numpy(name: str, kernel: str) -> None:
    shape = (5, 7)
    rng = np.random.default_rng(2)
    y, z = latents(name, shape, 2.0)
    weight = rng.uniform(0.1, 10, y.shape[-1]).astype(np.float32)
    strength = rng.uniform(0, 1, shape).astype(np.float32)
    codec, core = latent_codec(name), model(name, kernel)
    stream, y_hat = codec.encode(y, z, 40, weight, strength)
    again, coded = core.encode(y, z, 40, weight, strength)
    assert again == stream
    assert np.array_equal(coded, y_hat)
    bits, coded = core.cost(y, z, 40, weight, strength)
    assert bits / 8 + 2 == pytest.approx(codec.cost(y, z, 40, weight, strength)[0], rel=1e-9)
    assert np.array_equal(coded, y_hat)
    for mine, its in zip(core.measure(stream, shape, 40), codec.bits(stream, shape, 40), strict=True):
        assert mine == pytest.approx(its, rel=1e-5)


def test_multipliers_are_exact_to_their_ends(kernel: str) -> None:
    rng = np.random.default_rng(6)
    shift = np.tile(np.arange(1, 61, dtype=np.int32), 200)[:11_999]
    x, factor = ((rng.choice((-1, 1), len(shift)) * 2.0 ** rng.uniform(0, top, len(shift))) for top in (31, 30))
    x[:4], factor[:4] = [-(2.0**31), -(2.0**31), 2.0**31 - 1, 0], [2.0**30, -(2.0**30), 2.0**30, 1]
    x[4:] = np.clip(x[4:], -(2.0**31), 2.0**31 - 1)
    x, factor = x.astype(np.int32), factor.astype(np.int32)
    exact = (x.astype(np.int64) * factor + (np.int64(1) << (shift - np.int64(1)))) >> shift
    short, wide = KernelSet.of(kernel).times(x, factor, shift)
    assert np.array_equal(short, np.clip(exact, -8191, 8191))
    assert np.array_equal(wide, np.clip(exact, -(1 << 25), 1 << 25))


TINY: dict[str, Callable[[], core_models.TensorDict]] = {
    "odd": lambda: core_models.tiny(1, (1, 3, 9), (4, 2, 1), adapted=7, hidden=11, width=9),
    "even": lambda: core_models.tiny(2, (8, 16, 40), (4, 4, 2), adapted=32, hidden=48, width=32, depth=2),
    "extreme": lambda: core_models.tiny(3, (5, 8), (2, 4), adapted=16, hidden=20, width=10, extreme=True),
}


@pytest.mark.parametrize("name", TINY)
def test_tiny_is_that_of_numpy(name: str, kernel: str) -> None:
    found = TINY[name]()
    core = Model(core_models.safetensors(found, "tiny"), kernel)
    codec = ContextLatents(ContextNetwork(found), Tables.of(found["table.frequencies"], found["table.tail"]))
    rng = np.random.default_rng(9)
    g_s, g_a = Synthesis(found, 8), Analysis(found, 8)
    for shape in ((1, 1), (4, 4), (1, 3), (5, 8)):
        for gray, quality in ((False, 1), (True, 100)):
            y = rng.laplace(0, 20, (*shape, core.shape.n)).astype(np.float32)
            streams, y_hat = codec.encode(y[None], quality, gray)
            stream, coded = core.encode(y, None, quality, gray=gray)
            assert stream == streams[0]
            assert np.array_equal(coded, y_hat[0])
            assert np.array_equal(core.decode(stream, shape, quality, gray), y_hat[0])
            assert np.array_equal(core.synthesise(y_hat[0], quality), g_s(y_hat[0], quality))
        samples = rng.integers(0, 255, (8 * shape[0], 8 * shape[1], 3), np.uint8)
        mine, _ = core.analyse(samples, (slice(0, shape[0]), slice(0, shape[1])))
        assert np.array_equal(mine, g_a(samples).astype(np.float32) * g_a.unit)


def broken(change: Callable[[core_models.TensorDict], object]) -> bytes:
    found = {key: tensor.copy() for key, tensor in tensors("odd").items()}
    change(found)
    return core_models.safetensors(found, "photo")


def _set(name: str, value: int) -> Callable[[core_models.TensorDict], object]:
    def change(found: core_models.TensorDict) -> None:
        found[name].flat[-1] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["g_s.blocks.1.expand.weight"].fill(32767),
        lambda found: found["int.context.head.3.2.bias"].fill((1 << 31) - (1 << 27)),
        lambda found: found["int.h_s.block1.depthwise.weight"].fill(-32768),
        lambda found: found.pop("int.context.trunk.0.project.bias"),
        lambda found: found.update({"g_s.stem.weight": found["g_s.stem.weight"].astype(np.int32)}),
        lambda found: (_set("g_s.head.shift", 0)(found), _set("g_s.linear.shift", 0)(found)),
        _set("g_s.stem.shift", 31),
        _set("g_s.stem.shift", -1),
        _set("int.h_s.up2.narrow", 16),
        _set("int.context.narrow", 16),
        _set("quality.to_u", (1 << 30) + 1),
        _set("quality.to_y.shift", 0),
        _set("quality.z_to_u.shift", 61),
        _set("quality.index", (1 << 26) + 1),
        _set("quality.z_to_y.shift", 0),
        _set("quality.z_index", -(1 << 26) - 1),
        _set("quality.z_psi", 8192),
        _set("int.context_z.narrow", 16),
        lambda found: found["int.context_z.head.0.1.bias"].fill((1 << 31) - (1 << 27)),
        _set("quality.modulation", 1 << 13),
        _set("table.frequencies", 0),
        lambda found: found.update({"quality.step": np.full((100, 1), 600, np.int32)}),  # without tables for it
    ],
)
def test_a_model_whose_bounds_do_not_hold_is_refused(change: Callable[[core_models.TensorDict], object]) -> None:
    Model(broken(lambda found: None))
    with pytest.raises(CoreError, match="model"):
        Model(broken(change))


@pytest.mark.parametrize(
    "change",
    [
        _set("quality.step", 0),
        _set("quality.step", 1025),
        lambda found: found.pop("quality.step"),
        lambda found: found.update({"quality.step": found["quality.step"].astype(np.int16)}),
        lambda found: found.update({"quality.step": found["quality.step"][:50]}),
    ],
)
def test_a_dependent_model_with_other_steps_is_refused(change: Callable[[core_models.TensorDict], object]) -> None:
    found = {key: tensor.copy() for key, tensor in tensors("dependent").items()}
    Model(core_models.safetensors(found, "photo"))
    change(found)
    with pytest.raises(CoreError, match="model"):
        Model(core_models.safetensors(found, "photo"))
    with pytest.raises(ModelError):
        LatentCodec(EntropyNetwork(found), Tables.of(found["table.frequencies"], found["table.tail"]))


def test_a_damaged_stream_is_refused() -> None:
    core, shape = model("odd", ""), (5, 7)
    stream, _ = expected("odd", shape, 1, 3.0)
    for place in (0, 2, len(stream) // 2):
        damaged = bytearray(stream)
        damaged[place] ^= 0x55
        with pytest.raises(CoreError, match="stream"):
            core.decode(bytes(damaged), shape, 1)
    with pytest.raises(CoreError, match="stream"):
        core.decode(stream[:1], shape, 1)


def test_sizes_that_cannot_be_are_refused() -> None:
    core = model("odd", "")
    stream, _ = expected("odd", (5, 7), 1, 3.0)
    for shape, quality in (((0, 7), 1), ((5, 0), 1), ((5, 7), 0), ((5, 7), 101), ((1 << 13, 1), 1)):
        with pytest.raises(CoreError, match="cannot be"):
            core.decode(stream, shape, quality)
    with pytest.raises(CoreError, match="cannot be"):
        core.encode(*latents("odd", (5, 7), 3.0), 1, capacity=len(stream) - 1)
