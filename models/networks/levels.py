"""Levels: where a model codes between its lowest rate, 0, and its highest, 1; what lambda and step that stands for."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from caecodec.tune import QUALITIES

Level = TypeVar("Level", float, Tensor)
Values = TypeVar("Values", NDArray[np.float64], Tensor)


class LambdaRange:
    """A configuration whose levels go from `lambda_min` to `lambda_max`, log-linear.

    lambda is what a model pays for a squared error, 255^2 * MSE, in bits per pixel.
    """

    __slots__ = ()

    lambda_min: float
    lambda_max: float

    def require_range(self) -> None:
        """Raise ValueError where the two are not a range."""
        if not 0 < self.lambda_min < self.lambda_max:
            raise ValueError("lambda_min must be above 0 and below lambda_max")

    def lambda_at(self, level: Level) -> Level:
        """lambda at levels 0..1, of any shape."""
        lam: Level = self.lambda_min * (self.lambda_max / self.lambda_min) ** level
        return lam

    def level_of(self, lam: float) -> float:
        """The level that has this lambda; beyond 0..1 for one out of the range."""
        return math.log(lam / self.lambda_min) / math.log(self.lambda_max / self.lambda_min)

    def first_log_gain(self, level: float) -> float:
        """Logarithm of the gain that a fresh model starts with at a level.

        A rule of thumb that lands near the optimal quantiser step, of pixels in 0..1: step^2 = 26 / lambda / 255^2.
        """
        return -0.5 * math.log(26 / self.lambda_at(level) / 255**2)


def even_levels() -> NDArray[np.float64]:
    """Levels (100,) of qualities 1..100, evenly spaced."""
    return (np.arange(1, QUALITIES + 1) - 1) / (QUALITIES - 1)


def error_weight(lam: float | Values, power: Values, squared_gain: Values) -> Values:
    """Bits that an error of one quantiser step, squared, is worth in each channel of y; shapes broadcast.

    lam: as `LambdaRange` has it; power: of each channel in the picture, the sum of squares of its column in the linear
    branch of g_s, whose columns are nearly orthogonal; squared_gain: of what the decoder multiplies symbols by.
    """
    return lam * (255**2 / 3) * power * squared_gain
