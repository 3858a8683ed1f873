"""The core's frequency tables and costs against `caecodec.entropy.tables`."""

from __future__ import annotations

import numpy as np
import pytest
from core_library import MODEL, CoreError
from core_parts import CTables
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from caecodec.entropy.fixed_point import PRECISION, SCALES, SYMBOL_MAX
from caecodec.entropy.tables import Tables
from caecodec.errors import ModelError
from caecodec.zoo import find

WHOLE = 1 << PRECISION
ULP = 2.0**-48  # of numbers from 16 to 32, which 24 - log2 is computed from


def shipped() -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    tensors = find.load().tensors
    return tensors["table.frequencies"], tensors["table.tail"]


def small(*first: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tables of tail 0, of which the first may be another one."""
    table = first or (WHOLE - 1, 1)
    rest = [WHOLE - 1, 1] * (SCALES - 1)
    return np.array([*table, *rest]), np.array([len(table) // 2 - 1, *[0] * (SCALES - 1)])


def rejected(frequencies: NDArray[np.generic], tail: NDArray[np.generic]) -> bool:
    """Whether both reject them."""
    with pytest.raises(CoreError) as caught:
        CTables(frequencies, tail)
    with pytest.raises(ModelError):
        Tables.of(frequencies, tail)
    return caught.value.number == MODEL


def test_costs_of_entries_are_those_of_python_to_the_last_bit() -> None:
    frequencies, tail = shipped()
    ours, theirs = CTables(frequencies, tail), Tables.of(frequencies, tail)
    for index in range(SCALES):
        bits = ours.bits(index)
        assert np.array_equal(bits, theirs.bits[index, : len(bits)])


@given(st.lists(st.integers(1, WHOLE // 20), min_size=5, max_size=19).filter(lambda table: len(table) % 2 == 1))
def test_costs_of_any_frequencies(table: list[int]) -> None:
    whole = [*table, WHOLE - sum(table)]
    bits = CTables(*small(*whole)).bits(0)
    assert np.abs(bits - (PRECISION - np.log2(whole))).max() <= ULP
    assert np.array_equal(bits, Tables.of(*small(*whole)).bits[0, : len(bits)])


def test_a_power_of_two_costs_whole_bits() -> None:
    for power in range(24):
        assert CTables(*small(1 << power, WHOLE - (1 << power))).bits(0)[0] == PRECISION - power


@pytest.mark.parametrize("wild", [0, 0.01, 1])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 100, 10001])
def test_the_cost_of_a_batch_is_that_of_python(count: int, wild: float) -> None:
    random = np.random.default_rng(count)
    frequencies, tail = shipped()
    ours, theirs = CTables(frequencies, tail), Tables.of(frequencies, tail)
    indices = random.integers(0, SCALES, count).astype(np.uint8)
    symbols = np.round(random.standard_normal(count) * 0.11 * np.exp(indices * 0.101)).astype(np.int32)
    odd = random.random(count) < wild
    symbols[odd] = random.integers(-SYMBOL_MAX, SYMBOL_MAX + 1, odd.sum())
    assert ours.cost(symbols, indices) == pytest.approx(theirs.cost(symbols, indices), rel=1e-13)
    each = [ours.cost(symbols[i : i + 1], indices[i : i + 1]) for i in range(min(count, 200))]
    assert np.allclose(each, theirs.costs(symbols[:200], indices[:200]), rtol=0, atol=4 * ULP)


@pytest.mark.parametrize(
    "table",
    [
        (WHOLE, 1),
        (WHOLE - 1, 2),
        (WHOLE - 2, 1),
        (WHOLE, 0),
        (0, WHOLE),
        (WHOLE + 1, -1),
        (-1, WHOLE + 1),
        (2**31 - 1, 2**31 - 1),
        (2**31 - 1, -(2**31) + 1 + WHOLE),
        (1, 1, 1),  # does not fit its tail
    ],
)
def test_tables_that_do_not_sum_or_fit_are_rejected(table: tuple[int, ...]) -> None:
    assert rejected(*small(*table))


@pytest.mark.parametrize("count", [0, 62, 63, 65, 167, 194])
def test_other_numbers_of_tables_are_rejected(count: int) -> None:
    table = [1, WHOLE - 1]  # a tail of 0
    assert rejected(np.tile(table, count), np.zeros(count, np.int32))


def test_tails_that_do_not_fit_are_rejected() -> None:
    frequencies, tail = small()
    for first in (-1, 1, 2**31 - 1, -(2**31)):
        assert rejected(frequencies, np.array([first, *tail[1:]]))
    assert rejected(frequencies[:-2], tail)


def test_a_tail_of_all_symbols_is_the_longest() -> None:
    longest = np.ones(2 * SYMBOL_MAX + 2, np.int64)
    longest[0] += WHOLE - len(longest)
    tables = CTables(*small(*longest))
    assert tables.struct.table[0].tail == SYMBOL_MAX
    longer = np.ones(len(longest) + 2, np.int64)
    longer[0] += WHOLE - len(longer)
    with pytest.raises(CoreError):  # Python takes it: a symbol that FORMAT.md, 6.3, says there is not
        CTables(*small(*longer))
