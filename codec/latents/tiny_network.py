"""The exact context network of the `tiny` family. Many pictures of one size at once.

Arithmetic as in `caecodec.entropy.fixed_point`. Arrays are (P, height, width, channels). y_hat is symbol * 2^10 + mean.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.arithmetic import Array
from caecodec.entropy.fixed_point import (
    EXACT,
    MEAN_MAX,
    ONE,
    QUALITIES,
    SATURATION,
    SCALES,
    TABLE_BITS,
    VALUE_MAX,
    Indices,
    Layer,
    multiply,
)
from caecodec.entropy.order import PHASES
from caecodec.errors import ModelError

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

    to_u: Array  # (N,) y_hat -> the context's domain, multiple of 2^-16
    to_y: Array  # (N,) the context's mean -> y, multiple of 2^-16
    index: Array  # (N,) added to scale indices, 10 fraction bits
    bias: Array  # (C,) of the adaptors, for colour or gray


class ContextNetwork:
    """Means and scale indices, in integers, from what is known. Built from `int.*` and `quality.*` tensors."""

    def __init__(self, tensors: Mapping[str, NDArray[np.generic]]) -> None:
        """Raises ModelError where a tensor is missing or malformed, or a sum could leave 53 bits."""
        try:
            groups = np.asarray(tensors["steps.groups"]).astype(int).tolist()
            splits = np.asarray(tensors["steps.splits"]).astype(int).tolist()
            self._tables = {key[8:]: np.asarray(t) for key, t in tensors.items() if key.startswith("quality.")}
            self.mix, self.expand, self.project = (
                Layer.of(tensors, f"int.context.{name}") for name in ("mix", "expand", "project")
            )
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
            self._check()
        except KeyError as exc:
            raise ModelError(f"the model lacks {exc}") from exc

    def _check(self) -> None:
        width = len(self.mix.weight) // 9
        widths = {"to_u": (QUALITIES, self.n), "to_y": (QUALITIES, self.n), "index": (QUALITIES, self.n)}
        for key, shape in {**widths, "bias": (2, QUALITIES, width)}.items():
            if self._tables[key].shape != shape or not np.issubdtype(self._tables[key].dtype, np.integer):
                raise ModelError(f"table {key} of the context network is malformed")
        hidden = self.mix.weight.shape[1]
        if len(self.expand.weight) != hidden or self.project.weight.shape != (self.expand.weight.shape[1], hidden):
            raise ModelError("the shared layers of the context network do not fit each other")
        for number, step in enumerate(self.steps):
            size = step.channels.stop - step.channels.start
            if step.adaptor.weight.shape != (self.n, width) or step.head.weight.shape != (hidden, 2 * size):
                raise ModelError(f"step {number} of the context network is malformed")
            step.adaptor.prove(f"adaptors.{number}", SATURATION)
            step.head.prove(f"heads.{number}", SATURATION)
        for name in ("mix", "expand", "project"):
            getattr(self, name).prove(name, SATURATION)
        for key, largest in (("to_u", VALUE_MAX), ("to_y", SATURATION), ("bias", 1.0), ("index", 1.0)):
            if np.abs(self._tables[key].astype(np.float64)).max() * largest * 2 >= EXACT:
                raise ModelError(f"table {key} of the context network could leave 53 bits: it cannot be exact")

    def quality(self, quality: int, gray: bool) -> Quality:
        """Tables of quality 1..100."""
        row = {key: t[quality - 1].astype(np.float64) for key, t in self._tables.items() if t.ndim == 2}
        unit = 2.0**-TABLE_BITS
        bias = self._tables["bias"][int(gray), quality - 1].astype(np.float64)
        return Quality(row["to_u"] * unit, row["to_y"] * unit, row["index"], bias)

    def parameters(self, step: Step, known: Array, q: Quality) -> tuple[Array, Indices]:
        """known (P, h, w, N), zero where unknown -> mean, scale index: (P, cells, channels) by phase."""
        p, h, w, _ = known.shape
        x = step.near(known[..., : step.channels.stop])  # all that is known
        x += q.bias
        padded = np.zeros((p, h + 2, w + 2, x.shape[-1]))
        np.clip(x, 0, SATURATION, out=padded[:, 1:-1, 1:-1])
        rows = []
        for i, j in step.phases:
            taps = [padded[:, i + a : h + a : 2, j + b : w + b : 2] for a in range(3) for b in range(3)]
            near = np.concatenate(taps, axis=-1)
            rows.append(near.reshape(p, near.shape[1] * near.shape[2], near.shape[3]))
        x = self.mix(np.concatenate(rows, axis=1), relu=True)
        x += self.project(self.expand(x, relu=True))
        np.clip(x, -SATURATION, SATURATION, out=x)
        out = step.head(x)
        size = out.shape[-1] // 2
        mean = multiply(out[..., :size], q.to_y[step.channels], MEAN_MAX)
        index = np.floor((out[..., size:] + q.index[step.channels]) * (1 / ONE) + 0.5)
        return mean, np.clip(index, 0, SCALES - 1).astype(np.uint8)
