"""constriction's range coder in plain Python, for where it has no wheel: 64-bit state, words of 32, frequencies of 24.

The same bytes, held by tests, at under a million symbols a second. Classes and methods are named as in
`constriction.stream`, so that `caecodec.entropy.coder.stream` gives one or the other.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

_WORD = 1 << 32
_STATE = 1 << 64
_PRECISION = 24


class Categorical:
    """Where each entry of a table begins among 2^24, and the end."""

    def __init__(self, less: NDArray[np.float64], perfect: bool) -> None:
        """less (K,): frequencies less one, which add up to 2^24 - K; constriction gives one back to every entry."""
        assert not perfect
        self.starts: list[int] = [0, *accumulate(int(f) + 1 for f in less)]


class Uniform:
    """As many equally likely entries, a power of two."""

    def __init__(self, size: int) -> None:
        self.starts = list(range(0, (1 << _PRECISION) + 1, (1 << _PRECISION) // size))


class RangeEncoder:
    """Words written, and what lies beyond them: any number in [lower, lower + range)."""

    def __init__(self) -> None:
        self._words: list[int] = []
        self._lower, self._range = 0, _STATE - 1

    def encode(self, symbols: NDArray[np.int32], model: Categorical | Uniform) -> None:
        """Append entries (K,) of one table."""
        starts, lower, span, words = model.starts, self._lower, self._range, self._words
        for symbol in symbols.tolist():
            unit, start = span >> _PRECISION, starts[symbol]
            lower += unit * start
            span = unit * (starts[symbol + 1] - start)
            if lower >= _STATE:
                lower -= _STATE
                _carry(words)
            if span < _WORD:
                words.append(lower >> 32)
                lower, span = lower << 32 & _STATE - 1, span << 32
        self._lower, self._range = lower, span

    def pos(self) -> tuple[int, tuple[int, int]]:
        """Words written; lower and range."""
        return len(self._words), (self._lower, self._range)

    def get_compressed(self) -> NDArray[np.uint32]:
        """The words, and one or two more that name a number of the state whatever follows them."""
        words, last = list(self._words), self._lower + _WORD - 1
        if self._range < _STATE - 1 or words:
            if last >= _STATE:
                _carry(words)
            words.append(last >> 32 & _WORD - 1)
            if (self._lower + self._range) >> 32 == last >> 32:
                words.append(0)
        return np.array(words, np.uint32)


def _carry(words: list[int]) -> None:
    at = len(words) - 1
    while words[at] == _WORD - 1:
        words[at] = 0
        at -= 1
    words[at] += 1


class RangeDecoder:
    """Reads what `RangeEncoder` wrote; zeros follow its words."""

    def __init__(self, words: NDArray[np.uint32]) -> None:
        self._words: list[int] = words.tolist()
        first, second = [*self._words, 0, 0][:2]
        self._at = 2
        self._beyond, self._range = first << 32 | second, _STATE - 1  # the number read, less the encoder's `lower`

    def decode(self, model: Categorical | Uniform, count: int) -> NDArray[np.int32]:
        """The next entries (count,) of one table. Raises ValueError for what no encoder wrote."""
        starts, beyond, span, words, at = model.starts, self._beyond, self._range, self._words, self._at
        found = []
        for _ in range(count):
            unit = span >> _PRECISION
            quantile = beyond // unit
            if quantile >> _PRECISION:
                raise ValueError("no symbol has this code")
            symbol = bisect_right(starts, quantile) - 1
            start = starts[symbol]
            beyond -= unit * start
            span = unit * (starts[symbol + 1] - start)
            if span < _WORD:
                beyond = beyond << 32 | (words[at] if at < len(words) else 0)
                span <<= 32
                at += 1
            found.append(symbol)
        self._beyond, self._range, self._at = beyond, span, at
        return np.array(found, np.int32)


def module() -> SimpleNamespace:
    """What stands for `constriction.stream`."""
    queue = SimpleNamespace(RangeEncoder=RangeEncoder, RangeDecoder=RangeDecoder)
    return SimpleNamespace(queue=queue, model=SimpleNamespace(Categorical=Categorical, Uniform=Uniform))
