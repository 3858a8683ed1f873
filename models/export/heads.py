"""Heads of context networks as integers: means in steps of their own, scale indices in 2^-10."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from caecodec.entropy.fixed_point import ACTIVATION, ONE, SUM
from caecodec.models.export.integers import Float, Tensors, integer_layer

_ROOM = 0.9  # of the largest sum and weight


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """weight (in, 2k) and bias (2k,): k means, then k scale indices, of some channels of y or z; step_in (in,)."""

    name: str
    channels: slice
    weight: Float
    bias: Float
    step_in: Float


def integer_heads(heads: Sequence[Head], n: int) -> tuple[Tensors, Float]:
    """The tensors of heads, and what a unit of the means of each of n channels stands for: the same in all heads."""
    out: Tensors = {}
    unit = np.full(n, 1e-12)
    for head in heads:
        size = len(head.bias) // 2
        index = np.full(size, 1 / ONE)
        alone = integer_layer("", head.weight[:, size:], head.bias[size:], head.step_in, index)
        scaled = np.abs(head.weight[:, :size]) * head.step_in[:, None]
        sums = scaled.sum(axis=0) * ACTIVATION + np.abs(head.bias[:size])
        least = np.maximum(sums / SUM, scaled.max(axis=0) / 2.0**15) / _ROOM
        # as fine as sums allow, at the shift that scale indices leave
        unit[head.channels] = np.maximum(unit[head.channels], least * 2.0 ** np.asarray(alone[".shift"]).item())
    for head in heads:
        units = np.concatenate((unit[head.channels], np.full(len(head.bias) // 2, 1 / ONE)))
        out |= integer_layer(head.name, head.weight, head.bias, head.step_in, units)
    return out, unit
