"""Symbols + scale indices <-> bytes, by constriction's range coder.

An escaped symbol follows as a number in Elias-gamma code over equiprobable bits, then its sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy import trellis
from caecodec.entropy.coder import stream
from caecodec.entropy.fixed_point import SCALES, SYMBOL_MAX, Indices
from caecodec.entropy.tables import Numbers, Symbols, Tables
from caecodec.errors import CorruptFileError
from caecodec.stages import stage

_GAMMA_MAX_BITS = 16  # an escape is at most SYMBOL_MAX


def _by_index(indices: Indices) -> list[tuple[int, NDArray[np.intp]]]:
    """(scale index, positions in rising order) for every index that occurs, in rising order."""
    order = np.argsort(indices, kind="stable")
    used, starts = np.unique(indices[order], return_index=True)
    return [(int(i), p) for i, p in zip(used, np.split(order, starts[1:]), strict=True)] if len(indices) else []


class Encoder:
    """Range encoder of one tile."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._coder = stream().queue.RangeEncoder()

    @stage("entropy coder")
    def encode(self, symbols: Symbols, numbers: Numbers) -> None:
        """Append symbols (K,) within +-SYMBOL_MAX under tables of these numbers (K,), by scale index.

        One call for each index, then its escapes; of dependent symbols one call for each, escapes where they are.
        """
        if len(symbols) and np.abs(symbols).max() > SYMBOL_MAX:
            raise AssertionError("a symbol over SYMBOL_MAX reached the entropy coder")
        for index, where in _by_index(self._tables.index(numbers)):
            if index >= self._tables.dense and numbers[where[0]] >= SCALES:
                self._one_by_one(symbols[where].tolist(), numbers[where].tolist())
                continue
            tail = int(self._tables.tail[index])
            values = symbols[where]
            inside = np.abs(values) <= tail
            coded = np.where(inside, values + tail, 2 * tail + 1).astype(np.int32)
            self._coder.encode(coded, self._tables.models[index])
            for value in values[~inside]:
                self._escape(abs(int(value)) - tail, value < 0)

    def _one_by_one(self, symbols: list[int], numbers: list[int]) -> None:
        models, tails = self._tables.models, self._tables.tail.tolist()
        for symbol, number in zip(symbols, numbers, strict=True):
            tail = tails[number]
            inside = abs(symbol) <= tail
            entry = symbol + tail if inside else 2 * tail + 1
            self._coder.encode(np.array([entry], np.int32), models[number])
            if not inside:
                self._escape(abs(symbol) - tail, symbol < 0)

    def runs(self, coded: Symbols, index: Indices, ends: NDArray[np.intp]) -> None:
        """Append table entries `coded` (K,), sorted by scale index (K,), none of them escapes; `ends` of each index."""
        start = 0
        coder, models = self._coder, self._tables.models
        for end in ends.tolist():
            coder.encode(coded[start:end], models[index[start]])
            start = end

    def _escape(self, excess: int, negative: bool) -> None:
        length = excess.bit_length()
        bits = [0] * (length - 1) + [excess >> k & 1 for k in range(length - 1, -1, -1)] + [int(negative)]
        self._coder.encode(np.array(bits, np.int32), stream().model.Uniform(2))

    @stage("entropy coder")
    def finish(self) -> bytes:
        """The stream: 32-bit words, most significant byte first, zero bytes at the end left out."""
        words = self._coder.get_compressed()
        data: bytes = words.astype(">u4").tobytes()
        ending: bytes = _shortest(data, self._coder)
        return ending.rstrip(b"\0")


def _shortest(data: bytes, coder: Any) -> bytes:
    """Any number in [lower, lower + range) ends the stream as well as constriction's: take one that ends in zeros."""
    written, (lower, span) = coder.pos()
    upper = lower + span - 1
    prefix = data[: 4 * written]
    if upper >= 1 << 64:  # 2^64 itself lies inside: a carry into the words written, and nothing but zeros after them
        if lower + (1 << 32) - 1 < 1 << 64:  # constriction's own ending did not carry
            prefix = (int.from_bytes(prefix, "big") + 1).to_bytes(len(prefix), "big")
        return prefix
    # at zeros = 0 the value is `upper` itself, which lies inside
    value = next(v for zeros in range(64, -1, -8) if (v := upper >> zeros << zeros) >= lower)
    return prefix + int(value).to_bytes(8, "big")


class Decoder:
    """Range decoder of one tile."""

    def __init__(self, tables: Tables, data: bytes) -> None:
        self._tables = tables
        padded = data + b"\0" * (-len(data) % 4)
        # what the encoder left out at the end were zeros
        words = np.frombuffer(padded + b"\0" * 8, ">u4").astype(np.uint32)
        self._coder = stream().queue.RangeDecoder(words)

    @stage("entropy coder")
    def decode(self, indices: Indices) -> Symbols:
        """The next symbols (K,), given their scale indices (K,). Raises CorruptFileError."""
        symbols = np.empty(len(indices), np.int32)
        with _invalid():
            for index, where in _by_index(indices):
                symbols[where] = self._run(index, len(where))
        return symbols

    @stage("entropy coder")
    def decode_dependent(self, indices: Indices) -> tuple[Symbols, Numbers]:
        """As `decode`, of a dependent batch (FORMAT.md, 6.4): symbols and the numbers of their tables, (K,) each."""
        symbols, numbers = np.empty(len(indices), np.int32), indices.copy()
        tables, state = self._tables, 0
        with _invalid():
            for index, where in _by_index(indices):
                if index < tables.dense:
                    symbols[where] = self._run(index, len(where))
                    continue
                first = SCALES + 2 * (index - tables.dense)
                for place in where.tolist():
                    number = first + (state & 1)
                    symbol = int(self._run(number, 1)[0])
                    if abs(symbol) > trellis.SYMBOL_MAX:
                        raise CorruptFileError("a dependent symbol is larger than any encoder writes")
                    symbols[place], numbers[place] = symbol, number
                    state = trellis.NEXT[state][symbol & 1]
        return symbols, numbers

    def _run(self, number: int, count: int) -> Symbols:
        """So many symbols of one table, their escapes behind all of them."""
        tail = int(self._tables.tail[number])
        values = np.asarray(self._coder.decode(self._tables.models[number], count), np.int32) - tail
        for position in np.flatnonzero(values == tail + 1):
            values[position] = self._escape(tail)
        return values

    def _escape(self, tail: int) -> int:
        uniform = stream().model.Uniform(2)
        length = 1
        while not self._coder.decode(uniform, 1)[0]:
            length += 1
            if length > _GAMMA_MAX_BITS:
                raise CorruptFileError("an escaped symbol is longer than any encoder writes")
        excess = 1
        for bit in self._coder.decode(uniform, length - 1) if length > 1 else ():
            excess = excess << 1 | int(bit)
        magnitude = tail + excess
        if magnitude > SYMBOL_MAX:
            raise CorruptFileError("an escaped symbol is larger than any encoder writes")
        return -magnitude if self._coder.decode(uniform, 1)[0] else magnitude


@contextmanager
def _invalid() -> Iterator[None]:
    """What the coder raises of invalid data, as an error of the file."""
    try:
        yield
    except (ValueError, AssertionError) as exc:
        raise CorruptFileError(f"the entropy coder ran into invalid data ({exc})") from exc


def encode_many(tables: Tables, batches: Sequence[tuple[Symbols, Indices]]) -> list[bytes]:
    """Streams of P pictures at once: what one `Encoder` for each would write, in a fraction of the time.

    batches: symbols and scale indices, both (P, K), in the order an `Encoder` would be given them.
    """
    prepared = []
    for symbols, indices in batches:
        order = np.argsort(indices, axis=1, kind="stable")
        index = np.take_along_axis(indices, order, axis=1)
        value = np.take_along_axis(symbols, order, axis=1)
        tail = tables.tail[index]
        plain: NDArray[np.bool_] = np.all(np.abs(value) <= tail, axis=1)
        last = np.ones(index.shape, bool)
        last[:, :-1] = index[:, 1:] != index[:, :-1]
        prepared.append((plain, (value + tail).astype(np.int32), index, last))
    streams = []
    for p in range(len(batches[0][0])):
        encoder = Encoder(tables)
        for (symbols, indices), (plain, coded, index, last) in zip(batches, prepared, strict=True):
            if plain[p]:
                encoder.runs(coded[p], index[p], np.flatnonzero(last[p]) + 1)
            else:
                encoder.encode(symbols[p], indices[p])
        streams.append(encoder.finish())
    return streams
