"""Float weights and probabilities -> the integers of a weights file (FORMAT.md, 7.3 and 8).

Every channel of every activation has a step, chosen so that twice the largest value that was met in pictures
(`ranges`) fits. Steps are folded into the weights on both sides of an activation and are not stored. A layer's weights
get as many bits as its sums have room for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, arange, float64, nn

from caecodec.entropy.fixed_point import (
    ACTIVATION,
    MOST_NARROW,
    MULTIPLIER,
    PRECISION,
    SCALES,
    STREAM,
    SUM,
)
from caecodec.errors import ModelError
from caecodec.models.networks.layers import Block
from caecodec.models.networks.rate_model import scale_of_index

Tensors = dict[str, NDArray[np.generic]]
Float = NDArray[np.float64]
Ranges = Mapping[str, Float]  # name of an activation -> largest magnitude of each channel, as met in pictures

HEADROOM = 2.0  # over the largest that was met
STREAM_BITS = 6  # that a stream has below what layers read of it at its widest
# Of the largest channel: what a channel is taken for at least. One that is hardly ever loud would else get so fine a
# step that the room its weights take is missing in all others: y was 0.018 steps off at 0.02 and is 0.003 at 0.25.
QUIETEST = 0.25
MOST_SHIFT = 30
TAIL_MASS = 2.0**-20  # of each table, left to the escape


def as_numpy(x: Tensor) -> Float:
    """A tensor of any type and device as float64."""
    array: Float = x.detach().cpu().double().numpy()
    return array


def loud(largest: Float) -> Float:
    """Largest magnitudes with those of quiet channels raised: they may be louder elsewhere."""
    return np.maximum(largest, max(QUIETEST * float(largest.max(initial=0.0)), 1e-9))


def step_of(largest: Float) -> Float:
    """Largest magnitudes of an activation's channels (C,) -> what one unit of each stands for."""
    return loud(largest) * (HEADROOM / ACTIVATION)


class Stream:
    """Steps of a stream, and how far it is narrowed for each layer that reads it."""

    def __init__(self, ranges: Ranges, readers: Sequence[str]) -> None:
        """readers: names of ranges, in any order."""
        met = np.stack([loud(ranges[name]) for name in readers])
        shape = np.exp(np.log(met).mean(axis=0))
        widest = float((met / shape).max())
        self.step: Float = shape * (widest * HEADROOM / (ACTIVATION * 2.0**STREAM_BITS))
        self._met = dict(zip(readers, met, strict=True))
        largest = float((met / self.step).max()) * HEADROOM
        if largest > STREAM:
            raise ModelError(f"a stream of {largest} does not fit: {', '.join(readers)}")

    def narrow(self, reader: str) -> int:
        """Bits that are left out for a reader."""
        over = float((self._met[reader] * HEADROOM / (self.step * ACTIVATION)).max())
        return min(max(0, math.ceil(math.log2(over))), MOST_NARROW)

    def read(self, reader: str) -> Float:
        """Steps of what a reader sees."""
        return self.step * 2.0 ** self.narrow(reader)


def integer_layer(
    name: str,
    weight: Float,
    bias: Float,
    step_in: Float,
    step_out: Float,
    narrow: int | None = None,
    reads: float = ACTIVATION,
    depthwise: bool = False,
) -> Tensors:
    """Real weight (in, out), or (9, C) where depthwise, and bias (out,) -> the tensors of a layer.

    step_in, step_out: what a unit of each input and output stands for. Raises ModelError where no shift fits.
    """
    steps = (step_in / step_out)[None] if depthwise else step_in[:, None] / step_out[None]
    exact, offset = weight * steps, bias / step_out
    for shift in range(MOST_SHIFT, -1, -1):
        integers = np.rint(exact * 2.0**shift)
        biases = np.rint(offset * 2.0**shift) + (2.0 ** (shift - 1) if shift else 0.0)
        fits = np.abs(integers).max(initial=0) <= 2**15 - 1
        if fits and (np.abs(integers).sum(axis=0) * reads + np.abs(biases)).max() < SUM:
            break
    else:
        raise ModelError(f"the weights of {name} are too large for integers")
    out: Tensors = {
        f"{name}.weight": integers.astype(np.int16),
        f"{name}.bias": biases.astype(np.int32),
        f"{name}.shift": np.array([shift], np.int32),
    }
    return out if narrow is None else out | {f"{name}.narrow": np.array([narrow], np.int32)}


def matrix(layer: nn.Conv2d | nn.Linear) -> Float:
    """Weight of a layer as (in, out): of a 3x3 (9 * in, out), taps in raster order; of a depthwise one (9, C)."""
    weight = as_numpy(layer.weight)
    if isinstance(layer, nn.Linear):
        return np.ascontiguousarray(weight.T)
    if layer.groups > 1:
        return np.ascontiguousarray(weight.reshape(len(weight), -1).T)
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0).reshape(-1, len(weight)))


def bias_of(layer: nn.Conv2d | nn.Linear) -> Float:
    """Bias of a layer, zeros where it has none."""
    return np.zeros(len(layer.weight)) if layer.bias is None else as_numpy(layer.bias)


def integer_block(name: str, block: Block, ranges: Ranges, stream: Stream) -> Tensors:
    """The tensors of a block that adds to a stream. Ranges are named after the layers that read them."""

    def layer(part: str, step_in: Float, step_out: Float, narrow: int | None = None) -> Tensors:
        module = getattr(block, part)
        return integer_layer(
            f"{name}.{part}", matrix(module), bias_of(module), step_in, step_out, narrow, depthwise=part == "depthwise"
        )

    mix_in, expand = f"{name}.mix_in", f"{name}.expand"
    inner, mixed, wide = (step_of(ranges[f"{name}.{part}"]) for part in ("depthwise", "mix_out", "project"))
    return (
        layer("mix_in", stream.read(mix_in), inner, stream.narrow(mix_in))
        | layer("depthwise", inner, mixed)
        | layer("mix_out", mixed, stream.step)
        | layer("expand", stream.read(expand), wide, stream.narrow(expand))
        | layer("project", wide, stream.step)
    )


def readers_of(names: Sequence[str]) -> list[str]:
    """Of blocks by name, those layers that read the stream."""
    return [f"{name}.{part}" for name in names for part in ("mix_in", "expand")]


def multiplier(name: str, factors: Float) -> Tensors:
    """Real factors (..., C) -> integers with a shift for each channel. Raises ModelError."""
    most = np.abs(factors).reshape(-1, factors.shape[-1]).max(axis=0)
    shift = np.floor(np.log2(MULTIPLIER / np.maximum(most, 1e-30))).astype(np.int64).clip(1, 60)
    table = np.rint(factors * 2.0**shift)
    if np.abs(table).max() > MULTIPLIER:
        raise ModelError(f"the factors {name} are too large for integers")
    return {name: table.astype(np.int32), f"{name}.shift": shift.astype(np.int32)}


def fixed(x: Float, bits: int = 0) -> NDArray[np.int32]:
    """Real numbers -> fixed point with so many fraction bits."""
    return np.floor(x * 2.0**bits + 0.5).astype(np.int32)


def integer_table(probabilities: Float) -> NDArray[np.int32]:
    """Probabilities -> frequencies of at least 1 that sum to 2^24; the rounding error goes to the largest."""
    free = (1 << PRECISION) - len(probabilities)
    frequencies = 1 + np.floor(probabilities / probabilities.sum() * free).astype(np.int64)
    frequencies[np.argmax(frequencies)] += (1 << PRECISION) - frequencies.sum()
    table: NDArray[np.int32] = frequencies.astype(np.int32)
    return table


def gaussian_tables(dense: int = SCALES, step: float = 0.5) -> Tensors:
    """Frequency tables of the discretised Gaussian at each scale, and their tails.

    dense: the scale index from which on there are two more for dependent quantisation (`caecodec.entropy.trellis`),
    with fine steps of `step`.
    """
    scales = scale_of_index(arange(SCALES, dtype=float64)).tolist()
    made = [_gaussian_table(scale, lambda k: k - 0.5) for scale in scales]
    for scale in scales[dense:]:
        made.append(_gaussian_table(scale, lambda k: (2 * k - 1) * step))
        made.append(_gaussian_table(scale, lambda k: (2 * k - 2) * step if k > 1 else 0.5 * step))
    return {
        "table.frequencies": np.concatenate([table for table, _ in made]),
        "table.tail": np.array([tail for _, tail in made], np.int32),
    }


def _gaussian_table(scale: float, edge: Callable[[int], float]) -> tuple[NDArray[np.int32], int]:
    """Of N(0, scale), and its tail. edge: where the values of a symbol from 1 on begin."""

    def mass(low: float) -> float:  # upper tail
        return 0.5 * math.erfc(low / scale / math.sqrt(2))

    tail = next(t for t in range(1, 4096) if 2 * mass(edge(t + 1)) < TAIL_MASS)
    half = [mass(edge(k)) - mass(edge(k + 1)) for k in range(1, tail + 1)]
    probabilities = [*half[::-1], 1 - 2 * mass(edge(1)), *half, 2 * mass(edge(tail + 1))]
    return integer_table(np.array(probabilities)), tail
