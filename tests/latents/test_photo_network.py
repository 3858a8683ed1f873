"""The integer network against Python's unbounded integers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from caecodec.engines.torch.arithmetic import TorchArithmetic
from caecodec.entropy.arithmetic import Arithmetic, Array
from caecodec.entropy.fixed_point import SATURATION, Block, Layer, depth_to_space, multiply
from caecodec.entropy.order import PHASES, STEPS, group_at
from caecodec.errors import ModelError
from caecodec.latents.photo_network import EntropyNetwork, Head
from caecodec.zoo import find

M = 1 << 22


@pytest.fixture(params=[Arithmetic, TorchArithmetic], autouse=True)
def _computed_with(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer made without saying so computes with the one, then with the other."""
    arithmetic = request.param()
    for function in (Layer.of.__func__, Block.of.__func__, multiply, EntropyNetwork.__init__):
        monkeypatch.setattr(function, "__defaults__", (arithmetic,))


Integers = NDArray[np.int64]
Tensors = dict[str, NDArray[np.generic]]


def tensors_of(
    random: np.random.Generator, name: str, inputs: int, outputs: int, shift: int, largest: int = 2**14
) -> dict[str, NDArray[np.generic]]:
    return {
        f"{name}.weight": random.integers(-largest, largest, (inputs, outputs)).astype(np.int16),
        f"{name}.bias": random.integers(-(2 ** (shift + 12)), 2 ** (shift + 12), outputs),
        f"{name}.shift": np.array([shift], np.int32),
    }


def inputs_of(random: np.random.Generator, *shape: int) -> Array:
    """Activations of every size up to saturation, both signs, some at the very ends."""
    x = random.integers(-M, M + 1, shape) >> random.integers(0, 22, shape)
    x[random.random(shape) < 0.05] = M
    x[random.random(shape) < 0.05] = -M
    return x.astype(np.float64)


def expected_layer(tensors: dict[str, NDArray[np.generic]], name: str, x: Array, relu: bool = False) -> Integers:
    """(K, in) -> (K, out) in Python integers."""
    weight = tensors[f"{name}.weight"].tolist()
    biases = tensors[f"{name}.bias"].tolist()
    shift = tensors[f"{name}.shift"].item()
    half = 2 ** (shift - 1) if shift else 0
    rows = []
    for cell in x.astype(np.int64).tolist():
        sums = [sum(v * row[o] for v, row in zip(cell, weight, strict=True)) for o in range(len(biases))]
        rounded = [(total + bias + half) // 2**shift for total, bias in zip(sums, biases, strict=True)]
        rows.append([min(max(v, 0 if relu else -M), M) for v in rounded])
    return np.array(rows, np.int64)


def expected_depthwise(tensors: dict[str, NDArray[np.generic]], name: str, x: Array) -> Integers:
    """(h, w, C) -> (h, w, C), one number at a time."""
    weight = tensors[f"{name}.weight"].tolist()
    biases = tensors[f"{name}.bias"].tolist()
    shift = tensors[f"{name}.shift"].item()
    values = x.astype(np.int64).tolist()
    h, w, c = x.shape
    out = np.zeros((h, w, c), np.int64)
    for row in range(h):
        for column in range(w):
            for channel in range(c):
                total = biases[channel] + (2 ** (shift - 1) if shift else 0)
                for i in range(3):
                    for j in range(3):
                        r, k = row + i - 1, column + j - 1
                        if 0 <= r < h and 0 <= k < w:
                            total += values[r][k][channel] * weight[3 * i + j][channel]
                out[row, column, channel] = min(max(total // 2**shift, -M), M)
    return out


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shift", [0, 1, 7, 14, 24])
def test_a_layer_is_that_of_unbounded_integers(shift: int, relu: bool) -> None:
    random = np.random.default_rng(shift)
    tensors = tensors_of(random, "l", 40, 24, shift)
    x = inputs_of(random, 50, 40)
    layer = Layer.of(tensors, "l")
    layer.prove("l", SATURATION)
    found, expected = layer(x, relu), expected_layer(tensors, "l", x, relu)
    assert np.array_equal(found, expected)
    if shift < 20:  # both ends were reached
        assert expected.max() == M
        assert expected.min() == (0 if relu else -M)


def test_a_layer_rounds_halves_up_on_both_sides_of_zero() -> None:
    tensors = {"l.weight": np.ones((1, 1), np.int16), "l.bias": np.zeros(1, np.int64), "l.shift": np.array([1])}
    x = np.array([[-5.0], [-4], [-3], [-2], [-1], [0], [1], [2], [3]])
    assert Layer.of(tensors, "l")(x)[:, 0].tolist() == [-2, -2, -1, -1, 0, 0, 1, 1, 2]


def test_a_layer_saturates_at_its_ends_and_not_before() -> None:
    tensors = {"l.weight": np.ones((1, 1), np.int16), "l.bias": np.array([1]), "l.shift": np.array([0])}
    layer = Layer.of(tensors, "l")
    x = np.array([[M - 2.0], [M - 1], [M], [-M - 1], [-M - 2], [-1]])
    assert layer(x)[:, 0].tolist() == [M - 1, M, M, -M, -M, 0]
    assert layer(x, relu=True)[:, 0].tolist() == [M - 1, M, M, 0, 0, 0]


def test_a_layer_keeps_the_shape_of_its_cells() -> None:
    random = np.random.default_rng(1)
    tensors = tensors_of(random, "l", 5, 7, 10)
    x = inputs_of(random, 3, 4, 5)
    found = Layer.of(tensors, "l")(x)
    assert found.shape == (3, 4, 7)
    assert np.array_equal(found.reshape(12, 7), expected_layer(tensors, "l", x.reshape(12, 5)))


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 6, 2), (5, 1, 2), (6, 7, 8)])
def test_a_depthwise_layer_is_the_naive_loop(shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(shape[0])
    tensors = tensors_of(random, "a.depthwise", 9, shape[2], 13)
    x = inputs_of(random, *shape)
    before = x.copy()
    assert np.array_equal(Layer.of(tensors, "a.depthwise")(x), expected_depthwise(tensors, "a.depthwise", x))
    assert np.array_equal(x, before)


def test_a_block_is_its_five_layers_and_two_clamped_sums() -> None:
    random = np.random.default_rng(2)
    sizes = {"mix_in": (6, 6), "depthwise": (9, 6), "mix_out": (6, 6), "expand": (6, 12), "project": (12, 6)}
    tensors: dict[str, NDArray[np.generic]] = {}
    for part, (inputs, outputs) in sizes.items():
        tensors |= tensors_of(random, f"b.{part}", inputs, outputs, 14)
    x = inputs_of(random, 4, 5, 6)
    before = x.copy()

    a = expected_layer(tensors, "b.mix_in", x.reshape(20, 6), relu=True).astype(np.float64)
    a = expected_depthwise(tensors, "b.depthwise", a.reshape(4, 5, 6)).astype(np.float64)
    middle = np.clip(x.reshape(20, 6) + expected_layer(tensors, "b.mix_out", a.reshape(20, 6)), -M, M)
    b = expected_layer(tensors, "b.expand", middle, relu=True).astype(np.float64)
    expected = np.clip(middle + expected_layer(tensors, "b.project", b), -M, M)

    assert np.array_equal(Block.of(tensors, "b")(x), expected.reshape(4, 5, 6))
    assert np.array_equal(x, before)
    assert np.abs(expected).max() == M


@pytest.mark.parametrize("limit", [float(M), float(1 << 25)])
def test_multiplication_by_a_table_is_that_of_unbounded_integers(limit: float) -> None:
    random = np.random.default_rng(3)
    x = random.integers(-(2**26), 2**26, 2000)
    table = random.integers(-(2**25), 2**25, 2000) >> random.integers(0, 25, 2000)
    x[:3], table[:3] = (-1, -3, 1), (1 << 15)  # exact halves
    found = multiply(x.astype(np.float64), table * 2.0**-16, limit)
    ends = int(limit)
    expected = [min(max((a * b + 2**15) >> 16, -ends), ends) for a, b in zip(x.tolist(), table.tolist(), strict=True)]
    assert found.tolist() == expected
    assert found[:3].tolist() == [0, -1, 1]
    assert {-ends, ends} <= set(expected)


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


def head_of(random: np.random.Generator, inputs: int, outputs: int, shift: int) -> tuple[Tensors, Layer]:
    tensors = tensors_of(random, "h", inputs, outputs, shift)
    return tensors, Layer.of(tensors, "h")


@pytest.mark.parametrize("shift", [0, 9, 20])
def test_a_head_is_a_layer_and_two_floors(shift: int) -> None:
    """Its scale indices come out of one product; here out of the layer, the table and both floors."""
    random = np.random.default_rng(shift)
    _, layer = head_of(random, 24, 16, shift)
    head = Head.of(layer)
    x = inputs_of(random, 200, 24)
    table = random.integers(-(2**22 - 2**16), 2**22 - 2**16 + 1, 8).astype(np.float64)
    table[0], table[1], table[2] = 2**22 - 2**16, -(2**22) + 2**16, 0
    out = layer(x)
    expected = np.clip((out[:, 8:].astype(np.int64) + table.astype(np.int64) + 512) >> 10, 0, 63)
    index = np.clip(np.floor(x @ head.index + (head.index_bias + table / 1024)), 0, 63)
    assert np.array_equal(index, expected)
    assert len(set(expected.ravel().tolist())) > (1 if shift < 20 else 20)
    assert np.array_equal(np.clip(np.floor(x @ head.mean + head.mean_bias), -M, M), out[:, :8])


@pytest.mark.parametrize("shape", [(2, 2), (4, 6), (2, 8)])
def test_features_are_those_of_the_whole_adaptor(shape: tuple[int, int]) -> None:
    """Only known channels are multiplied, phase by phase; here everything that is known and the zeros beside it."""
    model = find.load()
    network = EntropyNetwork(model.tensors)
    random = np.random.default_rng(shape[1])
    h, w = shape
    n, quarter = network.n, network.n // 4
    psi = inputs_of(random, h, w, len(network.first.weight))
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
        x = Layer.of(model.tensors, f"int.context.adaptors.{step - 1}")(np.concatenate((u, psi), axis=-1), relu=True)
        for block in network.trunk:
            x = block(x)
        assert np.array_equal(network.features(step, psi, known), x)


def test_an_index_table_out_of_range_is_refused() -> None:
    sound = dict(find.load().tensors)
    for wrong in (2**22 - 2**16 + 1, -(2**22)):
        entries = np.array(sound["quality.index"])
        entries[3, 4] = wrong
        with pytest.raises(ModelError, match="index"):
            EntropyNetwork(sound | {"quality.index": entries})


def test_sums_do_not_depend_on_their_order() -> None:
    """Sums as large as `prove` lets through, split and permuted at random."""
    random = np.random.default_rng(4)
    inputs, largest = 400, (1 << 31) // 400 - 1
    weight = random.integers(largest // 2, largest, (inputs, 8)) * random.choice((-1, 1), (inputs, 8))
    weight[:, 0] = largest
    layer = Layer(weight * 2.0**-14, np.full(8, 0.5), 14)
    layer.prove("l", SATURATION)
    with pytest.raises(ModelError):
        layer.prove("l", 2 * SATURATION)
    x = np.where(random.random((30, inputs)) < 0.5, -SATURATION, SATURATION) + random.integers(0, 2, (30, inputs))
    x[0] = SATURATION
    np.clip(x, -SATURATION, SATURATION, out=x)
    whole = x @ layer.weight
    for _ in range(50):
        order = random.permutation(inputs)
        cuts = np.sort(random.integers(0, inputs, 7))
        parts = [x[:, p] @ layer.weight[p] for p in np.split(order, cuts)]
        total = np.zeros_like(whole)
        for k in random.permutation(len(parts)):
            total = total + parts[k]
        assert np.array_equal(total, whole)
        assert np.array_equal(np.add.reduce(x[:, order, None] * layer.weight[order], axis=1), whole)


def test_weights_that_could_leave_53_bits_are_refused() -> None:
    # 2^22 * 2^14 * 2^17 inputs = 2^53; one input less stays within
    inputs = 1 << 17
    bias, shift = np.zeros(1, np.int64), np.array([14], np.int32)

    def layer(count: int) -> Layer:
        weight = np.full((count, 1), 1 << 14, np.int16)
        return Layer.of({"l.weight": weight, "l.bias": bias, "l.shift": shift}, "l")

    layer(inputs - 1).prove("l", SATURATION)
    with pytest.raises(ModelError, match="53 bits"):
        layer(inputs).prove("l", SATURATION)


@pytest.mark.parametrize("bias", [2**53, -(2**53), 2**53 + 1, 2**62])
def test_a_bias_that_could_leave_53_bits_is_refused(bias: int) -> None:
    tensors = {
        "l.weight": np.ones((1, 1), np.int16),
        "l.bias": np.array([bias], np.int64),
        "l.shift": np.array([10], np.int32),
    }
    with pytest.raises(ModelError, match="53 bits"):
        Layer.of(tensors, "l").prove("l", SATURATION)


@pytest.mark.parametrize("shift", [-1, 31])
def test_a_shift_out_of_range_is_refused(shift: int) -> None:
    tensors = {"l.weight": np.ones((1, 1), np.int16), "l.bias": np.zeros(1), "l.shift": np.array([shift], np.int32)}
    with pytest.raises(ModelError, match="malformed"):
        Layer.of(tensors, "l")


def test_a_network_with_one_unsafe_layer_or_table_is_refused() -> None:
    sound = dict(find.load().tensors)
    EntropyNetwork(sound)
    adaptor = "int.context.adaptors.1.bias"
    bias = np.array(sound[adaptor])
    bias[3] = 2**53
    with pytest.raises(ModelError, match=r"adaptors\.1"):
        EntropyNetwork(sound | {adaptor: bias})
    for table in ("to_u", "to_y", "z_to_u"):
        entries = np.array(sound[f"quality.{table}"])
        entries[7, 5] = -(2**31)
        with pytest.raises(ModelError, match=f"table {table}"):
            EntropyNetwork(sound | {f"quality.{table}": entries})


def test_a_network_with_a_missing_tensor_is_refused() -> None:
    tensors = dict(find.load().tensors)
    del tensors["int.h_s.up2.bias"]
    with pytest.raises(ModelError, match=r"int\.h_s\.up2\.bias"):
        EntropyNetwork(tensors)
