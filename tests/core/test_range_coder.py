"""The core's range coder against constriction, through `caecodec.entropy`."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from core_library import ARGUMENT, STREAM, CoreError
from core_parts import CDecoder, CEncoder, CTables
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from caecodec.entropy.fixed_point import SCALES, SYMBOL_MAX, Indices
from caecodec.entropy.range_coder import Decoder, Encoder
from caecodec.entropy.tables import Symbols, Tables
from caecodec.errors import CorruptFileError
from caecodec.zoo import find

WHOLE = 1 << 24
Batch = tuple[Symbols, Indices]


class Both:
    """One model's tables, in Python and in C."""

    def __init__(self, frequencies: NDArray[np.generic], tail: NDArray[np.generic]) -> None:
        self.python, self.c = Tables.of(frequencies, tail), CTables(frequencies, tail)

    def encode(self, batches: list[Batch]) -> bytes:
        """The stream, which both write."""
        ours, theirs = CEncoder(self.c), Encoder(self.python)
        for symbols, indices in batches:
            ours.encode(symbols, indices)
            theirs.encode(symbols, indices)
        stream = theirs.finish()
        assert ours.finish() == stream
        return stream

    def round_trip(self, batches: list[Batch]) -> bytes:
        stream = self.encode(batches)
        decoder = CDecoder(self.c, stream)
        for symbols, indices in batches:
            assert np.array_equal(decoder.decode(indices), symbols)
        return stream

    def read(self, stream: bytes, batches: list[Indices]) -> list[Symbols] | None:
        """What both make of a stream that nobody may have written; None where both reject it."""
        found, ours, theirs = list[Symbols](), CDecoder(self.c, stream), Decoder(self.python, stream)
        for indices in batches:
            try:
                expected = theirs.decode(indices)
            except CorruptFileError:
                with pytest.raises(CoreError) as caught:
                    ours.decode(indices)
                assert caught.value.number == STREAM
                return None
            found.append(ours.decode(indices))
            assert np.array_equal(found[-1], expected)
        return found


def uneven(seed: int = 3) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """64 tables as hard as tables get: frequencies of 1 and almost all, tails of 0 and of all symbols."""
    random = np.random.default_rng(seed)
    tails = np.array([0, 1, 0, 2000, SYMBOL_MAX, *random.integers(0, 40, SCALES - 5)], np.int32)
    tables = []
    for number, tail in enumerate(tails):
        count = 2 * int(tail) + 2
        table = np.ones(count, np.int64) if number % 2 else random.integers(1, WHOLE // count, count)
        table[random.integers(count)] += WHOLE - table.sum()
        tables.append(table)
    return np.concatenate(tables), tails


def same(*table: int) -> Both:
    """64 times one table."""
    return Both(np.tile(table, SCALES), np.full(SCALES, len(table) // 2 - 1))


def draw(random: np.random.Generator, count: int, wild: float = 0.01, scales: int = SCALES) -> Batch:
    """Symbols as their scales promise, but for a share of wild ones."""
    indices = random.integers(0, scales, count).astype(np.uint8)
    symbols = np.round(random.standard_normal(count) * 0.11 * np.exp(indices * 0.101))
    odd = random.random(count) < wild
    symbols[odd] = random.integers(-SYMBOL_MAX, SYMBOL_MAX + 1, odd.sum())
    return symbols.astype(np.int32), indices


def zeros(count: int, index: int = 0) -> Batch:
    return np.zeros(count, np.int32), np.full(count, index, np.uint8)


@pytest.fixture(scope="module")
def shipped() -> Both:
    tensors = find.load().tensors
    return Both(tensors["table.frequencies"], tensors["table.tail"])


@pytest.fixture(scope="module")
def hard() -> Both:
    return Both(*uneven())


@pytest.mark.parametrize("wild", [0, 0.01, 0.5, 1])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 1000, 20001])
def test_streams_are_those_of_constriction_and_decode(shipped: Both, count: int, wild: float) -> None:
    random = np.random.default_rng(count)
    assert shipped.round_trip([draw(random, count, wild), draw(random, count, wild)]) or not count


def test_mostly_zeros_at_few_scale_indices(shipped: Both) -> None:
    random = np.random.default_rng(5)
    batches = [draw(random, 20000, 1e-4, scales) for scales in (1, 2, 9, 20)]
    assert len(shipped.round_trip(batches)) < 20000


def test_uneven_tables_give_the_streams_of_constriction(hard: Both) -> None:
    random = np.random.default_rng(6)
    assert hard.round_trip([draw(random, count, wild) for count, wild in ((1000, 0), (1000, 0.1), (300, 1))])


def test_nothing_is_an_empty_stream(shipped: Both) -> None:
    assert shipped.round_trip([]) == b""
    assert shipped.round_trip([zeros(0), zeros(0)]) == b""


def test_empty_batches_among_others_change_nothing(shipped: Both) -> None:
    batch = draw(np.random.default_rng(7), 50)
    assert shipped.round_trip([zeros(0), batch, zeros(0), batch]) == shipped.round_trip([batch, batch])


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(-SYMBOL_MAX, SYMBOL_MAX), st.integers(0, SCALES - 1)), max_size=60), st.data())
def test_any_batches_give_the_stream_of_constriction(shipped: Both, pairs: list[tuple[int, int]], data: object) -> None:
    assert isinstance(data, st.DataObject)
    cut = data.draw(st.integers(0, len(pairs)))
    batches = []
    for part in (pairs[:cut], pairs[cut:]):
        symbols, indices = zip(*part, strict=True) if part else ((), ())
        batches.append((np.array(symbols, np.int32), np.array(indices, np.uint8)))
    assert shipped.round_trip(batches) is not None


# entries of these three symbols lie next to each other almost without a gap: any number has symbols that lead to it
THREE = (1 << 22, 1 << 22, (1 << 23) - 1, 1)


def towards(number: int, size: int, count: int) -> Symbols:
    """Symbols under THREE whose intervals hold a number of `size` bytes, taken as a fraction."""
    starts = [0, 1 << 22, 1 << 23, WHOLE - 1]
    low, span, shift = 0, (1 << 64) - 1, 8 * size - 64  # low and span are in 2^shift of the number's unit
    symbols = []
    for _ in range(count):
        scale = span >> 24
        ahead = (number >> shift if shift >= 0 else number << -shift) - low
        entry = max(i for i in range(3) if scale * starts[i] <= max(ahead, 0))
        symbols.append(entry - 1)
        low += scale * starts[entry]
        span = scale * (starts[entry + 1] - starts[entry])
        if span < 1 << 32:
            low, span, shift = low << 32, span << 32, shift - 32
    return np.array(symbols, np.int32)


def test_carries_run_through_the_bytes_that_are_written() -> None:
    """Towards 7fff.. until the coder has written words of ff, then up, past 8000..: a carry runs through them."""
    both, longest = same(*THREE), 0
    for size, offset, cut in itertools.product((8, 41), (-2, -1, 0, 1), (1, 2, 3, 5, *range(16, 150, 6))):
        symbols = towards((0x80 << 8 * (size - 1)) + offset, size, cut)
        for ending in itertools.product((-1, 0, 1), repeat=2):
            batches = [(part, np.zeros(len(part), np.uint8)) for part in (symbols, np.array(ending, np.int32))]
            both.round_trip(batches)
            encoder = CEncoder(both.c)
            encoder.encode(*batches[0])
            before = encoder.bytes[: encoder.struct.size].copy()
            encoder.encode(*batches[1])
            longest = max(longest, int((encoder.bytes[: len(before)] != before).sum()))
    assert longest >= 24  # 7f and at least 23 times ff: six words


def test_every_ending_of_few_symbols(shipped: Both) -> None:
    """All streams of up to three symbols of tables flat and peaked: every way in which a stream ends."""
    for index in (0, 20, 63):
        for symbols in itertools.product((-1, 0, 1, 2, 400), repeat=3):
            assert shipped.encode([(np.array(symbols, np.int32), np.full(3, index, np.uint8))]) is not None


def test_the_example_of_the_specification() -> None:
    both = same(1000, 16773216, 2000, 1000)
    symbols = np.array([0, 0, 1, 0, -1, 0, 0, -6, 0, 2], np.int32)
    assert both.round_trip([(symbols, np.zeros(10, np.uint8))]) == bytes.fromhex("ffdcda6240879661")


def test_a_full_buffer_is_an_error_and_nothing_is_written_past_it(shipped: Both) -> None:
    symbols, indices = draw(np.random.default_rng(8), 300, 0.2)
    stream = shipped.encode([(symbols, indices)])
    for capacity in (*range(20), len(stream) - 1):
        encoder = CEncoder(shipped.c, len(stream) + 100)
        encoder.struct.capacity = capacity
        with pytest.raises(CoreError) as caught:
            encoder.encode(symbols, indices)
            encoder.finish()
        assert caught.value.number == ARGUMENT
        assert not encoder.bytes[capacity:].any()
    exact = CEncoder(shipped.c, len(stream))
    exact.encode(symbols, indices)
    assert len(exact.finish()) == len(stream)


def test_a_symbol_takes_no_more_than_it_is_said_to(hard: Both) -> None:
    """7 bytes a symbol and 8 at the end are always enough."""
    worst = np.full(500, SYMBOL_MAX, np.int32)
    for index in range(SCALES):
        assert len(hard.encode([(worst, np.full(500, index, np.uint8))])) <= 7 * 500 + 8


@pytest.mark.parametrize("seed", range(30))
def test_random_bytes_are_rejected_or_decode_as_in_python(shipped: Both, hard: Both, seed: int) -> None:
    random = np.random.default_rng(seed)
    batches = [random.integers(0, SCALES, count).astype(np.uint8) for count in (200, 0, 300)]
    for both in (shipped, hard):
        for size in (0, 1, 2, 3, 4, 7, 8, 9, 100, 2000):
            stream = random.bytes(size)
            assert both.read(stream, batches) is None or both.read(stream, batches[:1]) is not None


@pytest.mark.parametrize("fill", [0x00, 0x7F, 0x80, 0xFE, 0xFF])
def test_streams_of_one_byte_are_rejected_or_decode_as_in_python(shipped: Both, hard: Both, fill: int) -> None:
    for both, index in itertools.product((shipped, hard), (0, 1, 2, 3, 4, 40, 63)):
        for size in (1, 4, 5, 8, 64):
            both.read(bytes([fill]) * size, [np.full(100, index, np.uint8)] * 2)
    assert shipped.read(b"\xff" * 8, [np.zeros(1, np.uint8)]) is None


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=80), st.integers(0, 2**32))
def test_damaged_streams_are_rejected_or_decode_as_in_python(hard: Both, noise: bytes, seed: int) -> None:
    random = np.random.default_rng(seed)
    symbols, indices = draw(random, 100, 0.1)
    stream = bytearray(hard.encode([(symbols, indices)]))
    at = int(random.integers(len(stream)))
    stream[at : at + len(noise)] = noise
    found = hard.read(bytes(stream), [indices, indices])
    assert found is None or len(found) == 2


def test_an_escape_of_more_than_16_bits_is_rejected_before_it_is_read() -> None:
    both = same(1, 1, 1, WHOLE - 3)
    index = np.zeros(1, np.uint8)
    assert both.read(b"\x01" * 3, [index]) is not None
    assert both.read(b"", [index]) is not None  # nothing but zeros: the first entry
    assert both.read(bytes.fromhex("00000300") + b"\0" * 8, [index]) is None
