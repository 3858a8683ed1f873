"""The core's rounding against `caecodec.entropy.rounding`."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from core_library import library
from core_parts import CTables, Size, pointer
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from caecodec.entropy.fixed_point import ONE, SCALES, SYMBOL_MAX, Indices
from caecodec.entropy.rounding import Unrounded, quantise
from caecodec.entropy.tables import Symbols, Tables
from caecodec.zoo import find

Float = NDArray[np.float32]


@pytest.fixture(scope="module")
def both() -> tuple[CTables, Tables]:
    tensors = find.load().tensors
    frequencies, tail = tensors["table.frequencies"], tensors["table.tail"]
    return CTables(frequencies, tail), Tables.of(frequencies, tail)


def rounded(
    both: tuple[CTables, Tables],
    values: Float,
    mean: NDArray[np.int32],
    index: Indices,
    weight: Float | None,
    strength: np.float32,
) -> Symbols:
    """What C makes of it, once it is what Python makes of it."""
    ours = np.empty(len(values), np.int16)
    library().cae_round(
        ctypes.byref(both[0].struct),
        Size(len(values)),
        *map(pointer, (values, mean, index)),
        None if weight is None else pointer(weight),
        ctypes.c_double(float(strength)),
        pointer(ours),
    )
    given_ = Unrounded(values.astype(np.float64) * ONE, weight, np.full(len(values), strength, np.float32))
    assert np.array_equal(ours, quantise(given_, mean.astype(np.float64), index, both[1]))
    return ours.astype(np.int32)


@pytest.mark.parametrize("strength", [0, 0.15, 0.3, 1, 7])
@pytest.mark.parametrize("spread", [0.3, 1, 8, 500, 1e5])
def test_symbols_are_those_of_python(both: tuple[CTables, Tables], spread: float, strength: float) -> None:
    random = np.random.default_rng(int(10 * spread))
    count = 20000
    values = (random.standard_normal(count) * spread).astype(np.float32)
    mean = (random.standard_normal(count) * spread * 300).astype(np.int32)
    index = random.integers(0, SCALES, count).astype(np.uint8)
    weight = (random.random(count) * 12).astype(np.float32)
    shrunk = rounded(both, values, mean, index, weight, np.float32(strength))
    nearest = rounded(both, values, mean, index, None, np.float32(strength))
    assert np.array_equal(nearest, shrunk) if strength == 0 else np.any(nearest != shrunk) or spread > 1e4


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(width=32, allow_nan=False),
            st.integers(-(2**25), 2**25),
            st.integers(0, SCALES - 1),
            st.floats(0, 2**40, width=32),
        ),
        max_size=20,
    ),
    st.floats(0, 100, width=32),
)
def test_any_numbers(both: tuple[CTables, Tables], rows: list[tuple[float, int, int, float]], strength: float) -> None:
    values, mean, index, weight = (np.array([row[i] for row in rows]) for i in range(4))
    with np.errstate(all="ignore"):  # infinite errors on both sides
        symbols = rounded(
            both,
            values.astype(np.float32),
            mean.astype(np.int32),
            index.astype(np.uint8),
            weight.astype(np.float32),
            np.float32(strength),
        )
    assert np.all(np.abs(symbols) <= SYMBOL_MAX)


def test_halves_round_up(both: tuple[CTables, Tables]) -> None:
    values = np.array([-1.5, -0.5, 0.5, 1.5, 2.5], np.float32)
    zero = np.zeros(5, np.int32)
    assert rounded(both, values, zero, zero.astype(np.uint8), None, np.float32(0)).tolist() == [-1, 0, 1, 2, 3]


def test_not_a_number_is_zero(both: tuple[CTables, Tables]) -> None:
    values, mean, index = np.array([np.nan], np.float32), np.zeros(1, np.int32), np.zeros(1, np.uint8)
    out = np.ones(1, np.int16)
    arrays = [pointer(array) for array in (values, mean, index)]
    library().cae_round(ctypes.byref(both[0].struct), Size(1), *arrays, None, ctypes.c_double(0), pointer(out))
    assert out[0] == 0
