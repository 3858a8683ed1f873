"""Dependent quantisation: the path that is found is the cheapest, and coders follow it."""

from __future__ import annotations

import itertools

import core_models
import numpy as np
import pytest
from core_parts import CDecoder, CEncoder, CTables, best_path
from numpy.typing import NDArray

from caecodec.entropy import trellis
from caecodec.entropy.fixed_point import ONE, SCALES
from caecodec.entropy.range_coder import Decoder, Encoder
from caecodec.entropy.rounding import Unrounded
from caecodec.entropy.tables import Symbols, Tables
from caecodec.errors import CorruptFileError

STEP, DENSE = 600, 12


def raw(dense: int = DENSE) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    make = core_models.Maker(np.random.default_rng(0))
    make.frequencies(dense)
    return make.tensors["table.frequencies"], make.tensors["table.tail"]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Tables.of(*raw())


def test_every_state_is_reached_by_two_ways_under_one_quantiser() -> None:
    into = [(after, state & 1) for state, both in enumerate(trellis.NEXT) for after in both]
    assert sorted(into) == [(after, after // 4) for after in range(trellis.STATES) for _ in range(2)]


def test_both_quantisers_have_every_multiple_of_the_fine_step_between_them(tables: Tables) -> None:
    symbols = np.arange(-6, 7, dtype=np.int32)
    first, second = (np.full(13, SCALES + quantiser, np.uint8) for quantiser in (0, 1))
    even, odd = (trellis.offsets(symbols, numbers, STEP) / STEP for numbers in (first, second))
    assert even.tolist() == list(range(-12, 13, 2))
    assert odd.tolist() == [*range(-11, 0, 2), 0, *range(1, 12, 2)]
    assert trellis.offsets(symbols, np.full(13, 3, np.uint8), STEP).tolist() == (symbols * ONE).tolist()


def cost(tables: Tables, values: Unrounded, index: NDArray[np.uint8], symbols: Symbols) -> float:
    """Of symbols of dense latents, in the order of coding."""
    state, total = 0, 0.0
    assert values.weight is not None
    for target, weight, one, symbol in zip(values.target, values.weight, index, symbols, strict=True):
        number = tables.number(np.array([one], np.uint8), np.array([state & 1]))
        offset = trellis.offsets(np.array([symbol]), number, STEP)[0]
        error = (target - offset) / ONE
        strength = min(float(np.float32(values.strength)), trellis.STRONGEST)
        total += error**2 * weight + strength * tables.cost(np.array([symbol]), number)
        state = trellis.NEXT[state][symbol & 1]
    return total


@pytest.mark.parametrize("seed", range(5))
def test_no_path_is_cheaper(tables: Tables, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.normal(0, 1200, 6)
    index = np.sort(rng.integers(DENSE, 30, 6)).astype(np.uint8)
    values = Unrounded(target, rng.uniform(0.5, 3, 6), 0.4)
    symbols, _ = trellis.choose(values, np.zeros(6), index, tables, STEP)
    found = cost(tables, values, index, symbols)
    ways = []
    for odds in itertools.product(range(2), repeat=6):  # of both symbols around a value, one is odd
        state, way = 0, []
        for value, odd in zip(target, odds, strict=True):
            low = int((abs(value) / STEP + (state & 1)) / 2)
            size = low + ((low ^ odd) & 1)
            way.append(-size if value < 0 else size)
            state = trellis.NEXT[state][odd]
        ways.append(cost(tables, values, index, np.array(way, np.int32)))
    assert found == pytest.approx(min(ways))
    assert min(ways) < sorted(ways)[1]


def test_errors_are_smaller_than_of_a_plain_quantiser_of_as_many_values() -> None:
    """Granular gain: at a fine step of half a plain one both have as many values."""
    tables = Tables.of(*raw(0))
    rng = np.random.default_rng(1)
    target = rng.uniform(-20 * ONE, 20 * ONE, 20_000)
    index = np.full(len(target), 50, np.uint8)
    symbols, numbers = trellis.choose(Unrounded(target, None), np.zeros(len(target)), index, tables, ONE // 2)
    error = float(np.mean((target - trellis.offsets(symbols, numbers, ONE // 2)) ** 2)) / ONE**2
    assert 10 * np.log10(1 / 12 / error) > 0.8  # dB; eight states reach 1.1, a sphere 1.53


@pytest.mark.parametrize("wild", [0.0, 0.05])
def test_symbols_are_read_as_they_were_written_by_python_and_core(tables: Tables, wild: float) -> None:
    rng = np.random.default_rng(2)
    index = rng.integers(0, SCALES, 3000).astype(np.uint8)
    target = rng.laplace(0, 400, 3000) * 1.1 ** index.astype(float)
    target[rng.random(3000) < wild] *= 100  # escapes
    values = Unrounded(target, rng.uniform(0.5, 3, 3000), rng.uniform(0, 1, 3000).astype(np.float32))
    symbols, numbers = trellis.choose(values, np.zeros(3000), index, tables, STEP)
    core = CTables(*raw())
    python_encoder, core_encoder = Encoder(tables), CEncoder(core)
    for _ in range(2):  # a batch begins at the first state
        python_encoder.encode(symbols, numbers)
        core_encoder.encode_dependent(symbols, index, numbers)
    stream = python_encoder.finish()
    assert core_encoder.finish() == stream
    python, c = Decoder(tables, stream), CDecoder(core, stream)
    for _ in range(2):
        for decoder in (python, c):
            found, under = decoder.decode_dependent(index)  # type: ignore[attr-defined]
            assert np.array_equal(found, symbols)
            assert np.array_equal(under, numbers)


def test_the_core_finds_the_same_path(tables: Tables) -> None:
    rng = np.random.default_rng(3)
    count = 5000
    index = np.sort(rng.integers(DENSE, SCALES, count)).astype(np.uint8)
    target = rng.laplace(0, 400, count) * 1.1 ** index.astype(float)
    weight, strength = rng.uniform(0.1, 5, count), rng.uniform(0, 1, count).astype(np.float32)
    symbols, numbers = trellis.choose(Unrounded(target, weight, strength), np.zeros(count), index, tables, STEP)
    strong = np.minimum(strength.astype(np.float64), trellis.STRONGEST)
    latents = list(zip((target / ONE).tolist(), weight.tolist(), strong.tolist(), index.tolist(), strict=True))
    found, under = best_path(CTables(*raw()), latents, STEP)
    assert np.array_equal(found, symbols)
    assert np.array_equal(under, numbers)


@pytest.mark.parametrize("residual", [1e30, -1e30, float("inf"), 1e4])
def test_values_beyond_all_symbols_are_bounded(tables: Tables, residual: float) -> None:
    symbols, numbers = best_path(CTables(*raw()), [(residual, 1.0, 0.3, 40)] * 3, STEP)
    assert np.abs(symbols).min() >= (8000 if residual == 1e4 else trellis.SYMBOL_MAX - 1)
    assert np.abs(symbols).max() <= trellis.SYMBOL_MAX
    assert (np.sign(symbols) == np.sign(residual)).all()
    if np.isfinite(residual):
        values = Unrounded(np.full(3, residual * ONE), np.ones(3), np.float32(0.3) * np.ones(3, np.float32))
        found, under = trellis.choose(values, np.zeros(3), np.full(3, 40, np.uint8), tables, STEP)
        assert np.array_equal(found, symbols)
        assert np.array_equal(under, numbers)


def test_a_dependent_symbol_that_no_encoder_writes_is_refused(tables: Tables) -> None:
    encoder = Encoder(tables)
    encoder.encode(np.array([trellis.SYMBOL_MAX + 1], np.int32), np.array([SCALES], np.uint8))
    stream = encoder.finish()
    with pytest.raises(CorruptFileError, match="dependent"):
        Decoder(tables, stream).decode_dependent(np.array([DENSE], np.uint8))
    with pytest.raises(Exception, match="stream"):
        CDecoder(CTables(*raw()), stream).decode_dependent(np.array([DENSE], np.uint8))
