"""What a search goes by in the core: its layers, walk and measure in floats, and their slopes, against torch's."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import core_models
import numpy as np
import pytest
import torch
from core_library import ARGUMENT, MODEL, CoreError, Model, Pool, library
from numpy.typing import NDArray
from support import photograph

from caecodec.engines.numpy.photo import NumpyPhotoEngine
from caecodec.engines.protocol import Chosen, PhotoEngine, Refinement
from caecodec.engines.torch.photo import TorchPhotoEngine
from caecodec.entropy.fixed_point import ONE
from caecodec.entropy.tables import Tables
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.models.networks.eye import EyeDistance
from caecodec.models.networks.rate_model import gaussian_bits, scale_of_index
from caecodec.models.networks.trade import Trade, trade
from caecodec.tune import Tune
from caecodec.zoo import file as zoo
from caecodec.zoo import find

Float = NDArray[np.float32]
KERNELS = [name for name in ("portable", "avx2") if library().cae_float_kernels_named(name.encode())]
WIDTHS = {"n": 20, "z": 7, "psi": 13, "context": 11, "width": 9, "hyper": 13}  # none is a multiple of a vector
CONFIG = {"n": 20, "z": 7, "ga_width": 9, "ga_depth": 2, "gs_width": 9, "gs_depth": 2, "hyper_width": 13}


class Sought(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("quality", "rows", "columns")),
        *((name, ctypes.c_void_p) for name in ("samples", "z", "weight")),
        *((name, ctypes.c_double) for name in ("mse", "eye")),
    )


def _pointer(array: NDArray[Any] | None) -> ctypes.c_void_p | None:
    return None if array is None else ctypes.c_void_p(array.ctypes.data)


def _sure(error: int) -> None:
    if error:
        raise CoreError(error)


def _float_kernels(name: str) -> ctypes.c_void_p:
    named = library().cae_float_kernels_named
    named.restype = ctypes.c_void_p
    return ctypes.c_void_p(named(name.encode()))


@contextmanager
def search(
    data: bytes, tile: Refinement, kernels: str = KERNELS[-1], pool: Pool | None = None, file: bytes | None = None
) -> Iterator[Any]:
    """A function of targets and strength -> Chosen, by the core. file: what the floats are read from."""
    core, model, of = library(), Model(data), file or data
    gradients, made = ctypes.c_void_p(), ctypes.c_void_p()
    threads = pool.pointer if pool else None
    size = ctypes.c_size_t(len(of))
    _sure(core.cae_gradients_open_for(_float_kernels(kernels), model._model, of, size, ctypes.byref(gradients)))
    rows, columns = tile.y.shape[:2]
    arrays = [np.ascontiguousarray(a) for a in (tile.pixels, tile.z, tile.trade.weight)]
    sizes = tile.quality, rows, columns
    sought = Sought(*sizes, *(_pointer(a) for a in arrays), tile.trade.mse, tile.trade.eye)
    try:
        _sure(core.cae_search_new(gradients, threads, ctypes.byref(sought), ctypes.byref(made)))

        def run(target: Float, strength: Float, *, slope: bool = True) -> Chosen:
            y_hat, cost = np.empty_like(target), ctypes.c_double()
            grown = np.empty_like(target) if slope else None
            given = _pointer(target), _pointer(strength), _pointer(y_hat), ctypes.byref(cost)
            _sure(core.cae_search_round(made, threads, *given, _pointer(grown)))
            return Chosen(y_hat, cost.value, grown)

        yield run
    finally:
        core.cae_search_free(made)
        core.cae_gradients_close(gradients)


@dataclass(frozen=True)
class Given:
    """A random model, a tile whose gains are 1, and targets on whole pairs of cells."""

    model: zoo.Model
    data: bytes
    tile: Refinement
    target: Float
    strength: Float


def given(shape: tuple[int, int] = (5, 7), eye: float = 0.05, seed: int = 1) -> Given:
    tensors = core_models.photo(seed, **WIDTHS)  # type: ignore[arg-type]
    half = 1 << (int(tensors["g_s.linear.shift"].item()) - 1)
    tensors["g_s.linear.bias"] = np.full_like(tensors["g_s.linear.bias"], half)  # on torch this layer has none
    info = zoo.ModelInfo("trial", bytes(4), "photo", "", None, 0, "1", CONFIG | {"context_width": 11}, {}, {})  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    h, w = shape
    y = rng.laplace(0, 3, (h + h % 2, w + w % 2, 20)).astype(np.float32)
    z = rng.laplace(0, 3, (-(-h // 4), -(-w // 4), 7)).astype(np.float32)
    weight = rng.uniform(0.5, 4, 20).astype(np.float32)
    trade = Trade(0.02, eye, weight, 0.0, 0.0)
    tile = Refinement(photograph(16 * h, 16 * w), y[:h, :w], z, 40, trade, 0.3, np.zeros(shape, bool))
    strength = rng.uniform(0, 1, y.shape[:2]).astype(np.float32)
    return Given(zoo.Model(info, tensors), core_models.safetensors(tensors, "photo"), tile, y, strength)


def by_torch(of: Given) -> Chosen:
    """On top of the exact psi, as the core has it: else means are a little off, and some of what is cut off another."""
    tensors = of.model.tensors
    engine = TorchPhotoEngine(of.model, "cpu", "float32")
    tables = Tables.of(tensors["table.frequencies"], tensors["table.tail"])
    network = EntropyNetwork(tensors)
    q = network.quality(of.tile.quality)
    z = of.tile.z * engine.row("gain_z", of.tile.quality)
    symbols = np.floor(z - q.z_mean / ONE + 0.5)
    psi = network.hyper(symbols * ONE + q.z_mean, q)
    float_psi = torch.from_numpy((psi * 2.0 ** int(tensors["int.h_s.narrow"].item()) - q.psi).astype(np.float32))
    engine._rounds(tables)._h_s = lambda z_hat: float_psi.permute(2, 0, 1)[None]  # type: ignore[assignment]
    return engine.trial(of.tile, tables)(of.target, of.strength, slope=True)


def never() -> PhotoEngine:
    raise AssertionError("nobody asked for gradients")


def apart(a: Float | None, b: Float | None) -> float:
    """Root of the mean squared difference, over that of the values."""
    assert a is not None
    assert b is not None
    return float(np.sqrt(np.mean((a - b) ** 2) / np.mean(b**2)))


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(("shape", "eye"), [((5, 7), 0.05), ((4, 2), 0.05), ((1, 1), 0.05), ((6, 3), 0.0)])
def test_a_round_and_its_slope_are_those_of_torch(shape: tuple[int, int], eye: float, kernels: str) -> None:
    """Of a model whose bounds cut off a part of what lies between."""
    of = given(shape, eye)
    with search(of.data, of.tile, kernels) as run:
        ours = run(of.target, of.strength)
        assert run(of.target, of.strength, slope=False).cost == ours.cost
        theirs = by_torch(of)
        assert np.mean(np.abs(ours.y_hat - theirs.y_hat) > 0.3) < 0.005  # a symbol on an edge may differ
        assert ours.cost == pytest.approx(theirs.cost, rel=5e-3)
        # targets that are symbols lie on no edge
        settled = replace(of, target=ours.y_hat, strength=np.zeros_like(of.strength))
        ours, theirs = run(settled.target, settled.strength), by_torch(settled)
    assert np.abs(ours.y_hat - theirs.y_hat).max() < 1e-2
    assert ours.cost == pytest.approx(theirs.cost, rel=1e-4)
    assert apart(ours.slope, theirs.slope) < 1e-3


@pytest.mark.parametrize("tune", ["eye", "psnr"])
def test_the_shipped_model_gives_the_same_rounds_as_on_torch(tune: Tune) -> None:
    model = find.load("photo")
    assert model.data is not None
    pixels = photograph(64, 96)
    engine = NumpyPhotoEngine(model, never)
    y, z = engine.analyse(pixels, (slice(0, 4), slice(0, 6)))
    gain, gain_z = (engine.row(name, 50) for name in ("gain", "gain_z"))
    tile = Refinement(pixels, y, z, 50, trade(model.tensors, 50, tune), 0.3, np.zeros((4, 6), bool))
    of = Given(model, bytes(model.data), tile, y * gain, np.full((4, 6), 0.3, np.float32))
    with search(of.data, replace(tile, z=z * gain_z)) as run:
        ours, theirs = run(of.target, of.strength), by_torch(of)
        assert np.mean(np.abs(ours.y_hat - theirs.y_hat) > 0.3) < 0.001
        assert ours.cost == pytest.approx(theirs.cost, rel=1e-3)
        settled = replace(of, target=ours.y_hat, strength=np.zeros_like(of.strength))
        ours, theirs = run(settled.target, settled.strength), by_torch(settled)
    assert np.abs(ours.y_hat - theirs.y_hat).max() < 1e-2
    assert ours.cost == pytest.approx(theirs.cost, rel=1e-4)
    assert apart(ours.slope, theirs.slope) < 2e-3


def test_numbers_do_not_depend_on_threads_and_hardly_on_kernels() -> None:
    of = given((7, 6))
    found = []
    for pool in (None, Pool(2), Pool(3)):
        with search(of.data, of.tile, pool=pool) as run:
            run(-of.target, of.strength)  # what a round leaves behind is not seen in the next
            found.append(run(of.target, of.strength))
    for other in found[1:]:
        assert other.cost == found[0].cost
        assert np.array_equal(other.y_hat, found[0].y_hat)
        assert np.array_equal(other.slope, found[0].slope)  # type: ignore[arg-type]
    with search(of.data, of.tile, "portable") as run:
        portable = run(of.target, of.strength)
    assert portable.cost == pytest.approx(found[0].cost, rel=1e-4)
    assert apart(portable.slope, found[0].slope) < 1e-3


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80), (160, 272)])
def test_the_distance_that_people_see_and_its_slope_are_those_of_torch(height: int, width: int, kernels: str) -> None:
    core, memory = library(), ctypes.create_string_buffer(64)
    core.cae_eye_distance.restype = ctypes.c_double
    original = photograph(height, width)
    rng = np.random.default_rng(3)
    pixels = (original / 255 + rng.normal(0, 0.03, original.shape)).astype(np.float32)  # some leave 0..1
    eye, slope = ctypes.create_string_buffer(1 << 14), np.full_like(pixels, 7)
    kernel_set = _float_kernels(kernels)
    _sure(core.cae_eye_open(eye, kernel_set, None, height, width, _pointer(original), memory))
    found = core.cae_eye_distance(eye, None, _pointer(pixels), ctypes.c_double(3), _pointer(slope))
    core.cae_give_back(memory)
    a, b = (
        torch.from_numpy(np.ascontiguousarray(p)).permute(2, 0, 1)[None] for p in (original / np.float32(255), pixels)
    )
    b = b.clone().requires_grad_()
    distance = EyeDistance(height, width)(b.clamp(0, 1), a)
    (3 * distance).backward()  # type: ignore[no-untyped-call]
    assert b.grad is not None
    assert found == pytest.approx(distance.item(), rel=2e-4)
    assert apart(slope - 7, b.grad[0].permute(1, 2, 0).numpy()) < 1e-2


def test_bits_and_how_they_grow_with_a_scale_index_are_those_of_torch() -> None:
    core, rate = library(), ctypes.create_string_buffer(1 << 17)
    core.cae_rate_bits.restype = ctypes.c_float
    core.cae_rate_open(rate)
    rng = np.random.default_rng(1)
    index = rng.uniform(-3, 66, 4000).astype(np.float32)
    scale = 0.11 * np.exp(np.clip(index, 0, 63) * np.log(64 / 0.11) / 63)
    symbol = np.round(rng.laplace(0, 1, 4000) * scale).astype(np.float32)
    slope = ctypes.c_float()
    ours = []
    for s, i in zip(symbol, index, strict=True):
        bits = core.cae_rate_bits(rate, ctypes.c_float(s), ctypes.c_float(i), ctypes.byref(slope))
        ours.append((bits, slope.value))
    at = torch.from_numpy(index.astype(np.float64)).requires_grad_()
    expected = gaussian_bits(torch.from_numpy(symbol.astype(np.float64)), scale_of_index(at))
    expected.sum().backward()  # type: ignore[no-untyped-call]
    assert at.grad is not None
    found = np.array(ours)
    usual = np.abs(expected.detach().numpy() - 24) > 1e-3  # where they end is a bend
    np.testing.assert_allclose(found[:, 0], expected.detach().numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[usual, 1], at.grad.numpy()[usual], rtol=1e-3, atol=1e-4)


def test_a_file_of_another_model_or_family_and_sizes_that_cannot_be_are_refused() -> None:
    of = given()
    other = core_models.safetensors(core_models.photo(1, **(WIDTHS | {"context": 12})), "photo")  # type: ignore[arg-type]
    with pytest.raises(CoreError) as error, search(of.data, of.tile, file=other):
        pass
    assert error.value.number == MODEL
    with pytest.raises(CoreError) as error, search(of.data, replace(of.tile, quality=101)):
        pass
    assert error.value.number == ARGUMENT
    tiny = core_models.safetensors(core_models.tiny(1, (4, 9), (2, 1), adapted=10, hidden=14, width=9), "tiny")
    with pytest.raises(CoreError) as error, search(tiny, of.tile):
        pass
    assert error.value.number == ARGUMENT


def test_a_file_that_lacks_a_layer_is_refused() -> None:
    of = given()
    tensors = {k: v for k, v in of.model.tensors.items() if not k.startswith("g_s.blocks.1.project")}
    with (
        pytest.raises(CoreError) as error,
        search(of.data, of.tile, file=core_models.safetensors(tensors, "photo")),  # type: ignore[arg-type]
    ):
        pass
    assert error.value.number == MODEL
