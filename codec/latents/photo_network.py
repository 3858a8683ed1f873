"""The exact entropy network of the photo family: h_s and four context steps, the same on every machine.

Why and how it is exact: `caecodec.entropy.fixed_point`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.arithmetic import NUMPY, Arithmetic, Array
from caecodec.entropy.fixed_point import (
    EXACT,
    MEAN_MAX,
    ONE,
    QUALITIES,
    SATURATION,
    SCALES,
    TABLE_BITS,
    VALUE_MAX,
    Block,
    Indices,
    Layer,
    depth_to_space,
    multiply,
)
from caecodec.entropy.order import PHASES, STEPS, group_at
from caecodec.errors import ModelError
from caecodec.stages import stage


@dataclass(frozen=True, slots=True)
class Quality:
    """The tables of one quality, per channel."""

    to_u: Array  # (N,) y_hat -> the context's domain, multiple of 2^-16
    to_y: Array  # (N,) the context's mean -> y, multiple of 2^-16
    index: Array  # (N,) added to scale indices, 10 fraction bits
    psi: Array  # (C,) added to the hyper features
    z_to_u: Array  # (Z,)
    z_mean: Array  # (Z,) 10 fraction bits
    z_index: Indices  # (Z,) scale index of each channel of z


@dataclass(frozen=True, slots=True)
class Head:
    """A head in two: means, and scale indices without their fraction.

    An index is floor((floor(x @ weight + bias) + table) / 2^10 + 1/2), and floor(floor(t) / n) = floor(t / n): the
    division goes into the weights, where it does not round. Saturation in between would change nothing, for an index
    that far out is clamped to the same end.
    """

    mean: Array  # (C', N/4), multiples of 2^-shift
    mean_bias: Array  # (N/4,), the rounding half included
    index: Array  # (C', N/4), multiples of 2^-(shift + 10)
    index_bias: Array  # (N/4,), both rounding halves included

    @classmethod
    def of(cls, layer: Layer) -> Head:
        """From a layer whose outputs are means, then as many scale indices."""
        mean, index = (np.ascontiguousarray(half) for half in np.split(layer.weight, 2, axis=1))
        mean_bias, index_bias = np.split(layer.bias, 2)
        return cls(mean, mean_bias, index * (1 / ONE), index_bias * (1 / ONE) + 0.5)


class EntropyNetwork:
    """h_s and the four context steps, in integers. Built from the `int.*` and `quality.*` tensors of a model."""

    def __init__(self, tensors: Mapping[str, NDArray[np.generic]], arithmetic: Arithmetic = NUMPY) -> None:
        self.arithmetic = arithmetic
        try:
            self.up1, self.up2 = (Layer.of(tensors, f"int.h_s.up{i}", arithmetic) for i in (1, 2))
            self.block1, self.block2 = (Block.of(tensors, f"int.h_s.block{i}", arithmetic) for i in (1, 2))
            self.first = Layer.of(tensors, "int.context.first", arithmetic)
            adaptors = [Layer.of(tensors, f"int.context.adaptors.{i}") for i in range(STEPS - 1)]
            depth = sum(key.startswith("int.context.trunk.") and key.endswith(".expand.shift") for key in tensors)
            self.trunk = [Block.of(tensors, f"int.context.trunk.{i}", arithmetic) for i in range(depth)]
            heads = [[Layer.of(tensors, f"int.context.head.{s}.{g}") for g in range(STEPS)] for s in range(STEPS)]
            self._tables = {key[8:]: np.asarray(t) for key, t in tensors.items() if key.startswith("quality.")}
            self.n = int(self._tables["to_u"].shape[1])
            self.z = int(self._tables["z_to_u"].shape[1])
            self._check_tables()
        except (KeyError, IndexError) as exc:
            raise ModelError(f"the model lacks {exc}") from exc
        self._prove(adaptors, heads)
        self._heads = [[Head.of(layer) for layer in row] for row in heads]
        self._near = [self._split(adaptor, step + 1) for step, adaptor in enumerate(adaptors)]

    def _split(self, adaptor: Layer, step: int) -> tuple[list[Array], Array, Array]:
        """An adaptor as a matrix for each phase, (step*N/4, C'): the channels known there, in the order of coding.

        Beside them psi's matrix (C, C') and the bias (C',).
        """
        groups = np.split(adaptor.weight[: self.n], STEPS)
        near = [np.concatenate([groups[group_at(s, phase)] for s in range(step)]) for phase in range(len(PHASES))]
        return near, np.ascontiguousarray(adaptor.weight[self.n :]), adaptor.bias

    def _check_tables(self) -> None:
        """Raise ModelError unless every table has 100 rows of integers of the right width and range."""
        widths = {"to_u": self.n, "to_y": self.n, "index": self.n, "psi": len(self.first.weight)}
        widths |= {"z_to_u": self.z, "z_mean": self.z, "z_index": self.z}
        for key, width in widths.items():
            table = self._tables[key]
            if table.shape != (QUALITIES, width) or not np.issubdtype(table.dtype, np.integer):
                raise ModelError(f"table {key} of the entropy network is malformed")
        largest_mean = np.abs(self._tables["z_mean"].astype(np.float64)).max()
        largest_index = np.abs(self._tables["index"].astype(np.float64)).max()
        if largest_index > SATURATION - SCALES * ONE:  # see Head
            raise ModelError("table index of the entropy network is out of range")
        if self.n % STEPS or self._tables["z_index"].max() >= SCALES or largest_mean > MEAN_MAX:
            raise ModelError("a table of the entropy network holds values out of range")

    def _prove(self, adaptors: Sequence[Layer], heads: Sequence[Sequence[Layer]]) -> None:
        """Raise ModelError unless no sum in the network can leave what float64 holds exactly."""
        for name in ("up1", "up2", "first"):
            getattr(self, name).prove(name, SATURATION)
        for name in ("block1", "block2"):
            getattr(self, name).prove(name)
        for i, adaptor in enumerate(adaptors):
            adaptor.prove(f"adaptors.{i}", SATURATION)
        for i, block in enumerate(self.trunk):
            block.prove(f"trunk.{i}")
        # what is added to a head's scale indices before the floor: see Head
        added = np.abs(self._tables["index"].astype(np.float64)).max() + ONE / 2
        for s, row in enumerate(heads):
            for g, head in enumerate(row):
                head.prove(f"head.{s}.{g}", SATURATION, added)
        for key, largest_input in (("to_u", VALUE_MAX), ("to_y", SATURATION), ("z_to_u", VALUE_MAX)):
            if np.abs(self._tables[key].astype(np.float64)).max() * largest_input * 2 >= EXACT:
                raise ModelError(f"table {key} of the entropy network could leave 53 bits: it cannot be exact")

    def quality(self, quality: int) -> Quality:
        """Tables of quality 1..100."""
        row = {k: t[quality - 1].astype(np.float64) for k, t in self._tables.items() if t.ndim == 2}
        unit = 2.0**-TABLE_BITS
        return Quality(
            to_u=row["to_u"] * unit,
            to_y=row["to_y"] * unit,
            index=row["index"],
            psi=row["psi"],
            z_to_u=row["z_to_u"] * unit,
            z_mean=row["z_mean"],
            z_index=row["z_index"].astype(np.uint8),
        )

    @stage("integers: h_s")
    def hyper(self, z_hat: Array, q: Quality) -> Array:
        """z_hat (h, w, Z), fixed point -> psi (4h, 4w, C)."""
        x = multiply(z_hat, q.z_to_u, SATURATION, self.arithmetic)
        x = self.block1(depth_to_space(self.up1(x)))
        x = self.block2(depth_to_space(self.up2(x)))
        return self.arithmetic.add(x, q.psi, SATURATION)

    @stage("integers: context")
    def features(self, step: int, psi: Array, known: Sequence[Array]) -> Array:
        """psi (h, w, C); known: four arrays (h/2, w/2, N) by phase -> (h, w, C'). h, w even.

        `known` is in the context's domain, zero where there is no cell; its channels are in the order of coding, and
        those of the first `step` groups are read.
        """
        if step == 0:
            return self.first(psi, relu=True)
        arithmetic = self.arithmetic
        h, w, _ = psi.shape
        near, of_psi, bias = self._near[step - 1]
        acc = arithmetic.product(psi.reshape(h * w, -1), of_psi, bias).reshape(h, w, -1)
        for (i, j), part, weight in zip(PHASES, known, near, strict=True):
            seen = np.ascontiguousarray(part[..., : len(weight)]).reshape(-1, len(weight))
            acc[i::2, j::2] += arithmetic.product(seen, weight, np.zeros(1)).reshape(h // 2, w // 2, -1)
        x = arithmetic.settle(acc, 0.0, SATURATION)
        for block in self.trunk:
            x = block(x)
        return x

    @stage("integers: heads")
    def parameters(self, step: int, phase: int, features: Array, q: Quality) -> tuple[Array, Indices]:
        """features (..., C') of one phase -> mean (..., N/4), fixed point, and scale index (..., N/4) in 0..63."""
        group = group_at(step, phase)
        channels = slice(group * self.n // 4, (group + 1) * self.n // 4)
        arithmetic = self.arithmetic
        rows = np.ascontiguousarray(features).reshape(-1, features.shape[-1])
        head = self._heads[step][group]
        mean = arithmetic.settle(arithmetic.product(rows, head.mean, head.mean_bias), -SATURATION, SATURATION)
        mean = multiply(mean, q.to_y[channels], MEAN_MAX, arithmetic)
        bias = head.index_bias + q.index[channels] * (1 / ONE)
        index = arithmetic.settle(arithmetic.product(rows, head.index, bias), 0.0, SCALES - 1.0)
        extent = (*features.shape[:-1], -1)
        return mean.reshape(extent), index.astype(np.uint8).reshape(extent)
