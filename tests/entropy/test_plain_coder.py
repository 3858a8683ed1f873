"""The coder in plain Python against constriction: bytes, state and what is read."""

from __future__ import annotations

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caecodec.entropy import plain_coder

THEIRS, OURS = constriction.stream, plain_coder.module()
# entries that meet almost without a gap, and one of the least frequency: carries and long runs of ones are common
TABLES = [
    (1 << 22, 1 << 22, (1 << 23) - 1, 1),
    (1, (1 << 24) - 2, 1),
    (1 << 24,),
    (5, 1 << 20, (1 << 24) - (1 << 20) - 5),
]


def models(coder: object, table: tuple[int, ...]) -> object:
    if len(table) == 1:
        return coder.model.Uniform(2)  # type: ignore[attr-defined]
    return coder.model.Categorical(np.array(table, np.float64) - 1, perfect=False)  # type: ignore[attr-defined]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 40)), max_size=40))
def test_streams_are_constrictions_and_are_read_back(batches: list[tuple[int, int, int]]) -> None:
    theirs, ours = THEIRS.queue.RangeEncoder(), OURS.queue.RangeEncoder()
    coded = []
    for number, entry, count in batches:
        size = max(2, len(TABLES[number]))
        symbols = np.full(count, entry % size, np.int32)
        coded.append((number, symbols))
        for coder, stream in ((theirs, THEIRS), (ours, OURS)):
            coder.encode(symbols, models(stream, TABLES[number]))
        assert ours.pos() == theirs.pos()
        assert np.array_equal(ours.get_compressed(), theirs.get_compressed())
    decoder = OURS.queue.RangeDecoder(ours.get_compressed())
    for number, symbols in coded:
        assert np.array_equal(decoder.decode(models(OURS, TABLES[number]), len(symbols)), symbols)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.integers(0, (1 << 32) - 1), max_size=12), st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_any_words_are_read_as_constriction_reads_them(words: list[int], tables: list[int]) -> None:
    given_words = np.array([*words, 0, 0], np.uint32)  # as `Decoder` pads them
    theirs, ours = THEIRS.queue.RangeDecoder(given_words), OURS.queue.RangeDecoder(given_words)
    for number in tables:
        try:
            expected = theirs.decode(models(THEIRS, TABLES[number]), 3)
        except (ValueError, AssertionError):
            with pytest.raises(ValueError, match="no symbol"):
                ours.decode(models(OURS, TABLES[number]), 3)
            return
        assert np.array_equal(ours.decode(models(OURS, TABLES[number]), 3), expected)
