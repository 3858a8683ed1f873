"""Dependent quantisation: latents of large scales take one of two quantisers, by what was chosen before them.

Both are twice as coarse as the values they reach together: one has the even multiples of a fine step, the other zero
and the odd ones. A state tells which, and every symbol moves it on by its parity; so a decoder follows it, and an
encoder looks for the cheapest of all ways through (Viterbi). At equal rate errors are smaller, for in many dimensions
the values lie closer to how balls are packed. Trellis-coded
quantisation (Marcellin and Fischer 1990, doi:10.1109/26.46532) in the form of H.266, with eight states for its four.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.arithmetic import Array
from caecodec.entropy.fixed_point import ONE, SCALES, Indices
from caecodec.entropy.rounding import Unrounded, quantise
from caecodec.entropy.tables import Numbers, Symbols, Tables
from caecodec.stages import stage

STATES = 8
# the state after each, by a symbol's parity; odd states have quantiser 1
NEXT = ((0, 2), (5, 7), (1, 3), (6, 4), (2, 0), (4, 6), (3, 1), (7, 5))
SYMBOL_MAX = (1 << 14) - 1  # |symbol| of a dependent latent
# The most that bits count for on a path (`strength` in `rounding`): searches ask for more where a picture is busy, and
# a path that listened would lose what is there.
STRONGEST = 0.8
# of each state, the two states before it and the parities that lead here: (2, 8) both
_BEFORE, _ODD = np.array(
    [
        [(state, odd) for state in range(STATES) for odd in range(2) if NEXT[state][odd] == after]
        for after in range(STATES)
    ]
).T


def offsets(symbols: Symbols, numbers: Numbers, step: int) -> Array:
    """What symbols (K,) under tables of these numbers (K,) add to their means, fixed point. step: the fine one."""
    second = numbers & 1  # of those that are dependent
    fine = (2 * symbols - second * np.sign(symbols)) * float(step)
    return np.where(numbers < SCALES, symbols * float(ONE), fine)


@stage("rounding")
def choose(values: Unrounded, mean: Array, index: Indices, tables: Tables, step: int) -> tuple[Symbols, Numbers]:
    """Symbols (K,) of latents under mean and index (K,), and the numbers of the tables that they are coded with (K,).

    Latents of small scales are rounded each by itself. The others take the path of least bits and errors together.
    """
    symbols = quantise(values, mean, index, tables)
    numbers = index.copy()
    order = np.argsort(index, kind="stable")
    path = order[index[order] >= tables.dense]
    if not len(path):
        return symbols, numbers
    residual = (values.target[path] - mean[path]) * (1 / ONE)
    low, costs = _candidates(residual, *_worth(values, path), index[path], tables, step)
    second, odd = _best(costs)
    size = low[second, np.arange(len(path))]
    size += (size ^ odd) & 1
    symbols[path] = np.where(residual < 0, -size, size)
    numbers[path] = tables.number(index[path], second)
    return symbols, numbers


def _worth(values: Unrounded, path: NDArray[np.intp]) -> tuple[Array, Array]:
    """Weight and strength along the path, (K,); without a weight bits are worth nothing."""
    if values.weight is None:
        return np.ones(len(path)), np.zeros(len(path))
    strength = np.broadcast_to(np.asarray(values.strength, np.float32), values.target.shape)[path].astype(np.float64)
    return values.weight[path].astype(np.float64), np.minimum(strength, STRONGEST)


def _candidates(
    residual: Array, weight: Array, strength: Array, index: Indices, tables: Tables, step: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The symbols on both sides of what is left (K,), of which one is odd.

    Returns the smaller sizes (2, K) by quantiser, and what symbols cost (2, 2, K) by quantiser and parity.
    """
    size, sign = np.abs(residual), np.where(residual < 0, -1, 1)
    low = np.empty((2, len(size)), np.int64)
    costs = np.empty((2, 2, len(size)))
    for second in range(2):
        low[second] = np.clip(np.floor((size * (ONE / step) + second) * 0.5), 0, SYMBOL_MAX - 1)
        numbers = tables.number(index, np.full(len(size), second))
        for more in range(2):
            symbol = low[second] + more
            error = size - (2 * symbol - second * (symbol > 0)) * (step / ONE)
            bits = tables.costs((sign * symbol).astype(np.int32), numbers)
            costs[second, symbol & 1, np.arange(len(size))] = error * error * weight + strength * bits
    return low, costs


def _best(costs: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Costs (2, 2, K) by quantiser and parity -> both of every symbol of the cheapest path, (K,) each."""
    ways = costs[_BEFORE & 1, _ODD].transpose(2, 0, 1)  # (K, 2, 8)
    total = np.full(STATES, np.inf)
    total[0] = 0.0
    came = np.empty((len(ways), STATES), np.int8)  # which of both ways leads to each state
    for place, (first, second) in enumerate(ways):
        by_first, by_second = total[_BEFORE[0]] + first, total[_BEFORE[1]] + second
        came[place] = by_second < by_first
        total = np.minimum(by_first, by_second)
    state = int(np.argmin(total))
    before, odd, path = _BEFORE.tolist(), _ODD.tolist(), []
    for way in reversed(came.tolist()):
        parity = odd[way[state]][state]
        state = before[way[state]][state]
        path.append((state & 1, parity))
    quantiser, parities = np.array(path[::-1], np.int64).T
    return quantiser, parities
