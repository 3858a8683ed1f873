"""What a walk over latents does with each batch of symbols: write, read, count or measure it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.arithmetic import Array
from caecodec.entropy.fixed_point import Indices
from caecodec.entropy.range_coder import Decoder, Encoder
from caecodec.entropy.rounding import Unrounded, quantise
from caecodec.entropy.tables import Symbols, Tables


class SymbolCoder(Protocol):
    """Writes, reads or only counts one batch of symbols."""

    def __call__(self, mean: Array, index: Indices, values: Unrounded | None) -> Symbols:
        """mean, index and (when encoding) what is to be quantised, all (K,) -> symbols (K,)."""


class _Choosing(ABC):
    """Quantises, and takes note of the symbols."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def __call__(self, mean: Array, index: Indices, values: Unrounded | None) -> Symbols:
        assert values is not None
        symbols = quantise(values, mean, index, self.tables)
        self.take(symbols, index)
        return symbols

    @abstractmethod
    def take(self, symbols: Symbols, index: Indices) -> None:
        """One batch, (K,) both."""


class Writer(_Choosing):
    """Into a range encoder."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self._encoder = Encoder(tables)

    def take(self, symbols: Symbols, index: Indices) -> None:
        self._encoder.encode(symbols, index)

    def finish(self) -> bytes:
        """The stream."""
        return self._encoder.finish()


class Counter(_Choosing):
    """Adds up what all symbols cost, in bits."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.bits = 0.0

    def take(self, symbols: Symbols, index: Indices) -> None:
        self.bits += self.tables.cost(symbols, index)


class Tally(_Choosing):
    """Counts how often every entry of every table is used: (64, widest), laid out as `Tables.bits`."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.counts: NDArray[np.int64] = np.zeros(tables.bits.shape, np.int64)

    def take(self, symbols: Symbols, index: Indices) -> None:
        tail = self.tables.tail[index]
        entry = np.where(np.abs(symbols) <= tail, symbols + tail, 2 * tail + 1)
        place = index.astype(np.int64) * self.counts.shape[1] + entry
        self.counts += np.bincount(place, minlength=self.counts.size).reshape(self.counts.shape)


class Reader:
    """Out of a range decoder."""

    def __init__(self, tables: Tables, data: bytes) -> None:
        self.tables, self._decoder = tables, Decoder(tables, data)

    def __call__(self, mean: Array, index: Indices, values: Unrounded | None) -> Symbols:
        return self._decoder.decode(index)


class Meter(Reader):
    """Reads, and keeps what every symbol costs in bits, one array a batch."""

    def __init__(self, tables: Tables, data: bytes) -> None:
        super().__init__(tables, data)
        self.bits = list[NDArray[np.float64]]()

    def __call__(self, mean: Array, index: Indices, values: Unrounded | None) -> Symbols:
        symbols = super().__call__(mean, index, values)
        self.bits.append(self.tables.costs(symbols, index))
        return symbols
