"""The integer network against Python's unbounded integers."""

from __future__ import annotations

import functools

import core_models
import numpy as np
import pytest
from numpy.typing import NDArray

from caecodec.engines.torch.arithmetic import TorchArithmetic
from caecodec.entropy.arithmetic import Arithmetic, Array, times
from caecodec.entropy.fixed_point import ACTIVATION, STREAM, SUM, Block, Layer, Multiplier, depth_to_space
from caecodec.entropy.order import PHASES, STEPS, group_at
from caecodec.errors import ModelError
from caecodec.latents.photo_network import EntropyNetwork

M, S = 8191, 1 << 26

Integers = NDArray[np.int64]
Tensors = dict[str, NDArray[np.generic]]


@pytest.fixture(params=[Arithmetic, TorchArithmetic])
def arithmetic(request: pytest.FixtureRequest) -> Arithmetic:
    found: Arithmetic = request.param()
    return found


def tensors_of(random: np.random.Generator, name: str, inputs: int, outputs: int, shift: int) -> Tensors:
    """A layer whose sums come near their bound: in some outputs by many weights, in others by a few large ones."""
    most = (int(SUM) - 1 - (1 << 26)) // M // inputs
    weight = random.integers(-most, most, (inputs, outputs), endpoint=True)
    few = random.permutation(inputs)[:3]
    weight[:, ::3] = 0
    weight[:, 1::3] = most * random.choice((-1, 1), weight[:, 1::3].shape)
    weight[few, ::3] = random.integers(-32768, 32767, (len(few), 1))
    return {
        f"{name}.weight": weight.astype(np.int16),
        f"{name}.bias": random.integers(-(1 << 26), 1 << 26, outputs).astype(np.int32),
        f"{name}.shift": np.array([shift], np.int32),
        f"{name}.narrow": np.array([shift % 7], np.int32),
    }


def inputs_of(random: np.random.Generator, *shape: int) -> Array:
    """Activations of every size, both signs, some at the very ends."""
    x = random.integers(-M, M + 1, shape) >> random.integers(0, 13, shape)
    x[random.random(shape) < 0.05] = M
    x[random.random(shape) < 0.05] = -M
    return x.astype(np.float64)


def stream_of(random: np.random.Generator, *shape: int) -> Array:
    """The same of a stream."""
    x = random.integers(-S, S + 1, shape) >> random.integers(0, 26, shape)
    x[random.random(shape) < 0.05] = S
    x[random.random(shape) < 0.05] = -S
    return x.astype(np.float64)


def whole(x: Array) -> Integers:
    return x.astype(np.int64)


def expected_layer(tensors: Tensors, name: str, x: Integers) -> Integers:
    """(K, in) -> (K, out) in Python integers, not clamped."""
    weight = tensors[f"{name}.weight"].tolist()
    biases = tensors[f"{name}.bias"].tolist()
    shift = tensors[f"{name}.shift"].item()
    rows = []
    for cell in x.tolist():
        sums = [sum(v * row[o] for v, row in zip(cell, weight, strict=True)) for o in range(len(biases))]
        rows.append([(total + bias) >> shift for total, bias in zip(sums, biases, strict=True)])
    return np.array(rows, np.int64)


def expected_depthwise(tensors: Tensors, name: str, x: Integers) -> Integers:
    """(h, w, C) -> (h, w, C), one number at a time."""
    weight = tensors[f"{name}.weight"].tolist()
    biases = tensors[f"{name}.bias"].tolist()
    shift = tensors[f"{name}.shift"].item()
    values = x.tolist()
    h, w, c = x.shape
    out = np.zeros((h, w, c), np.int64)
    for row in range(h):
        for column in range(w):
            for channel in range(c):
                total = biases[channel]
                for i in range(3):
                    for j in range(3):
                        r, k = row + i - 1, column + j - 1
                        if 0 <= r < h and 0 <= k < w:
                            total += values[r][k][channel] * weight[3 * i + j][channel]
                out[row, column, channel] = total >> shift
    return out


def expected_narrow(x: Integers, narrow: int) -> Integers:
    half = 1 << (narrow - 1) if narrow else 0
    return np.array([min(max((v + half) >> narrow, -M), M) for v in x.ravel().tolist()], np.int64).reshape(x.shape)


@pytest.mark.parametrize("shift", [0, 1, 7, 14, 30])
def test_a_layer_is_that_of_unbounded_integers(arithmetic: Arithmetic, shift: int) -> None:
    random = np.random.default_rng(shift)
    tensors = tensors_of(random, "l", 40, 24, shift)
    x = inputs_of(random, 50, 40)
    x[0] = M * np.sign(tensors["l.weight"][:, 1])  # the largest sum of an output
    layer = Layer.of(tensors, "l", arithmetic)
    expected = expected_layer(tensors, "l", whole(x))
    assert np.array_equal(layer(x, -np.inf, np.inf), expected)
    assert np.array_equal(layer(x), np.clip(expected, -S, S))
    assert np.array_equal(layer(x, 0.0, ACTIVATION), np.clip(expected, 0, M))
    assert np.abs(expected).max() > 0.85 * SUM / 2**shift - 1


def test_a_layer_rounds_down_on_both_sides_of_zero(arithmetic: Arithmetic) -> None:
    tensors: Tensors = {"l.weight": np.ones((1, 1), np.int16), "l.bias": np.array([1], np.int32)}
    layer = Layer.of(tensors | {"l.shift": np.array([1], np.int32)}, "l", arithmetic)
    x = np.array([[-5.0], [-4], [-3], [-2], [-1], [0], [1], [2], [3]])
    assert layer(x)[:, 0].tolist() == [-2, -2, -1, -1, 0, 0, 1, 1, 2]  # 1 is the half


def test_a_layer_keeps_the_shape_of_its_cells(arithmetic: Arithmetic) -> None:
    random = np.random.default_rng(1)
    tensors = tensors_of(random, "l", 5, 7, 10)
    x = inputs_of(random, 3, 4, 5)
    found = Layer.of(tensors, "l", arithmetic)(x)
    assert found.shape == (3, 4, 7)
    assert np.array_equal(found.reshape(12, 7), expected_layer(tensors, "l", whole(x).reshape(12, 5)))


@pytest.mark.parametrize("narrow", [0, 1, 6, 15])
def test_a_stream_is_narrowed_as_unbounded_integers_are(arithmetic: Arithmetic, narrow: int) -> None:
    random = np.random.default_rng(narrow)
    tensors = tensors_of(random, "l", 3, 4, 9) | {"l.narrow": np.array([narrow], np.int32)}
    x = stream_of(random, 400, 3)
    x[0] = np.array([-3, -1, 1]) * 2.0 ** max(narrow - 1, 0)  # halves
    x[1] = np.array([M, -M, M + 0.5]) * 2.0**narrow
    x = np.clip(np.floor(x), -S, S)
    found = Layer.of(tensors, "l", arithmetic).read(x)
    assert np.array_equal(found, expected_narrow(whole(x), narrow))
    assert np.abs(found).max() == min(M, S >> narrow)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 6, 2), (5, 1, 2), (6, 7, 8)])
def test_a_depthwise_layer_is_the_naive_loop(arithmetic: Arithmetic, shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(shape[0])
    tensors = tensors_of(random, "a.depthwise", 9, shape[2], 13)
    x = inputs_of(random, *shape)
    before = x.copy()
    layer = Layer.of(tensors, "a.depthwise", arithmetic)
    assert np.array_equal(layer(x), expected_depthwise(tensors, "a.depthwise", whole(x)))
    assert np.array_equal(x, before)


def test_a_block_is_its_five_layers_and_two_clamped_sums(arithmetic: Arithmetic) -> None:
    random = np.random.default_rng(2)
    sizes = {"mix_in": (6, 6), "depthwise": (9, 6), "mix_out": (6, 6), "expand": (6, 12), "project": (12, 6)}
    shifts = {"mix_in": 16, "depthwise": 16, "mix_out": 4, "expand": 15, "project": 3}
    tensors: Tensors = {}
    for part, (inputs, outputs) in sizes.items():
        tensors |= tensors_of(random, f"b.{part}", inputs, outputs, shifts[part])
    tensors |= {f"b.{part}.narrow": np.array([n], np.int32) for part, n in (("mix_in", 12), ("expand", 13))}
    r = stream_of(random, 4, 5, 6)
    before = r.copy()

    flat = whole(r).reshape(20, 6)
    a = np.clip(expected_layer(tensors, "b.mix_in", expected_narrow(flat, 12)), 0, M).reshape(4, 5, 6)
    a = np.clip(expected_depthwise(tensors, "b.depthwise", a), -M, M).reshape(20, 6)
    middle = np.clip(flat + expected_layer(tensors, "b.mix_out", a), -S, S)
    b = np.clip(expected_layer(tensors, "b.expand", expected_narrow(middle, 13)), 0, M)
    expected = np.clip(middle + expected_layer(tensors, "b.project", b), -S, S)

    assert np.array_equal(Block.of(tensors, "b", arithmetic)(r), expected.reshape(4, 5, 6))
    assert np.array_equal(r, before)
    assert np.abs(expected).max() == S
    assert len(set(expected.ravel().tolist())) > 60


@pytest.mark.parametrize("limit", [ACTIVATION, float(1 << 25)])
def test_multiplication_by_a_table_is_that_of_unbounded_integers(limit: float) -> None:
    random = np.random.default_rng(3)
    x = random.integers(-(2**31) + 1, 2**31, 3000) >> random.integers(0, 31, 3000)
    table = random.integers(-(2**30), 2**30 + 1, 3000) >> random.integers(0, 30, 3000)
    shift = random.integers(1, 61, 3000)
    x[:4], table[:4], shift[:4] = (-1, -3, 1, 2**31 - 1), (1 << 15, 1 << 15, 1 << 15, -(2**30)), (16, 16, 16, 60)
    found = times(x.astype(np.float64), table, shift, limit)
    ends = int(limit)
    exact = [(a * b + 2 ** (s - 1)) >> s for a, b, s in zip(x.tolist(), table.tolist(), shift.tolist(), strict=True)]
    assert found.tolist() == [min(max(v, -ends), ends) for v in exact]
    assert found[:4].tolist() == [0, -1, 1, -2]
    assert {-ends, ends} <= set(found.tolist())


def test_a_multiplier_takes_the_channels_it_is_told() -> None:
    multiplier = Multiplier.of({"m": np.array([3, 5, 7], np.int32), "m.shift": np.array([1, 2, 3], np.int32)}, "m")
    assert multiplier(np.array([[10.0, 10, 10]]), 100).tolist() == [[15, 13, 9]]
    assert multiplier(np.array([[10.0, 10]]), 12, slice(1, 3)).tolist() == [[12, 9]]


def test_depth_to_space_puts_each_quarter_of_the_channels_into_its_place() -> None:
    x = np.arange(2 * 3 * 8, dtype=np.float64).reshape(2, 3, 8)
    out = depth_to_space(x)
    assert out.shape == (4, 6, 2)
    for i in range(2):
        for j in range(2):
            first = (2 * i + j) * 2
            assert np.array_equal(out[i::2, j::2], x[..., first : first + 2])


def test_every_group_is_coded_once_in_every_phase_and_once_in_every_step() -> None:
    square = [[group_at(step, phase) for phase in range(4)] for step in range(STEPS)]
    assert square == [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]
    assert PHASES == ((0, 0), (1, 1), (0, 1), (1, 0))


@functools.cache
def model() -> Tensors:
    return core_models.photo(5, n=16, z=8, psi=6, context=10, width=4, trunk=2)


@pytest.mark.parametrize("shape", [(2, 2), (4, 6), (2, 8)])
def test_features_are_those_of_the_whole_adaptor(arithmetic: Arithmetic, shape: tuple[int, int]) -> None:
    """Only known channels are multiplied, phase by phase; here everything that is known and the zeros beside it."""
    network = EntropyNetwork(model(), arithmetic)
    random = np.random.default_rng(shape[1])
    h, w = shape
    n, quarter = network.n, network.n // 4
    psi = inputs_of(random, h, w, len(network.of_y.first.weight))
    narrow = int(model()["int.context.narrow"].item())
    for step in range(1, STEPS):
        u = np.zeros((h, w, n))
        known = [np.zeros((h // 2, w // 2, n)) for _ in PHASES]
        for phase, (i, j) in enumerate(PHASES):
            for earlier in range(step):
                group = group_at(earlier, phase)
                values = inputs_of(random, h // 2, w // 2, quarter)
                u[i::2, j::2, group * quarter : (group + 1) * quarter] = values
                known[phase][..., earlier * quarter : (earlier + 1) * quarter] = values
            known[phase][..., step * quarter :] = 7.0  # of a later step: not to be read
        x = Layer.of(model(), f"int.context.adaptors.{step - 1}")(np.concatenate((u, psi), axis=-1), 0.0, STREAM)
        for block in network.of_y.trunk:
            x = block(x)
        assert np.array_equal(network.of_y.features(step, psi, known), expected_narrow(whole(x), narrow))
        assert x.any()


@pytest.mark.parametrize("quality", [1, 100])
def test_a_head_gives_means_and_scale_indices(arithmetic: Arithmetic, quality: int) -> None:
    network = EntropyNetwork(model(), arithmetic)
    q = network.of_y.at(quality)
    features = inputs_of(np.random.default_rng(quality), 200, 10)
    to_y, shift, more = (model()[f"quality.{name}"] for name in ("to_y", "to_y.shift", "index"))
    for step, phase in ((0, 0), (1, 3), (3, 2)):
        group = step ^ phase
        out = expected_layer(model(), f"int.context.head.{step}.{group}", whole(features)).tolist()
        mean, index = network.of_y.parameters(step, phase, features, q)
        for cell, outputs in enumerate(out):
            for m in range(4):
                k = 4 * group + m
                s = int(shift[k])
                exact = (outputs[m] * int(to_y[quality - 1, k]) + (1 << (s - 1))) >> s
                assert mean[cell, m] == min(max(exact, -(1 << 25)), 1 << 25)
                assert index[cell, m] == min(max((outputs[4 + m] + int(more[quality - 1, k]) + 512) >> 10, 0), 63)
    assert len(set(index.ravel().tolist())) > 20


def test_sums_do_not_depend_on_their_order() -> None:
    """Sums as large as a layer lets through, split and permuted at random."""
    random = np.random.default_rng(4)
    inputs, largest = 400, (int(SUM) - 1) // M // 400
    weight = random.integers(largest // 2, largest, (inputs, 8)) * random.choice((-1, 1), (inputs, 8))
    weight[:, 0] = largest
    tensors: Tensors = {"l.weight": weight.astype(np.int16), "l.bias": np.full(8, 1 << 13, np.int32)}
    layer = Layer.of(tensors | {"l.shift": np.array([14], np.int32)}, "l")
    x = np.where(random.random((30, inputs)) < 0.5, -ACTIVATION, ACTIVATION) + random.integers(-1, 2, (30, inputs))
    x[0] = ACTIVATION
    np.clip(x, -ACTIVATION, ACTIVATION, out=x)
    exact = x @ layer.weight
    for _ in range(50):
        order = random.permutation(inputs)
        cuts = np.sort(random.integers(0, inputs, 7))
        parts = [x[:, p] @ layer.weight[p] for p in np.split(order, cuts)]
        total = np.zeros_like(exact)
        for k in random.permutation(len(parts)):
            total = total + parts[k]
        assert np.array_equal(total, exact)
        assert np.array_equal(np.add.reduce(x[:, order, None] * layer.weight[order], axis=1), exact)


def test_samples_as_inputs_leave_room_for_larger_weights() -> None:
    tensors: Tensors = {"l.weight": np.full((8, 1), 32767, np.int16), "l.bias": np.zeros(1, np.int32)}
    tensors["l.shift"] = np.array([9], np.int32)
    assert Layer.of(tensors, "l", reads=255).largest_output(255) == 8 * 32767 * 255 >> 9
    with pytest.raises(ModelError, match="32 bits"):
        Layer.of(tensors, "l")


def test_a_network_with_a_missing_tensor_says_which() -> None:
    tensors = dict(model())
    del tensors["int.h_s.up2.bias"]
    with pytest.raises(ModelError, match=r"int\.h_s\.up2\.bias"):
        EntropyNetwork(tensors)
