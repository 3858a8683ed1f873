"""Frequency tables, escapes and the ends of streams."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference_decoder import Model, RangeDecoder

from caecodec.entropy.fixed_point import SCALES, SYMBOL_MAX, Indices
from caecodec.entropy.range_coder import Decoder, Encoder
from caecodec.entropy.tables import Symbols, Tables
from caecodec.errors import CorruptFileError, ModelError
from caecodec.zoo import find

Source = Callable[[], tuple[NDArray[np.int64], NDArray[np.int32]]]  # frequencies, tails

WHOLE = 1 << 24
UNIT = ((1 << 64) - 1) >> 24  # what one unit of frequency is worth to a fresh range coder
# a stream ends within so many bytes of its cost; the coder's rounding down of its range comes on top
ENDING_BYTES = 1.1
ROUNDING_BYTES = 3e-5  # a symbol, on average


def shipped() -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    tensors = find.load().tensors
    return tensors["table.frequencies"].astype(np.int64), tensors["table.tail"].astype(np.int32)


def uneven(seed: int = 3) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """64 tables as hard as tables get: frequencies of 1 and almost all, tails of 0."""
    random = np.random.default_rng(seed)
    tails = np.array([0, 1, 0, 2000, *random.integers(0, 40, SCALES - 4)], np.int32)
    tables = []
    for number, tail in enumerate(tails):
        count = 2 * int(tail) + 2
        table = np.ones(count, np.int64) if number % 2 else random.integers(1, WHOLE // count, count)
        table[random.integers(count)] += WHOLE - table.sum()
        tables.append(table)
    return np.concatenate(tables), tails


def split(frequencies: NDArray[np.int64], tails: NDArray[np.int32]) -> list[list[int]]:
    ends = np.cumsum(2 * tails.astype(np.int64) + 2)
    return [part.tolist() for part in np.split(frequencies, ends[:-1])]


def draw(count: int, seed: int, wild: float = 0.01) -> tuple[Symbols, Indices]:
    """Symbols as their scales promise, but for a share of wild ones."""
    random = np.random.default_rng(seed)
    indices = random.integers(0, SCALES, count).astype(np.uint8)
    symbols = np.round(random.standard_normal(count) * 0.11 * np.exp(indices * 0.101))
    odd = random.random(count) < wild
    symbols[odd] = random.integers(-SYMBOL_MAX, SYMBOL_MAX + 1, odd.sum())
    return symbols.astype(np.int32), indices


def coded(tables: Tables, symbols: Symbols, indices: Indices) -> bytes:
    encoder = Encoder(tables)
    encoder.encode(symbols, indices)
    return encoder.finish()


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Tables.of(*shipped())


def test_every_table_of_the_shipped_model_sums_to_two_to_the_24() -> None:
    parts = split(*shipped())
    assert len(parts) == SCALES
    assert all(sum(part) == WHOLE and min(part) >= 1 for part in parts)


@pytest.mark.parametrize("source", [shipped, uneven])
def test_the_encoder_gives_every_entry_exactly_its_frequency(source: Source) -> None:
    frequencies, tails = source()
    built = Tables.of(frequencies, tails)
    for table, model in zip(split(frequencies, tails), built.models, strict=True):
        starts = itertools.accumulate(table, initial=0)
        for entry, (frequency, start) in enumerate(zip(table, starts, strict=False)):
            coder = constriction.stream.queue.RangeEncoder()
            coder.encode(np.array([entry], np.int32), model)
            _, (lower, span) = coder.pos()
            assert (lower, span) == (UNIT * start, UNIT * frequency)


@pytest.mark.parametrize("source", [shipped, uneven])
def test_the_decoder_gives_every_entry_exactly_its_frequency(source: Source) -> None:
    frequencies, tails = source()
    built = Tables.of(frequencies, tails)
    for table, model in zip(split(frequencies, tails), built.models, strict=True):
        end = 0
        for entry, frequency in enumerate(table):
            start, end = end, end + frequency
            for point in (UNIT * start, UNIT * end - 1):  # the first and the last number that mean this entry
                words = np.array([point >> 32, point & 0xFFFFFFFF], np.uint32)
                assert constriction.stream.queue.RangeDecoder(words).decode(model, 1)[0] == entry


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 1000, 20000])
def test_random_symbols_with_escapes_round_trip(tables: Tables, count: int) -> None:
    symbols, indices = draw(count, seed=count)
    assert np.array_equal(Decoder(tables, coded(tables, symbols, indices)).decode(indices), symbols)


def test_several_batches_round_trip_through_one_stream(tables: Tables) -> None:
    batches = [draw(count, seed=count) for count in (7, 0, 400, 1)]
    encoder = Encoder(tables)
    for symbols, indices in batches:
        encoder.encode(symbols, indices)
    decoder = Decoder(tables, encoder.finish())
    for symbols, indices in batches:
        assert np.array_equal(decoder.decode(indices), symbols)


@pytest.mark.parametrize("index", [0, 22, 63])
def test_the_extreme_symbols_round_trip(tables: Tables, index: int) -> None:
    tail = int(tables.tail[index])
    symbols = np.array([tail, -tail, tail + 1, -tail - 1, SYMBOL_MAX, -SYMBOL_MAX, 0], np.int32)
    indices = np.full(len(symbols), index, np.uint8)
    assert Decoder(tables, coded(tables, symbols, indices)).decode(indices).tolist() == symbols.tolist()


@pytest.mark.parametrize("source", [shipped, uneven])
def test_a_stream_means_the_same_to_the_reference_decoder(source: Source) -> None:
    frequencies, tails = source()
    symbols, indices = draw(3000, seed=8, wild=0.1)
    stream = coded(Tables.of(frequencies, tails), symbols, indices)
    model = Model({}, b"", "photo", tails=tails.tolist(), tables=[tuple(part) for part in split(frequencies, tails)])
    assert RangeDecoder(stream).batch(indices.tolist(), model) == symbols.tolist()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(-SYMBOL_MAX, SYMBOL_MAX) | st.integers(-3, 3), st.integers(0, 63)), max_size=40))
def test_any_symbols_round_trip_and_take_no_more_than_their_cost(pairs: list[tuple[int, int]]) -> None:
    built = Tables.of(*shipped())
    symbols = np.array([s for s, _ in pairs], np.int32)
    indices = np.array([i for _, i in pairs], np.uint8)
    stream = coded(built, symbols, indices)
    assert np.array_equal(Decoder(built, stream).decode(indices), symbols)
    assert len(stream) <= built.cost(symbols, indices) / 8 + ENDING_BYTES


@pytest.mark.parametrize("count", [1, 5, 100, 3000, 100_000])
def test_a_stream_takes_what_its_cost_says(tables: Tables, count: int) -> None:
    for seed in range(5):
        symbols, indices = draw(count, seed)
        excess = len(coded(tables, symbols, indices)) - tables.cost(symbols, indices) / 8
        assert -2 < excess < ENDING_BYTES + count * ROUNDING_BYTES


def test_a_stream_neither_ends_in_zeros_nor_needs_them(tables: Tables) -> None:
    shortened = 0
    for seed in range(300):
        symbols, indices = draw(1 + seed % 20, seed)
        stream = coded(tables, symbols, indices)
        assert not stream.endswith(b"\0")
        shortened += len(stream) % 4 != 0
        for zeros in (0, 1, 4, 9):
            assert np.array_equal(Decoder(tables, stream + bytes(zeros)).decode(indices), symbols)
    assert shortened > 100


def test_symbols_at_the_lower_end_of_every_range_take_no_bytes(tables: Tables) -> None:
    indices = np.full(5, 63, np.uint8)
    symbols = np.full(5, -int(tables.tail[63]), np.int32)
    assert coded(tables, symbols, indices) == b""
    assert np.array_equal(Decoder(tables, b"").decode(indices), symbols)


def test_a_stream_beyond_the_last_entry_is_rejected(tables: Tables) -> None:
    with pytest.raises(CorruptFileError):
        Decoder(tables, b"\xff" * 8).decode(np.zeros(1, np.uint8))


@pytest.mark.parametrize(
    ("bits", "accepted"),
    [
        ([0] * 15 + [1] + [0] * 15 + [0], False),  # 2^15 + T: too large
        ([0] * 14 + [1] + [0] * 14 + [1], True),
        ([0] * 17, False),  # too long
    ],
    ids=["too large", "large", "too long"],
)
def test_an_escape_that_no_encoder_writes_is_rejected(tables: Tables, bits: list[int], accepted: bool) -> None:
    tail = int(tables.tail[0])
    coder = constriction.stream.queue.RangeEncoder()
    coder.encode(np.array([2 * tail + 1], np.int32), tables.models[0])
    coder.encode(np.array(bits, np.int32), constriction.stream.model.Uniform(2))
    stream = coder.get_compressed().astype(">u4").tobytes()
    decoder = Decoder(tables, stream)
    if accepted:
        assert decoder.decode(np.zeros(1, np.uint8)).tolist() == [-(tail + 2**14)]
    else:
        with pytest.raises(CorruptFileError, match="escaped symbol"):
            decoder.decode(np.zeros(1, np.uint8))


@pytest.mark.parametrize("length", range(0, 200, 7))
def test_random_bytes_decode_to_symbols_or_are_rejected(tables: Tables, length: int) -> None:
    random = np.random.default_rng(length)
    indices = random.integers(0, SCALES, 500).astype(np.uint8)
    try:
        symbols = Decoder(tables, random.bytes(length)).decode(indices)
    except CorruptFileError:
        return
    assert np.abs(symbols).max() <= SYMBOL_MAX


def test_tables_that_are_not_tables_are_refused() -> None:
    frequencies, tails = uneven()
    too_much, with_zero = frequencies.copy(), frequencies.copy()
    too_much[0] += 1
    with_zero[:2] = 0, WHOLE
    for bad, tail in ((too_much, tails), (with_zero, tails), (frequencies[:-1], tails), (frequencies, tails[:-1])):
        with pytest.raises(ModelError):
            Tables.of(bad, tail)
