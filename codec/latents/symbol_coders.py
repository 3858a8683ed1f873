"""What a walk over latents does with each batch of symbols: write, read, count or measure it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy import trellis
from caecodec.entropy.arithmetic import Array
from caecodec.entropy.fixed_point import ONE, Indices
from caecodec.entropy.range_coder import Decoder, Encoder
from caecodec.entropy.rounding import Unrounded, quantise
from caecodec.entropy.tables import Numbers, Symbols, Tables


def whole_steps(symbols: Symbols) -> Array:
    """What plain symbols (K,) add to their means, fixed point."""
    return symbols.astype(np.float64) * ONE


class SymbolCoder(Protocol):
    """Writes, reads or only counts one batch of symbols."""

    def __call__(self, mean: Array, index: Indices, values: Unrounded | None, step: int | None) -> Array:
        """mean, index and (when encoding) what is to be quantised, all (K,) -> what symbols add to their means (K,).

        step: the fine one of dependent quantisation (`caecodec.entropy.trellis`), fixed point; None has plain symbols.
        """


class _Choosing(ABC):
    """Quantises, and takes note of the symbols."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def __call__(self, mean: Array, index: Indices, values: Unrounded | None, step: int | None) -> Array:
        assert values is not None
        if step is None:
            symbols = quantise(values, mean, index, self.tables)
            self.take(symbols, index)
            return whole_steps(symbols)
        symbols, numbers = trellis.choose(values, mean, index, self.tables, step)
        self.take(symbols, numbers)
        return trellis.offsets(symbols, numbers, step)

    @abstractmethod
    def take(self, symbols: Symbols, numbers: Numbers) -> None:
        """One batch under tables of these numbers, (K,) both."""


class Writer(_Choosing):
    """Into a range encoder."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self._encoder = Encoder(tables)

    def take(self, symbols: Symbols, numbers: Numbers) -> None:
        self._encoder.encode(symbols, numbers)

    def finish(self) -> bytes:
        """The stream."""
        return self._encoder.finish()


class Counter(_Choosing):
    """Adds up what all symbols cost, in bits."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.bits = 0.0

    def take(self, symbols: Symbols, numbers: Numbers) -> None:
        self.bits += self.tables.cost(symbols, numbers)


class Tally(_Choosing):
    """Counts how often every entry of every table is used, laid out as `Tables.bits`."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.counts: NDArray[np.int64] = np.zeros(tables.bits.shape, np.int64)

    def take(self, symbols: Symbols, numbers: Numbers) -> None:
        tail = self.tables.tail[numbers]
        entry = np.where(np.abs(symbols) <= tail, symbols + tail, 2 * tail + 1)
        place = numbers.astype(np.int64) * self.counts.shape[1] + entry
        self.counts += np.bincount(place, minlength=self.counts.size).reshape(self.counts.shape)


class Reader:
    """Out of a range decoder."""

    def __init__(self, tables: Tables, data: bytes) -> None:
        self.tables, self._decoder = tables, Decoder(tables, data)

    def __call__(self, mean: Array, index: Indices, values: Unrounded | None, step: int | None) -> Array:
        if step is None:
            symbols = self._decoder.decode(index)
            self.took(symbols, index)
            return whole_steps(symbols)
        symbols, numbers = self._decoder.decode_dependent(index)
        self.took(symbols, numbers)
        return trellis.offsets(symbols, numbers, step)

    def took(self, symbols: Symbols, numbers: Numbers) -> None:
        """One batch that was read under tables of these numbers, (K,) both."""


class Meter(Reader):
    """Reads, and keeps what every symbol costs in bits, one array a batch."""

    def __init__(self, tables: Tables, data: bytes) -> None:
        super().__init__(tables, data)
        self.bits = list[NDArray[np.float64]]()

    def took(self, symbols: Symbols, numbers: Numbers) -> None:
        self.bits.append(self.tables.costs(symbols, numbers))
