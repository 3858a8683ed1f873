"""The exact context network of the `tiny` family. Many pictures of one size at once.

Arithmetic as in `caecodec.entropy.fixed_point`. Arrays are (P, height, width, channels). y_hat is symbol * 2^10 + mean.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from caecodec.entropy.arithmetic import NUMPY, Array
from caecodec.entropy.fixed_point import (
    ACTIVATION,
    MEAN_MAX,
    MOST_NARROW,
    ONE,
    SCALES,
    STREAM,
    TABLE,
    Indices,
    Layer,
    Multiplier,
    Multipliers,
    Tensors,
    integer,
    table,
)
from caecodec.entropy.order import PHASES
from caecodec.errors import ModelError
from caecodec.tune import QUALITIES

Phases = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Step:
    """Channels and positions in each 2x2 block of cells that are coded together, and the layers of their own."""

    channels: slice
    phases: Phases
    adaptor: Layer
    head: Layer

    @functools.cached_property
    def near(self) -> Layer:
        """The adaptor without the inputs that are still unknown, and zero."""
        return replace(self.adaptor, weight=np.ascontiguousarray(self.adaptor.weight[: self.channels.stop]))


@dataclass(frozen=True, slots=True)
class Quality:
    """The tables of one quality."""

    to_u: Multiplier  # (N,) y_hat -> the context's domain
    to_y: Multiplier  # (N,) the context's mean -> y
    index: Array  # (N,) added to scale indices, 10 fraction bits
    bias: Array  # (C,) of the adaptors, for colour or gray


class ContextNetwork:
    """Means and scale indices, in integers, from what is known. Built from `int.*` and `quality.*` tensors."""

    def __init__(self, tensors: Tensors) -> None:
        """Raises ModelError where a tensor is missing or malformed, or a sum could leave 32 bits."""
        try:
            counts, parts = (np.asarray(tensors[f"steps.{name}"]) for name in ("groups", "splits"))
            if any(one.dtype != np.int32 or one.ndim != 1 for one in (counts, parts)):
                raise ModelError("the steps of the context network are malformed")
            groups, splits = counts.tolist(), parts.tolist()
            self.mix, self.expand, self.project = (
                Layer.of(tensors, f"int.context.{name}") for name in ("mix", "expand", "project")
            )
            self._narrow = integer(tensors, "int.context.narrow", MOST_NARROW)
            if not groups or len(groups) != len(splits) or min(groups) < 1 or not set(splits) <= {1, 2, 4}:
                raise ModelError("the steps of the context network are malformed")
            self.n = sum(groups)
            self.steps: list[Step] = []
            start = 0
            for size, split in zip(groups, splits, strict=True):
                for first in range(0, 4, 4 // split):
                    name = f"int.context.{{}}.{len(self.steps)}"
                    layers = (Layer.of(tensors, name.format(part)) for part in ("adaptors", "heads"))
                    self.steps.append(Step(slice(start, start + size), PHASES[first : first + 4 // split], *layers))
                start += size
            width = self._check()
            self._to_u, self._to_y = (Multipliers.of(tensors, f"quality.{key}", self.n) for key in ("to_u", "to_y"))
            self._index = table(tensors, "quality.index", (QUALITIES, self.n), TABLE)
            self._bias = table(tensors, "quality.bias", (2, QUALITIES, width), TABLE)
        except KeyError as exc:
            raise ModelError(f"the model lacks {exc}") from exc

    def _check(self) -> int:
        """Raise ModelError unless the layers fit each other; the adaptors' width."""
        width, hidden = len(self.mix.weight) // 9, self.mix.weight.shape[1]
        wide = 2 * hidden
        shared = self.expand.weight.shape == (hidden, wide) and self.project.weight.shape == (wide, hidden)
        if len(self.mix.weight) != 9 * width or not shared or self.expand.narrow is None:
            raise ModelError("the shared layers of the context network do not fit each other")
        for number, step in enumerate(self.steps):
            size = step.channels.stop - step.channels.start
            if step.adaptor.weight.shape != (self.n, width) or step.head.weight.shape != (hidden, 2 * size):
                raise ModelError(f"step {number} of the context network is malformed")
        return width

    def quality(self, quality: int, gray: bool) -> Quality:
        """Tables of quality 1..100."""
        index, bias = self._index[quality - 1], self._bias[int(gray), quality - 1]
        return Quality(
            self._to_u.at(quality), self._to_y.at(quality), index.astype(np.float64), bias.astype(np.float64)
        )

    def parameters(self, step: Step, known: Array, q: Quality) -> tuple[Array, Indices]:
        """known (P, h, w, N), zero where unknown -> mean, scale index: (P, cells, channels) by phase."""
        p, h, w, _ = known.shape
        x = step.near(known[..., : step.channels.stop], -np.inf, np.inf)  # all that is known
        x += q.bias
        padded = np.zeros((p, h + 2, w + 2, x.shape[-1]))
        np.clip(x, 0, ACTIVATION, out=padded[:, 1:-1, 1:-1])
        rows = []
        for i, j in step.phases:
            taps = [padded[:, i + a : h + a : 2, j + b : w + b : 2] for a in range(3) for b in range(3)]
            near = np.concatenate(taps, axis=-1)
            rows.append(near.reshape(p, near.shape[1] * near.shape[2], near.shape[3]))
        r = self.mix(np.concatenate(rows, axis=1), 0.0, STREAM)
        r = NUMPY.add(r, self.project(self.expand(self.expand.read(r), 0.0, ACTIVATION)), STREAM)
        out = step.head(NUMPY.halve(r, self._narrow, ACTIVATION), -np.inf, np.inf)
        size = out.shape[-1] // 2
        mean = q.to_y(out[..., :size], MEAN_MAX, step.channels)
        index = np.floor((out[..., size:] + q.index[step.channels]) * (1 / ONE) + 0.5)
        return mean, np.clip(index, 0, SCALES - 1).astype(np.uint8)
