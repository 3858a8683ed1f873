"""The integers of a context over cells and channel groups (`caecodec.models.networks.context`)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from caecodec.entropy.fixed_point import FRACTION_BITS, ONE
from caecodec.models.export.heads import Head, integer_heads
from caecodec.models.export.integers import (
    Float,
    Ranges,
    Stream,
    Tensors,
    bias_of,
    fixed,
    integer_layer,
    matrix,
    multiplier,
    step_of,
)
from caecodec.models.export.ranges import Watch
from caecodec.models.networks.context import Context
from caecodec.models.networks.rate_model import SCALE_STEP


def named(watch: Watch) -> dict[str, Float]:
    """What was met, named as in a weights file; beside it "int.context", what heads read."""
    found = {f"int.{key}" if key.startswith("context") else key: met for key, met in watch.largest.items()}
    found["int.context"] = np.max([met for key, met in found.items() if key.startswith("int.context.heads.")], axis=0)
    return found


def context_network(c: Context, ranges: Ranges, log_ratio: NDArray[np.float64], bias: Float) -> Tensors:
    """The `steps.*`, `int.*` and `quality.*` tensors. ranges: see `named`; log_ratio (100, N); bias (2, 100, C)."""
    steps = c.sizes.steps
    u = step_of(np.max([ranges[f"int.context.adaptors.{number}"] for number in range(len(steps))], axis=0))
    mixed = step_of(ranges["int.context.mix"])
    stream = Stream(ranges, ["int.context.expand", "int.context"])
    wide = step_of(ranges["int.context.project"])
    read = stream.read("int.context")
    out: Tensors = {"int.context.narrow": np.array([stream.narrow("int.context")], np.int32)}
    heads = []
    for number, ((channels, _), adaptor, head) in enumerate(zip(steps, c.adaptors, c.heads, strict=True)):
        assert isinstance(adaptor, torch.nn.Linear) and isinstance(head, torch.nn.Linear)
        out |= integer_layer(f"int.context.adaptors.{number}", matrix(adaptor), bias_of(adaptor), u, mixed)
        heads.append(Head(f"int.context.heads.{number}", channels, matrix(head), bias_of(head), read))
    out |= integer_layer("int.context.mix", matrix(c.mix), bias_of(c.mix), np.tile(mixed, 9), stream.step)
    seen, narrow = stream.read("int.context.expand"), stream.narrow("int.context.expand")
    out |= integer_layer("int.context.expand", matrix(c.expand), bias_of(c.expand), seen, wide, narrow)
    out |= integer_layer("int.context.project", matrix(c.project), bias_of(c.project), wide, stream.step)
    tensors, mean_unit = integer_heads(heads, c.sizes.n)
    out |= tensors
    out |= multiplier("quality.to_u", np.exp(-log_ratio) / (ONE * u))
    out |= multiplier("quality.to_y", np.exp(log_ratio) * ONE * mean_unit)
    return out | {
        "steps.groups": np.array(c.sizes.groups, np.int32),
        "steps.splits": np.array(c.sizes.splits, np.int32),
        "quality.index": fixed(log_ratio / SCALE_STEP, FRACTION_BITS),
        "quality.bias": fixed(bias / mixed),
    }
