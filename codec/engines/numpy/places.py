"""Places of unpooling chosen for what they cost and what they do, in place of where maxima were. Encoders only.

Which of four places a value of the outer unpooling goes to decides 3x3 samples around it. So for every cell, one
channel and one of four interleaved sets of cells after the other, all four places are tried on the samples they reach,
and the one with the least bits + weight * squared error stays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caecodec.engines.numpy.layers import Float, Weights, unpool
from caecodec.errors import ModelError
from caecodec.pictures.picture import Pixels
from caecodec.tune import QUALITIES
from caecodec.zoo.file import Model

ROUNDS = 2
CELLS = 14  # of the outer unpooling, each way
CHANNELS, INNER = 8, 4
TOGETHER = 64  # pictures


class PlaceSearch:
    """Of one model of the kind `mnist` that says what errors are worth, in `search.place_weight`."""

    def __init__(self, model: Model) -> None:
        """Raises ModelError."""
        t = Weights(model.tensors)
        coded = model.tensors["turn_back.weight"].shape[1]
        self._turn_back = t.point("turn_back", coded, INNER)
        self._up2 = t.up("network.up2", INNER, CHANNELS, norm="network.norm3", relu=True)
        kernel = t.get("network.up1.weight", CHANNELS, 1, 3, 3)[:, 0]
        self._reach = np.zeros((CHANNELS, 4, 4, 4), np.float32)  # channel, place, samples around its cell
        for place in range(4):
            i, j = divmod(place, 2)
            self._reach[:, place, i : i + 3, j : j + 3] = kernel
        self._bias = t.get("network.up1.bias", 1)
        self._tables = {name: t.get(f"float.{name}", QUALITIES, coded) for name in ("offset", "gain_out")}
        self._weight = t.get("search.place_weight", QUALITIES)
        if not (np.isfinite(self._weight).all() and (self._weight >= 0).all()):
            raise ModelError("table search.place_weight is malformed")

    def choose(
        self, symbols: NDArray[np.int32], places: NDArray[np.uint8], pixels: Pixels, bits: Float, quality: int
    ) -> NDArray[np.uint8]:
        """symbols (P, 7, 7, C), places (P, K) of maxima, pixels (P, 28, 28, 1) -> places (P, K).

        bits: of each place in each cell, (K, 4).
        """
        found = places.copy()
        count = CELLS * CELLS * CHANNELS
        for start in range(0, len(symbols), TOGETHER):
            some = slice(start, start + TOGETHER)
            outer = found[some, :count].reshape(-1, CELLS, CELLS, CHANNELS)
            inner = found[some, count:].reshape(-1, CELLS // 2, CELLS // 2, INNER)
            row = {name: table[quality - 1] for name, table in self._tables.items()}
            y = self._turn_back((symbols[some].astype(np.float32) + row["offset"]) * row["gain_out"])
            values = self._up2(unpool(y, inner))
            x = pixels[some, ..., 0].astype(np.float32) / np.float32(255)
            self._settle(
                outer, values, x, bits[:count].reshape(CELLS, CELLS, CHANNELS, 4), float(self._weight[quality - 1])
            )
            found[some, :count] = outer.reshape(len(outer), -1)
        return found

    def _settle(self, places: NDArray[np.uint8], values: Float, x: Float, bits: Float, weight: float) -> None:
        """Move places (P, 14, 14, 8) to where they cost least."""
        one_more = ((0, 0), (1, 1), (1, 1))  # a sample beyond each edge, which nothing counts
        inside = np.pad(np.ones((1, 2 * CELLS, 2 * CELLS), np.float32), one_more)
        x = np.pad(x, one_more)
        canvas = np.pad(np.full((len(x), 2 * CELLS, 2 * CELLS), self._bias, np.float32), one_more)
        sets = [(i, j) for i in (0, 1) for j in (0, 1)]
        for channel in range(CHANNELS):
            for i, j in sets:
                value, place = values[:, i::2, j::2, channel], places[:, i::2, j::2, channel]
                _around(canvas, i, j)[...] += value[..., None, None] * self._reach[channel][place]
        for channel in [c for _ in range(ROUNDS) for c in range(CHANNELS)]:
            reach = self._reach[channel]
            for i, j in sets:
                samples = _around(canvas, i, j)
                value = values[:, i::2, j::2, channel, None, None]
                rest = samples - value * reach[places[:, i::2, j::2, channel]]
                wanted, counted = _around(x, i, j), _around(inside, i, j)
                cost = np.empty((*rest.shape[:3], 4), np.float32)
                for one in range(4):
                    made = np.float32(0.5) * np.tanh(np.float32(0.5) * (rest + value * reach[one])) + np.float32(0.5)
                    error = (np.square(made - wanted) * counted).sum((-2, -1))
                    cost[..., one] = weight * error + bits[i::2, j::2, channel, one]
                best = cost.argmin(-1).astype(np.uint8)
                places[:, i::2, j::2, channel] = best
                samples[...] = rest + value * reach[best]


def _around(canvas: Float, i: int, j: int) -> Float:
    """Samples (P, 30, 30) -> a view (P, 7, 7, 4, 4): what cells of every second row from i, column from j reach."""
    part = canvas[:, 2 * i : 2 * i + 2 * CELLS, 2 * j : 2 * j + 2 * CELLS]
    p, row, column = part.strides
    shape = (len(part), CELLS // 2, CELLS // 2, 4, 4)
    view: Float = np.lib.stride_tricks.as_strided(part, shape, (p, 4 * row, 4 * column, row, column))
    return view
