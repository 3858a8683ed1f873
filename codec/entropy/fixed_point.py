"""Layers in fixed point, of which exact entropy networks are built: the same integers on every machine.

A float network gives slightly other numbers on another CPU, thread count or library; a decoder that follows it picks
another probability and the rest of the picture is noise. So everything that decides a probability is computed in
integers, carried in float64. Every product and partial sum stays below 2^53 in units of its least bit (proven from the
weights in `prove`, checked whenever a model is loaded), where float64 is exact and addition is associative: BLAS may
sum in any order.

Fixed point: an activation a is the integer round(a * 2^10), clamped to +-2^22 after each layer. A weight matrix is
integers W * 2^-shift. A layer is floor(x W 2^-shift + b + 1/2). Scaling by a power of two does not round, so layers
carry W * 2^-shift in place of W.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.arithmetic import NUMPY, Arithmetic, Array
from caecodec.errors import ModelError

Indices = NDArray[np.uint8]  # scale indices; bytes, so that sorting by them is a radix sort
FRACTION_BITS = 10  # of activations, means, y_hat and z_hat
ONE = 1 << FRACTION_BITS
TABLE_BITS = 16  # fraction bits of per-channel multipliers
SATURATION = float(1 << 22)  # activations
SYMBOL_MAX = (1 << 15) - 1  # |symbol|
MEAN_MAX = float(1 << 25)  # |mean| of a symbol, fixed point
VALUE_MAX = float(SYMBOL_MAX * ONE) + MEAN_MAX  # |y_hat|, fixed point
EXACT = float(1 << 53)
SCALES = 64
PRECISION = 24  # bits of a frequency table
QUALITIES = 100


@dataclass(frozen=True, slots=True)
class Layer:
    """floor(x @ weight + bias), `bias` with the rounding half included.

    weight (in, out) and bias (out,) are multiples of 2^-shift. For a depthwise 3x3, weight is (9, channels), taps in
    raster order.
    """

    weight: Array
    bias: Array
    shift: int
    depthwise: bool = False
    arithmetic: Arithmetic = NUMPY

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[np.generic]], name: str, arithmetic: Arithmetic = NUMPY) -> Layer:
        """From integer tensors NAME.weight (in, out) or (9, channels), NAME.bias, NAME.shift."""
        weight, bias, shift = (tensors[f"{name}.{part}"] for part in ("weight", "bias", "shift"))
        depthwise = name.endswith("depthwise")
        kinds = all(np.issubdtype(t.dtype, np.integer) for t in (weight, bias, shift))
        fits = weight.ndim == 2 and bias.shape == weight.shape[1:] and (len(weight) == 9 or not depthwise)
        if not kinds or not fits or shift.size != 1 or not 0 <= shift.item() <= 30:
            raise ModelError(f"layer {name} of the entropy network is malformed")
        if np.abs(bias.astype(np.float64)).max() >= EXACT:
            raise ModelError(f"layer {name} of the entropy network has a bias over 53 bits: it cannot be exact")
        unit = 2.0 ** -int(shift.item())
        exact_weight = np.ascontiguousarray(weight.astype(np.float64) * unit)
        return cls(exact_weight, bias.astype(np.float64) * unit + 0.5, int(shift.item()), depthwise, arithmetic)

    def prove(self, name: str, input_max: float, added: float = 0.0) -> None:
        """Raise ModelError unless every sum is exact for all inputs up to `input_max` in magnitude.

        added: what is added to the sum beside the bias.
        """
        if not np.isfinite(self.weight).all() or not np.isfinite(self.bias).all():
            raise ModelError(f"layer {name} of the entropy network is not finite")
        largest = (np.abs(self.weight).sum(axis=0) * input_max + np.abs(self.bias) + 1).max() + added
        if largest * 2.0 ** max(self.shift, 1) >= EXACT:  # the half that rounds is in the sum
            raise ModelError(f"layer {name} of the entropy network could leave 53 bits: it cannot be exact")

    def __call__(self, x: Array, relu: bool = False) -> Array:
        """x (..., in) -> (..., out), integers in float64; for a depthwise layer x is (h, w, channels)."""
        low, arithmetic = 0.0 if relu else -SATURATION, self.arithmetic
        if self.depthwise:
            return arithmetic.settle(arithmetic.depthwise(x, self.weight, self.bias), low, SATURATION)
        # one flat product: numpy turns a stack of matrices into many small ones
        acc = arithmetic.product(x.reshape(-1, x.shape[-1]), self.weight, self.bias)
        return arithmetic.settle(acc, low, SATURATION).reshape(*x.shape[:-1], -1)


@dataclass(frozen=True, slots=True)
class Block:
    """B(C) in integers: 1x1, ReLU, depthwise 3x3, 1x1, residual; 1x1, ReLU, 1x1, residual."""

    mix_in: Layer
    depthwise: Layer
    mix_out: Layer
    expand: Layer
    project: Layer

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[np.generic]], name: str, arithmetic: Arithmetic = NUMPY) -> Block:
        """From the tensors of its five layers."""
        return cls(*(Layer.of(tensors, f"{name}.{part}", arithmetic) for part in cls.__slots__))

    def prove(self, name: str) -> None:
        """Every layer of a block reads activations within SATURATION."""
        for part in self.__slots__:
            getattr(self, part).prove(f"{name}.{part}", SATURATION)

    def __call__(self, x: Array) -> Array:
        """(h, w, C) -> (h, w, C)."""
        add = self.mix_in.arithmetic.add
        x = add(x, self.mix_out(self.depthwise(self.mix_in(x, relu=True))), SATURATION)
        return add(x, self.project(self.expand(x, relu=True)), SATURATION)


def depth_to_space(x: Array) -> Array:
    """(h, w, 4C) -> (2h, 2w, C); channel (2i + j)*C + c goes to pixel (i, j) of each cell."""
    h, w, c = x.shape
    return np.ascontiguousarray(x.reshape(h, w, 2, 2, c // 4).transpose(0, 2, 1, 3, 4).reshape(2 * h, 2 * w, c // 4))


def multiply(x: Array, table: Array, limit: float, arithmetic: Arithmetic = NUMPY) -> Array:
    """floor(x * table / 2^16 + 1/2) clamped to +-limit; `table` is already divided by 2^16."""
    return arithmetic.scale(x, table, limit)
