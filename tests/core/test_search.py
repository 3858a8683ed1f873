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
from torch import nn

from caecodec.codecs.opening import open_codec
from caecodec.codecs.tiny import TinyCodec
from caecodec.engines.numpy.photo import NumpyPhotoEngine
from caecodec.engines.protocol import Chosen, PhotoEngine, Refinement
from caecodec.engines.torch.integers import multiplier, real_layer
from caecodec.engines.torch.photo import TorchPhotoEngine
from caecodec.engines.torch.tiny import TorchTinyEngine
from caecodec.entropy.fixed_point import ACTIVATION, ONE, SAMPLE_BITS, STREAM
from caecodec.entropy.tables import Tables
from caecodec.format.container import CHECK_BYTES
from caecodec.latents.tiny_network import ContextNetwork
from caecodec.models.networks.eye import EyeDistance
from caecodec.models.networks.rate_model import gaussian_bits, scale_of_index
from caecodec.models.networks.tiny import TinyConfig
from caecodec.models.networks.trade import Trade, trade
from caecodec.tune import Tune
from caecodec.zoo import file as zoo
from caecodec.zoo import find

Float = NDArray[np.float32]
KERNELS = [name for name in ("portable", "avx2") if library().cae_float_kernels_named(name.encode())]
WIDTHS = {"n": 20, "z": 8, "psi": 13, "context": 11, "width": 9, "hyper": 13}  # none is a multiple of a vector
CONFIG = {"n": 20, "z": 8, "ga_width": 9, "ga_depth": 2, "gs_width": 9, "gs_depth": 2, "hyper_width": 13}


class Sought(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("quality", "gray", "rows", "columns")),
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
    arrays = [None if a is None else np.ascontiguousarray(a) for a in (tile.pixels, tile.z, tile.trade.weight)]
    sizes = tile.quality, int(tile.gray), rows, columns
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


def given(shape: tuple[int, int] = (5, 7), eye: float = 0.05, seed: int = 1, dense: int = 64) -> Given:
    tensors = core_models.photo(seed, **WIDTHS, dense=dense)  # type: ignore[arg-type]
    half = 1 << (int(tensors["g_s.linear.shift"].item()) - 1)
    tensors["g_s.linear.bias"] = np.full_like(tensors["g_s.linear.bias"], half)  # on torch this layer has none
    info = zoo.ModelInfo("trial", bytes(4), "photo", "", None, 0, "1", CONFIG | {"context_width": 11}, {}, {})  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    h, w = shape
    y = rng.laplace(0, 3, (h + h % 2, w + w % 2, 20)).astype(np.float32)
    z = rng.laplace(0, 3, (-(-h // 4), -(-w // 4), 8)).astype(np.float32)
    weight = rng.uniform(0.5, 4, 20).astype(np.float32)
    trade = Trade(0.02, eye, weight, 0.0, 0.0)
    tile = Refinement(photograph(16 * h, 16 * w), y[:h, :w], z, 40, trade, 0.3, np.zeros(shape, bool))
    strength = rng.uniform(0, 1, y.shape[:2]).astype(np.float32)
    return Given(zoo.Model(info, tensors), core_models.safetensors(tensors, "photo"), tile, y, strength)


def by_torch(of: Given) -> Chosen:
    tensors = of.model.tensors
    engine = TorchPhotoEngine(of.model, "cpu", "float32")
    tables = Tables.of(tensors["table.frequencies"], tensors["table.tail"])
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
@pytest.mark.parametrize("dense", [64, 12])
def test_a_round_and_its_slope_are_those_of_torch(shape: tuple[int, int], eye: float, dense: int, kernels: str) -> None:
    """Of a model whose bounds cut off a part of what lies between."""
    of = given(shape, eye, dense=dense)
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


@pytest.mark.parametrize("dense", [64, 12])
def test_numbers_do_not_depend_on_threads_and_hardly_on_kernels(dense: int) -> None:
    of = given((7, 6), dense=dense)
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


TINY = {"groups": (3, 5, 6), "splits": (4, 2, 1)}


def small(shape: tuple[int, int], gray: bool, seed: int = 1) -> Given:
    """A random model of small pictures, one of them, and targets."""
    tensors = core_models.tiny(seed, **TINY, adapted=10, hidden=13, width=9, depth=2)  # type: ignore[arg-type]
    half = 1 << (int(tensors["g_s.linear.shift"].item()) - 1)
    tensors["g_s.linear.bias"] = np.full_like(tensors["g_s.linear.bias"], half)  # on torch this layer has none
    config = {"n": 14, "ga_width": 9, "ga_depth": 2, "gs_width": 9, "gs_depth": 2} | TINY
    config |= {"context_width": 10, "context_hidden": 13}
    info = zoo.ModelInfo("trial", bytes(4), "tiny", "", None, 0, "1", config, {}, {})  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    y = rng.laplace(0, 3, (*shape, 14)).astype(np.float32)
    weight = rng.uniform(0.5, 4, 14).astype(np.float32)
    pixels = photograph(8 * shape[0], 8 * shape[1])
    pixels = np.repeat(pixels[..., :1], 3, axis=2) if gray else pixels
    tile = Refinement(pixels, y, None, 40, Trade(0.02, 0.0, weight, 0.0, 0.0), 0.3, np.zeros(shape, bool), gray)
    strength = rng.uniform(0, 1, shape).astype(np.float32)
    return Given(zoo.Model(info, tensors), core_models.safetensors(tensors, "tiny"), tile, y, strength)


def small_by_torch(of: Given) -> Chosen:
    """Nearest symbols of the targets: what they cost, by FORMAT.md, 15, in floats that torch differentiates."""
    tensors, tile = of.model.tensors, of.tile
    network, engine = ContextNetwork(tensors), TorchTinyEngine(of.model, "cpu", "float32")
    q = network.quality(tile.quality, tile.gray)
    to_u, to_y = (multiplier(tensors, f"quality.{key}")[tile.quality - 1] for key in ("to_u", "to_y"))
    of_mix, of_expand, of_project = (real_layer(tensors, f"int.context.{key}") for key in ("mix", "expand", "project"))
    reads = ACTIVATION * 2.0 ** int(tensors["int.context.expand.narrow"].item())
    unit = 2.0 ** -int(tensors["int.context.narrow"].item())
    target = torch.from_numpy(of.target)
    h, w, _ = target.shape
    moved = torch.zeros_like(target, requires_grad=True)
    y_hat, bits = torch.zeros_like(target), torch.zeros(())
    for number, step in enumerate(network.steps):
        places = [(i, j) for a, b in step.phases for i in range(a, h, 2) for j in range(b, w, 2)]
        if not places:
            continue
        rows, columns = (torch.tensor(p) for p in zip(*places, strict=True))
        weight, bias = real_layer(tensors, f"int.context.adaptors.{number}")
        known = (y_hat * to_u * ONE)[..., : step.channels.stop]
        x = known @ weight[: step.channels.stop] + bias + torch.from_numpy(q.bias).float()
        x = nn.functional.pad(x.clamp(0, ACTIVATION), (0, 0, 1, 1, 1, 1))
        near = torch.cat([x[rows + a, columns + b] for a in range(3) for b in range(3)], dim=1)
        r = (near @ of_mix[0] + of_mix[1]).clamp(0, STREAM)
        wide = (r.clamp(-reads, reads) @ of_expand[0] + of_expand[1]).clamp(0, ACTIVATION)
        r = r + wide @ of_project[0] + of_project[1]
        weight, bias = real_layer(tensors, f"int.context.heads.{number}")
        mean, index = (r * unit @ weight + bias).chunk(2, dim=1)
        mean = mean * to_y[step.channels] / ONE
        index = (index + torch.from_numpy(q.index[step.channels]).float()) / ONE
        symbol = torch.floor(target[rows, columns][:, step.channels] - mean + 0.5).detach()
        bits = bits + gaussian_bits(symbol, scale_of_index(index)).sum()
        value = torch.zeros_like(y_hat)
        value[rows, columns, step.channels] = symbol + mean + moved[rows, columns][:, step.channels]
        y_hat = y_hat + value
    factor = engine._to_g_s[tile.quality - 1]
    y = (y_hat * ONE * factor).clamp(-ACTIVATION, ACTIVATION).permute(2, 0, 1)[None]
    shown = engine._g_s(y, engine._modulation[tile.quality - 1][None, :, None, None])
    shown = shown * (2.0**-SAMPLE_BITS / 255) + 0.5
    shown = shown.mean(1, keepdim=True).expand(-1, 3, -1, -1) if tile.gray else shown
    x = torch.from_numpy(np.array(tile.pixels, np.float32)).permute(2, 0, 1)[None] / 255
    cost = bits + tile.trade.mse * 255**2 * (shown - x).square().mean() * h * w * 64
    cost.backward()  # type: ignore[no-untyped-call]
    assert moved.grad is not None
    return Chosen(y_hat.detach().numpy(), cost.item(), moved.grad.numpy())


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(("shape", "gray"), [((4, 4), False), ((3, 5), True), ((1, 1), False), ((1, 4), True)])
def test_a_round_over_a_small_picture_and_its_slope_are_those_of_torch(
    shape: tuple[int, int], gray: bool, kernels: str
) -> None:
    of = small(shape, gray)
    with search(of.data, of.tile, kernels) as run:
        run(-of.target, of.strength)  # what a round leaves behind is not seen in the next
        found = run(of.target, of.strength)
        settled = replace(of, target=found.y_hat, strength=np.zeros_like(of.strength))
        ours, theirs = run(settled.target, settled.strength), small_by_torch(settled)
    assert np.mean(np.abs(found.y_hat - of.target) > 0.51) < 0.3  # those that are nearer to zero
    assert np.abs(ours.y_hat - theirs.y_hat).max() < 1e-2
    assert ours.cost == pytest.approx(theirs.cost, rel=1e-4)
    assert apart(ours.slope, theirs.slope) < 1e-3


def test_the_bits_and_pixels_of_a_small_picture_are_about_those_of_the_integers() -> None:
    codec = open_codec("tiny", engine="native")
    assert isinstance(codec, TinyCodec)
    pixels = photograph(32, 24)
    (y,) = codec.engine.analyse(pixels[None])
    worth, none = codec.worth(50), np.zeros((4, 3), np.float32)
    tile = Refinement(pixels, y, None, 50, worth, 0.3, none > 0)
    found = codec.trial(tile)(y * codec.engine.row("gain", 50), none + np.float32(0.3), slope=False)
    size_bytes, latents = codec.latents.cost(found.y_hat[None], 50, False, None)
    exact = 8 * (size_bytes - CHECK_BYTES) + worth.cost(pixels, codec.engine.synthesise(latents, 50)[0])
    assert found.cost == pytest.approx(exact, rel=0.01)


def test_what_errors_are_worth_in_a_small_picture_is_the_lambda_that_its_model_was_trained_with() -> None:
    codec = open_codec("tiny")
    assert isinstance(codec, TinyCodec)
    config = TinyConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in codec.model.info.config.items()})  # type: ignore[arg-type]
    for quality in (1, 40, 100):
        assert codec.worth(quality).mse == pytest.approx(config.lambda_at((quality - 1) / 99), rel=1e-3)


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
    with pytest.raises(CoreError) as error, search(of.data, of.tile, file=tiny):
        pass
    assert error.value.number == MODEL


def test_a_file_that_lacks_a_layer_is_refused() -> None:
    of = given()
    tensors = {k: v for k, v in of.model.tensors.items() if not k.startswith("g_s.blocks.1.project")}
    with (
        pytest.raises(CoreError) as error,
        search(of.data, of.tile, file=core_models.safetensors(tensors, "photo")),  # type: ignore[arg-type]
    ):
        pass
    assert error.value.number == MODEL
