"""Layers in fixed point, of which all networks of a decoder are built: the same integers on every machine.

A float network gives slightly other numbers on another CPU, thread count or library; a decoder that follows it picks
another probability and the rest of the picture is noise. So everything is computed in integers: activations of 14 bits
with sign, weights of 16, sums of 32 (FORMAT.md, 7.4 and 8). A native core computes in just these. Here they are carried
in float64, in which every product and every partial sum is exact and addition is associative: BLAS may sum in any
order. That no sum can leave 32 bits is proven from the weights in `Layer.of`, whenever a model is loaded.

A weight matrix is integers W * 2^-shift, a layer is floor(x W 2^-shift + b), with the half that rounds in b. Scaling by
a power of two does not round, so layers carry W * 2^-shift in place of W.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from caecodec.entropy.arithmetic import NUMPY, Arithmetic, Array, Integers, times
from caecodec.errors import ModelError
from caecodec.tune import QUALITIES

Tensors = Mapping[str, NDArray[np.generic]]
Indices = NDArray[np.uint8]  # scale indices; bytes, so that sorting by them is a radix sort
FRACTION_BITS = 10  # of means, y_hat and z_hat, and of scale indices
ONE = 1 << FRACTION_BITS
ACTIVATION = 8191.0  # |what a layer reads|
STREAM = float(1 << 26)  # |what blocks add to|
SAMPLE = 255.0  # |what g_a reads|
SAMPLE_BITS = 12  # fraction bits of samples before they are rounded
MODULATION_BITS = 7  # of g_s's features
SUM = float((1 << 31) - (1 << 27))  # every sum of a layer stays below, so that a stream may be added
OUTPUT = float(1 << 30)  # sums of two layers stay below
TABLE = float(1 << 26)  # |what tables add|
MULTIPLIER = float(1 << 30)
SYMBOL_MAX = (1 << 15) - 1  # |symbol|
MEAN_MAX = float(1 << 25)  # |mean| of a symbol, fixed point
MOST_NARROW = 15
SCALES = 64
PRECISION = 24  # bits of a frequency table


@dataclass(frozen=True, slots=True)
class Layer:
    """floor(x @ weight + bias), `bias` with the rounding half included.

    weight (in, out) and bias (out,) are multiples of 2^-shift. For a depthwise 3x3, weight is (9, channels), taps in
    raster order. narrow: by how many bits a stream is narrowed before it is read; None reads none.
    """

    weight: Array
    bias: Array
    shift: int
    narrow: int | None = None
    depthwise: bool = False
    arithmetic: Arithmetic = NUMPY

    @classmethod
    def of(cls, tensors: Tensors, name: str, arithmetic: Arithmetic = NUMPY, reads: float = ACTIVATION) -> Layer:
        """From integer tensors NAME.weight (in, out) or (9, channels), NAME.bias, NAME.shift and perhaps NAME.narrow.

        reads: the largest input. Raises ModelError where tensors are malformed or a sum could leave 32 bits.
        """
        weight, bias = (tensors[f"{name}.{part}"] for part in ("weight", "bias"))
        shift = integer(tensors, f"{name}.shift", 30)
        narrow = integer(tensors, f"{name}.narrow", MOST_NARROW) if f"{name}.narrow" in tensors else None
        depthwise = name.endswith("depthwise")
        kinds = weight.dtype == np.int16 and bias.dtype == np.int32
        fits = weight.ndim == 2 and bias.shape == weight.shape[1:] and (len(weight) == 9 or not depthwise)
        if not kinds or not fits:
            raise ModelError(f"layer {name} is malformed")
        unit = 2.0**-shift
        exact = np.ascontiguousarray(weight.astype(np.float64) * unit)
        layer = cls(exact, bias.astype(np.float64) * unit, shift, narrow, depthwise, arithmetic)
        if layer.largest_sum(reads) >= SUM:
            raise ModelError(f"a sum of layer {name} could leave 32 bits: it cannot be exact")
        return layer

    def largest_sum(self, reads: float = ACTIVATION) -> float:
        """What no sum of integers can exceed in magnitude, for inputs up to `reads`."""
        most = np.abs(self.weight).sum(axis=0) * reads + np.abs(self.bias)
        return float(most.max(initial=0.0)) * 2.0**self.shift

    def largest_output(self, reads: float = ACTIVATION) -> int:
        """The same sum, shifted."""
        return math.floor(self.largest_sum(reads) * 2.0**-self.shift)

    def read(self, stream: Array) -> Array:
        """A stream as this layer takes it."""
        assert self.narrow is not None
        return self.arithmetic.halve(stream, self.narrow, ACTIVATION)

    def __call__(self, x: Array, low: float = -STREAM, high: float = STREAM) -> Array:
        """x (..., in) -> (..., out) clamped, integers in float64; for a depthwise layer x is (h, w, channels)."""
        arithmetic = self.arithmetic
        if self.depthwise:
            return arithmetic.settle(arithmetic.depthwise(x, self.weight, self.bias), low, high)
        # one flat product: numpy turns a stack of matrices into many small ones
        acc = arithmetic.product(np.ascontiguousarray(x).reshape(-1, x.shape[-1]), self.weight, self.bias)
        return arithmetic.settle(acc, low, high).reshape(*x.shape[:-1], -1)


@dataclass(frozen=True, slots=True)
class Block:
    """B(C) in integers, on a stream: 1x1, ReLU, depthwise 3x3, 1x1, added; 1x1, ReLU, 1x1, added."""

    mix_in: Layer
    depthwise: Layer
    mix_out: Layer
    expand: Layer
    project: Layer

    @classmethod
    def of(cls, tensors: Tensors, name: str, arithmetic: Arithmetic = NUMPY) -> Block:
        """From the tensors of its five layers. Raises ModelError."""
        block = cls(*(Layer.of(tensors, f"{name}.{part}", arithmetic) for part in cls.__slots__))
        width = block.mix_in.weight.shape[1]
        shapes = [(width, width), (9, width), (width, width), (width, 2 * width), (2 * width, width)]
        if [getattr(block, part).weight.shape for part in cls.__slots__] != shapes:
            raise ModelError(f"the layers of block {name} do not fit each other")
        if block.mix_in.narrow is None or block.expand.narrow is None:
            raise ModelError(f"block {name} does not say how it reads its stream")
        return block

    def __call__(self, r: Array) -> Array:
        """(h, w, C) -> (h, w, C)."""
        add = self.mix_in.arithmetic.add
        a = self.mix_in(self.mix_in.read(r), 0.0, ACTIVATION)
        a = self.depthwise(a, -ACTIVATION, ACTIVATION)
        r = add(r, self.mix_out(a), STREAM)
        return add(r, self.project(self.expand(self.expand.read(r), 0.0, ACTIVATION)), STREAM)


@dataclass(frozen=True, slots=True)
class Multiplier:
    """Factors of channels: table (C,) * 2^-shift (C,)."""

    table: Integers
    shift: Integers

    def __call__(self, x: NDArray[np.floating | np.integer], limit: float, channels: slice = slice(None)) -> Array:
        """x (..., C) integers -> x times the factors of some channels, rounded and clamped to +-limit."""
        return times(x, self.table[channels], self.shift[channels], limit)

    @classmethod
    def of(cls, tensors: Tensors, name: str) -> Multiplier:
        """From NAME (C,) and NAME.shift (C,). Raises ModelError."""
        table, shift = (np.asarray(tensors[key]) for key in (name, f"{name}.shift"))
        if table.ndim != 1 or not _multiplies(table, shift):
            raise ModelError(f"multiplier {name} is malformed")
        return cls(table.astype(np.int64), shift.astype(np.int64))


@dataclass(frozen=True, slots=True)
class Multipliers:
    """A `Multiplier` for each row of a model's tables."""

    tables: Integers  # (rows, C)
    shift: Integers

    @classmethod
    def of(cls, tensors: Tensors, name: str, width: int, rows: int = QUALITIES) -> Multipliers:
        """From NAME (rows, C) and NAME.shift (C,). Raises ModelError."""
        tables, shift = (np.asarray(tensors[key]) for key in (name, f"{name}.shift"))
        if tables.shape != (rows, width) or not _multiplies(tables, shift):
            raise ModelError(f"multiplier {name} is malformed")
        return cls(tables.astype(np.int64), shift.astype(np.int64))

    def at(self, quality: int) -> Multiplier:
        """At row 1 and above."""
        return Multiplier(self.tables[quality - 1], self.shift)


def _multiplies(table: NDArray[np.generic], shift: NDArray[np.generic]) -> bool:
    if not all(t.dtype == np.int32 for t in (table, shift)) or shift.shape != table.shape[-1:]:
        return False
    most = np.abs(table.astype(np.float64)).max(initial=0.0)
    shifts = shift.astype(np.int64)
    return bool(most <= MULTIPLIER and shifts.min(initial=1) >= 1 and shifts.max(initial=1) <= 60)


def rows_of(tensors: Tensors) -> int:
    """How many rows the tables of a model of photographs have: one for each quality, or two.

    Then the first hundred are for the eye, the others for PSNR (`caecodec.tune.row`). Raises ModelError.
    """
    shape = np.asarray(tensors["quality.to_u"]).shape
    if not shape or shape[0] not in (QUALITIES, 2 * QUALITIES):
        raise ModelError("table quality.to_u is malformed")
    return int(shape[0])


def integer(tensors: Tensors, name: str, largest: int) -> int:
    """A tensor of one number from 0 to `largest`. Raises ModelError."""
    tensor = np.asarray(tensors[name])
    if tensor.shape != (1,) or tensor.dtype != np.int32 or not 0 <= tensor.item() <= largest:
        raise ModelError(f"tensor {name} is malformed")
    return int(tensor.item())


def table(tensors: Tensors, name: str, shape: tuple[int, ...], largest: float, kind: DTypeLike = np.int32) -> Integers:
    """Integers of a shape, up to `largest` in magnitude. Raises ModelError."""
    found = np.asarray(tensors[name])
    if found.shape != shape or found.dtype != kind:
        raise ModelError(f"table {name} is malformed")
    if np.abs(found.astype(np.float64)).max(initial=0.0) > largest:
        raise ModelError(f"table {name} holds values out of range")
    return found.astype(np.int64)


def depth_to_space(x: Array, side: int = 2) -> Array:
    """(h, w, side^2 C) -> (side h, side w, C); channel (side i + j)*C + c goes to pixel (i, j) of each cell."""
    h, w, c = x.shape
    c //= side * side
    cells = x.reshape(h, w, side, side, c).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(cells.reshape(side * h, side * w, c))


def space_to_depth(x: Array, side: int = 2) -> Array:
    """The inverse of `depth_to_space`."""
    h, w, c = x.shape
    cells = x.reshape(h // side, side, w // side, side, c).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(cells.reshape(h // side, w // side, side * side * c))


def neighbourhoods(x: Array, stride: int = 1) -> Array:
    """(h, w, C) -> (h/stride, w/stride, 9C), rounded up: each 3x3, taps in raster order, zeros beyond the edge."""
    h, w, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    taps = [padded[i : i + h : stride, j : j + w : stride] for i in range(3) for j in range(3)]
    return np.concatenate(taps, axis=-1)
