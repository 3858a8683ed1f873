"""Float weights and probabilities -> the integers of a weights file."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, arange, float64

from caecodec.entropy.fixed_point import FRACTION_BITS, PRECISION, SCALES
from caecodec.models.networks.rate_model import scale_of_index

Tensors = dict[str, NDArray[np.generic]]

WEIGHT_BITS = 14  # magnitude of the largest integer weight of a layer: below 2^14
TAIL_MASS = 2.0**-20  # of each table, left to the escape


def integer_layer(weight: NDArray[np.float64], bias: NDArray[np.float64], name: str) -> Tensors:
    """Float weight (in, out) and bias (out,) -> integer tensors of `caecodec.entropy.fixed_point.Layer`."""
    largest = float(np.abs(weight).max()) or 1.0
    shift = int(np.clip(math.floor(math.log2((2**WEIGHT_BITS - 1) / largest)), 0, 24))
    integers = np.floor(weight * 2.0**shift + 0.5)
    if np.abs(integers).max() >= 2**15:
        raise ValueError(f"{name}: a weight of {largest} is too large for the integer network")
    biases = np.floor(bias * 2.0 ** (shift + FRACTION_BITS) + 0.5)
    return {
        f"{name}.weight": integers.astype(np.int16),
        f"{name}.bias": biases.astype(np.int64),
        f"{name}.shift": np.array([shift], np.int32),
    }


def as_numpy(x: Tensor) -> NDArray[np.float64]:
    """A tensor of any type and device as float64."""
    array: NDArray[np.float64] = x.detach().cpu().double().numpy()
    return array


def fixed(x: NDArray[np.float64], bits: int) -> NDArray[np.int32]:
    """Real numbers -> fixed point with so many fraction bits."""
    return np.floor(x * 2.0**bits + 0.5).astype(np.int32)


def integer_table(probabilities: NDArray[np.float64]) -> NDArray[np.int32]:
    """Probabilities -> frequencies of at least 1 that sum to 2^24; the rounding error goes to the largest."""
    free = (1 << PRECISION) - len(probabilities)
    frequencies = 1 + np.floor(probabilities / probabilities.sum() * free).astype(np.int64)
    frequencies[np.argmax(frequencies)] += (1 << PRECISION) - frequencies.sum()
    table: NDArray[np.int32] = frequencies.astype(np.int32)
    return table


def gaussian_tables() -> Tensors:
    """Frequency tables of the discretised Gaussian at each scale, and their tails."""
    tails, tables = [], []
    for scale in scale_of_index(arange(SCALES, dtype=float64)).tolist():

        def mass(low: float, s: float = scale) -> float:  # upper tail: N(0, s) > low
            return 0.5 * math.erfc(low / s / math.sqrt(2))

        tail = next(t for t in range(1, 4096) if 2 * mass(t + 0.5) < TAIL_MASS)
        half = [mass(k - 0.5) - mass(k + 0.5) for k in range(tail + 1)]
        probabilities = np.array(half[:0:-1] + half + [2 * mass(tail + 0.5)])
        tails.append(tail)
        tables.append(integer_table(probabilities))
    return {"table.frequencies": np.concatenate(tables), "table.tail": np.array(tails, np.int32)}
