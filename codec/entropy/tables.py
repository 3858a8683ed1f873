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


@dataclass(frozen=True, slots=True)
class Tables:
    """One frequency table per scale index; `tail[i]` is T, the largest symbol table i holds."""

    models: Models
    tail: NDArray[np.int32]
    bits: NDArray[np.float64]  # (64, widest): cost of each entry, the escape last, then padding

    @classmethod
    def of(cls, frequencies: NDArray[np.generic], tail: NDArray[np.generic]) -> Tables:
        """frequencies: all tables one after the other, 2*T + 2 entries each (-T..T, escape); tail (64,)."""
        flat = np.asarray(frequencies, np.int64)
        tails = np.asarray(tail, np.int32)
        if len(tails) != SCALES or len(flat) != int((2 * tails.astype(np.int64) + 2).sum()):
            raise ModelError("the frequency tables do not fit their tails")
        models, start = [], 0
        bits = np.full((SCALES, 2 * int(tails.max(initial=0)) + 2), np.inf)
        for i, t in enumerate(tails):
            table = flat[start : start + 2 * int(t) + 2]
            start += len(table)
            if not 0 <= t <= SYMBOL_MAX or table.min() < 1 or table.sum() != 1 << PRECISION:
                raise ModelError("a frequency table does not sum to 2^24")
            models.append(table)
            bits[i, : len(table)] = PRECISION - np.log2(table)
        return cls(Models(models), tails, bits)

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
