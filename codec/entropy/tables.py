"""Probabilities of symbols, as constriction's coder takes them.

Every scale index has one integer frequency table over the symbols -T..T and an escape; frequencies are at least 1 and
sum to 2^24. constriction turns probabilities p_i into frequencies floor(cumulative(p) * s) + i with
s = (2^24 - count) / sum(p); handed p_i = frequency_i - 1 the scale s is exactly 1 and its frequencies are exactly ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.coder import Models
from caecodec.entropy.fixed_point import PRECISION, SCALES, SYMBOL_MAX, Indices
from caecodec.errors import ModelError

Symbols = NDArray[np.int32]
Numbers = NDArray[np.uint8]  # of tables


@dataclass(frozen=True, slots=True)
class Tables:
    """One frequency table per scale index; `tail[i]` is T, the largest symbol table i holds.

    Behind these, in models that quantise dependently, are two tables for each of the largest scale indices, one of
    either quantiser (`caecodec.entropy.trellis`). What is called an index below may be the number of any table.
    """

    models: Models
    tail: NDArray[np.int32]
    bits: NDArray[np.float64]  # (tables, widest): cost of each entry, the escape last, then padding

    @classmethod
    def of(cls, frequencies: NDArray[np.generic], tail: NDArray[np.generic]) -> Tables:
        """frequencies: all tables one after the other, 2*T + 2 entries each (-T..T, escape); tail (tables,)."""
        flat = np.asarray(frequencies, np.int64)
        tails = np.asarray(tail, np.int32)
        more = len(tails) - SCALES
        if more % 2 or not 0 <= more <= 2 * SCALES or len(flat) != int((2 * tails.astype(np.int64) + 2).sum()):
            raise ModelError("the frequency tables do not fit their tails")
        models, start = [], 0
        bits = np.full((len(tails), 2 * int(tails.max(initial=0)) + 2), np.inf)
        for i, t in enumerate(tails):
            table = flat[start : start + 2 * int(t) + 2]
            start += len(table)
            if not 0 <= t <= SYMBOL_MAX or table.min() < 1 or table.sum() != 1 << PRECISION:
                raise ModelError("a frequency table does not sum to 2^24")
            models.append(table)
            bits[i, : len(table)] = PRECISION - _log2(table)
        return cls(Models(models), tails, bits)

    @property
    def are_dependent(self) -> bool:
        """Whether some are for dependent quantisation, which photographs alone may have."""
        return len(self.tail) > SCALES

    @property
    def dense(self) -> int:
        """The least scale index that has tables for dependent quantisation; 64 where none has."""
        return SCALES - (len(self.tail) - SCALES) // 2

    def number(self, index: Indices, second: NDArray[np.integer]) -> Numbers:
        """The tables of scale indices (K,), all dense, by the quantiser, 0 or 1 (K,)."""
        return (SCALES + 2 * (index.astype(np.int64) - self.dense) + second).astype(np.uint8)

    def index(self, number: Numbers) -> Indices:
        """The scale indices of tables."""
        dependent = self.dense + (number.astype(np.int64) - SCALES) // 2
        return np.where(number < SCALES, number, dependent).astype(np.uint8)

    def cost(self, symbols: Symbols, indices: Indices) -> float:
        """Bits that `symbols` (any shape) take; a stream is longer by a byte at most, and 2e-5 bytes a symbol."""
        return float(self.costs(symbols, indices).sum())

    def costs(self, symbols: Symbols, indices: Indices) -> NDArray[np.float64]:
        """Bits that each of `symbols` (any shape) takes, (K,)."""
        flat, index = symbols.ravel(), indices.ravel()
        tail = self.tail[index]
        inside = np.abs(flat) <= tail
        each: NDArray[np.float64] = self.bits[index, np.where(inside, flat + tail, 2 * tail + 1)]
        outside = np.flatnonzero(~inside)
        if len(outside):
            escaped = np.abs(flat[outside].astype(np.int64)) - tail[outside]
            each[outside] += 2 * np.floor(np.log2(escaped)) + 2
        return each

    def shrink_saves(self, symbols: Symbols, indices: Indices) -> NDArray[np.float64]:
        """Bits saved by moving each symbol one towards zero; 0 for zeros and escapes. Both (K,) -> (K,)."""
        tail = self.tail[indices]
        possible = (symbols != 0) & (np.abs(symbols) <= tail)
        place = np.where(possible, symbols + tail, 0)
        return np.where(possible, self.bits[indices, place] - self.bits[indices, place - np.sign(symbols)], 0.0)


def _log2(x: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of integers from 1, the same to the last bit as the core's, for encoders decide by it (`core/tables.c`)."""
    mantissa, exponent = np.frexp(x.astype(np.float64))  # 1/2 to 1
    mantissa, exponent = 2 * mantissa, exponent - 1
    large = mantissa > 1.4142135623730951
    mantissa, exponent = np.where(large, mantissa / 2, mantissa), exponent + large
    s = (mantissa - 1) / (mantissa + 1)
    square, total = s * s, np.zeros(len(x))
    for k in range(25, 0, -2):
        total = total * square + 1.0 / k
    found: NDArray[np.float64] = exponent + 2.8853900817779268 * (s * total)
    return found
