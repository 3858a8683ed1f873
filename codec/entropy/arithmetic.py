"""What the integer networks are computed with: exact sums of integers carried in float64, on numpy or on torch.

Both give the same bits: no sum can leave what float64 holds exactly (`fixed_point`), so order does not matter. numpy
needs nothing else. torch is faster, and its threads are those of its float networks: with two pools of threads on the
same cores, the one that has just finished keeps a core busy waiting while the other needs it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


class Arithmetic:
    """On numpy. Arrays are C-contiguous float64, except where strides are said to be free."""

    def product(self, x: Array, weight: Array, bias: Array) -> Array:
        """x (K, in), weight (in, out), bias (out,) -> x @ weight + bias (K, out), a new array."""
        acc: Array = x @ weight
        acc += bias
        return acc

    def settle(self, acc: Array, low: float, high: float) -> Array:
        """floor, then clamped to low..high; in place."""
        np.floor(acc, out=acc)
        return np.clip(acc, low, high, out=acc)

    def depthwise(self, x: Array, weight: Array, bias: Array) -> Array:
        """x (h, w, C), weight (9, C) by tap in raster order, bias (C,) -> (h, w, C), zeros beyond the edge."""
        h, w, c = x.shape
        padded = np.zeros((h + 2, w + 2, c))
        padded[1:-1, 1:-1] = x
        acc = np.empty((h, w, c))
        acc[:] = bias
        product = np.empty((w, c))
        for row in range(h):  # a row at a time stays in the cache
            for tap in range(9):
                i, j = divmod(tap, 3)
                np.multiply(padded[row + i, j : j + w], weight[tap], out=product)
                acc[row] += product
        return acc

    def add(self, x: Array, more: Array, limit: float) -> Array:
        """x + more, clamped to +-limit; a new array."""
        return np.clip(x + more, -limit, limit)

    def halve(self, x: Array, times: int, limit: float) -> Array:
        """x / 2^times, rounded half up and clamped to +-limit: x (..., C) with free strides; a new array."""
        out = x * 2.0**-times
        out += 0.5
        return self.settle(out, -limit, limit)


def times(x: NDArray[np.floating | np.integer], table: Integers, shift: Integers, limit: float) -> Array:
    """(x * table + 2^(shift - 1)) >> shift, clamped to +-limit: x (..., C) integers, table and shift (C,).

    In 64-bit integers: products leave what float64 holds exactly.
    """
    acc = x.astype(np.int64)
    acc *= table
    acc += np.int64(1) << (shift - 1)
    acc >>= shift
    return np.clip(acc, -int(limit), int(limit), out=acc).astype(np.float64)


NUMPY = Arithmetic()
