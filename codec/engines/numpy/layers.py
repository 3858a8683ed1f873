"""Float layers on numpy: convolutions as matrix products, many pictures at once.

Arrays are (P, height, width, channels) float32. Weights come as torch keeps them, in float16 or float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caecodec.errors import ModelError

Float = NDArray[np.float32]
PATCHES = 1 << 21  # values that a convolution lays out at once: 8 MB stay near the processor
EPSILON = 1e-5  # of batch normalisation


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """The float tensors of a model, checked as they are read."""

    tensors: Mapping[str, NDArray[np.generic]]

    def get(self, name: str, *shape: int) -> Float:
        """A tensor in float32. Raises ModelError, KeyError."""
        tensor = self.tensors[name]
        if tensor.shape != shape or tensor.dtype.kind != "f":
            raise ModelError(f"tensor {name} is {tensor.dtype} {tensor.shape}, not float {shape}")
        wide = tensor.astype(np.float32)
        if not np.isfinite(wide).all():
            raise ModelError(f"tensor {name} is not finite")
        return wide

    def conv(self, name: str, c_in: int, c_out: int, *, norm: str = "", relu: bool = False, border: int = 1) -> Conv:
        """From NAME.weight (out, in, 3, 3) and NAME.bias."""
        taps = self.get(f"{name}.weight", c_out, c_in, 3, 3).transpose(2, 3, 1, 0)
        return Conv(*self._normed(taps, self.get(f"{name}.bias", c_out), norm), relu, border)

    def up(self, name: str, c_in: int, c_out: int, *, norm: str = "", relu: bool = False) -> Conv:
        """From NAME.weight (in, out, 3, 3) and NAME.bias: stride 1 makes it a convolution of turned taps."""
        taps = self.get(f"{name}.weight", c_in, c_out, 3, 3)[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
        return Conv(*self._normed(taps, self.get(f"{name}.bias", c_out), norm), relu)

    def up2(self, name: str, c_in: int, c_out: int, *, norm: str = "", relu: bool = False) -> UpConv:
        """The same tensors, with stride 2."""
        taps = self.get(f"{name}.weight", c_in, c_out, 3, 3).transpose(2, 3, 0, 1)
        return UpConv(*self._normed(taps, self.get(f"{name}.bias", c_out), norm), relu)

    def flat(self, name: str, grid: tuple[int, int, int], c_out: int) -> Dense:
        """From (h, w, in) to (1, 1, out); NAME.weight (out, in * h * w) reads channel after channel."""
        h, w, c = grid
        weight = self.get(f"{name}.weight", c_out, c * h * w).reshape(c_out, c, h, w).transpose(2, 3, 1, 0)
        return Dense(_flat(weight, c_out), self.get(f"{name}.bias", c_out), (1, 1, c_out))

    def unflat(self, name: str, c_in: int, grid: tuple[int, int, int], *, relu: bool = False) -> Dense:
        """From (1, 1, in) to (h, w, out); NAME.weight (out * h * w, in) writes channel after channel."""
        h, w, c = grid
        weight = self.get(f"{name}.weight", c * h * w, c_in).reshape(c, h, w, c_in).transpose(3, 1, 2, 0)
        bias = self.get(f"{name}.bias", c * h * w).reshape(c, h, w).transpose(1, 2, 0).reshape(-1)
        return Dense(_flat(weight, c * h * w), bias, grid, relu)

    def point(self, name: str, c_in: int, c_out: int) -> Point:
        """A 1x1 layer from NAME.weight (out, in, 1, 1) and NAME.bias."""
        weight = self.get(f"{name}.weight", c_out, c_in, 1, 1)
        return Point(_flat(weight.T, c_out), self.get(f"{name}.bias", c_out))

    def _normed(self, taps: Float, bias: Float, norm: str) -> tuple[Float, Float]:
        """Taps (3, 3, in, out) and bias with the batch normalisation that follows put into them."""
        if not norm:
            return taps, bias
        parts = ("weight", "bias", "running_mean", "running_var")
        gain, shift, mean, variance = (self.get(f"{norm}.{part}", len(bias)) for part in parts)
        if (variance < 0).any():
            raise ModelError(f"tensor {norm}.running_var is negative")
        with np.errstate(over="ignore", invalid="ignore"):
            scale = gain / np.sqrt(variance + np.float32(EPSILON))
            taps, bias = taps * scale, (bias - mean) * scale + shift
        if not (np.isfinite(taps).all() and np.isfinite(bias).all()):
            raise ModelError(f"tensors {norm}.* give numbers beyond float32")
        return taps, bias


def _flat(weight: Float, c_out: int) -> Float:
    return np.ascontiguousarray(weight.reshape(-1, c_out))


class Conv:
    """3x3 convolution of taps (3, 3, in, out), with a border of zeros or none."""

    def __init__(self, taps: Float, bias: Float, relu: bool = False, border: int = 1) -> None:
        self._bias, self._relu, self._border = bias, relu, border
        # to lay out what each output sees costs more than the product where there are few outputs: then the other way
        self._few = len(bias) * 4 <= taps.shape[2]
        self._weight = _flat(taps.transpose(2, 0, 1, 3), 9 * len(bias)) if self._few else _flat(taps, len(bias))

    def __call__(self, x: Float) -> Float:
        p, h, w, c = x.shape
        b = self._border
        h, w = h + 2 * b - 2, w + 2 * b - 2
        out = np.empty((p, h, w, len(self._bias)), np.float32)
        step = max(1, PATCHES // (9 * c * h * w))
        padded = np.zeros((step, h + 2, w + 2, c), np.float32)
        for start in range(0, p, step):
            some = x[start : start + step]
            padded[: len(some), b : h + 2 - b, b : w + 2 - b] = some
            (self._added if self._few else self._gathered)(padded[: len(some)], out[start : start + step])
        return _finished(out, self._bias, self._relu)

    def _gathered(self, padded: Float, out: Float) -> None:
        """What each output sees side by side, times the weights."""
        p, h, w, c_out = out.shape
        patches = np.empty((p, h, w, 9, padded.shape[3]), np.float32)
        for tap in range(9):
            i, j = divmod(tap, 3)
            patches[:, :, :, tap] = padded[:, i : i + h, j : j + w]
        np.matmul(patches.reshape(p * h * w, -1), self._weight, out=out.reshape(-1, c_out))

    def _added(self, padded: Float, out: Float) -> None:
        """What each input gives to its nine outputs, added up."""
        _, h, w, c_out = out.shape
        given = (padded.reshape(-1, padded.shape[3]) @ self._weight).reshape(*padded.shape[:3], 9, c_out)
        out[...] = given[:, :h, :w, 0]
        for tap in range(1, 9):
            i, j = divmod(tap, 3)
            out += given[:, i : i + h, j : j + w, tap]


class UpConv:
    """3x3 transposed convolution of stride 2 of taps (3, 3, in, out): from (h, w) to (2h, 2w)."""

    def __init__(self, taps: Float, bias: Float, relu: bool = False) -> None:
        self._weight = _flat(taps.transpose(2, 0, 1, 3), 9 * len(bias))
        self._bias, self._relu = bias, relu

    def __call__(self, x: Float) -> Float:
        p, h, w, c = x.shape
        c_out = len(self._bias)
        out = np.empty((p, 2 * h, 2 * w, c_out), np.float32)
        step = max(1, PATCHES // (9 * c_out * h * w))
        for start in range(0, p, step):
            some = x[start : start + step]
            given = (some.reshape(-1, c) @ self._weight).reshape(-1, h, w, 3, 3, c_out)
            # output 2r takes tap 1 of input r; 2r + 1 takes tap 2 of input r and tap 0 of r + 1
            wide = np.empty((len(some), h, 2 * w, 3, c_out), np.float32)  # columns first
            wide[:, :, ::2] = given[:, :, :, :, 1]
            wide[:, :, 1::2] = given[:, :, :, :, 2]
            wide[:, :, 1:-1:2] += given[:, :, 1:, :, 0]
            part = out[start : start + step]
            part[:, ::2] = wide[:, :, :, 1]
            part[:, 1::2] = wide[:, :, :, 2]
            part[:, 1:-1:2] += wide[:, 1:, :, 0]
        return _finished(out, self._bias, self._relu)


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """Every value of a picture -> every value of the next."""

    weight: Float
    bias: Float
    grid: tuple[int, int, int]
    relu: bool = False

    def __call__(self, x: Float) -> Float:
        return _finished(x.reshape(len(x), -1) @ self.weight, self.bias, self.relu).reshape(-1, *self.grid)


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A 1x1 layer."""

    weight: Float
    bias: Float

    def __call__(self, x: Float) -> Float:
        flat = _finished(x.reshape(-1, x.shape[3]) @ self.weight, self.bias, relu=False)
        return flat.reshape(*x.shape[:3], -1)


def _finished(x: Float, bias: Float, relu: bool) -> Float:
    """Bias and ReLU, in place."""
    x += bias
    return np.maximum(x, 0, out=x) if relu else x


def pool(x: Float) -> Float:
    """Maximum of each 2x2 cell; of an odd side the last cells are half."""
    _, h, w, _ = x.shape
    if h % 2 or w % 2:
        x = np.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), mode="edge")
    rows = np.maximum(x[:, ::2], x[:, 1::2])
    return np.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def pool_with_places(x: Float) -> tuple[Float, NDArray[np.uint8]]:
    """Maximum of each 2x2 cell, and its place 0..3 in raster order, of equals the first. Sides are even."""
    cells = np.stack([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    return cells.max(axis=0), cells.argmax(axis=0).astype(np.uint8)


def unpool(x: Float, places: NDArray[Any]) -> Float:
    """Values (P, h, w, C) to their places 0..3 in cells of zeros: (P, 2h, 2w, C)."""
    p, h, w, c = x.shape
    out = np.zeros((p, 2 * h, 2 * w, c), np.float32)
    for place in range(4):
        i, j = divmod(place, 2)
        out[:, i::2, j::2] = np.where(places == place, x, np.float32(0))
    return out


def double(x: Float) -> Float:
    """(h, w) -> (2h, 2w), each value four times."""
    larger: Float = x.repeat(2, axis=1).repeat(2, axis=2)
    return larger


def sigmoid(x: Float) -> Float:
    """1 / (1 + e^-x), such that nothing overflows."""
    half: Float = np.tanh(x * np.float32(0.5))
    half += 1
    half *= np.float32(0.5)
    return half
