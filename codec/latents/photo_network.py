"""The exact entropy network of the photo family: h_s and the contexts of z and y, the same on every machine.

Why and how it is exact: `caecodec.entropy.fixed_point`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from caecodec.entropy.arithmetic import NUMPY, Arithmetic, Array
from caecodec.entropy.fixed_point import (
    ACTIVATION,
    MEAN_MAX,
    MOST_NARROW,
    ONE,
    SCALES,
    STREAM,
    TABLE,
    Block,
    Indices,
    Layer,
    Multiplier,
    Multipliers,
    Tensors,
    depth_to_space,
    integer,
    rows_of,
    table,
)
from caecodec.entropy.order import PHASES, STEPS, group_at
from caecodec.errors import ModelError
from caecodec.stages import stage


@dataclass(frozen=True, slots=True)
class Scaling:
    """The tables of one quality for one kind of latents, per channel."""

    to_u: Multiplier  # (N,) latents -> the context's domain
    to_y: Multiplier  # (N,) the context's mean -> latents
    index: Array  # (N,) added to scale indices, 10 fraction bits
    step: int | None = None  # of dependent quantisation, fixed point (`caecodec.entropy.trellis`); none of z


@dataclass(frozen=True, slots=True)
class Quality:
    """The tables of one quality."""

    of_y: Scaling
    of_z: Scaling
    psi: Array  # (C,) added to the hyper features
    psi_z: Array  # (P,) what the context of z reads in place of psi


@dataclass(frozen=True, slots=True)
class Adaptor:
    """Of one step: near, for each phase the matrix (step*N/4, K) of the channels known there, in the order of coding;
    psi's matrix (C, K); the bias (K,).
    """

    near: Sequence[Array]
    of_psi: Array
    bias: Array

    @classmethod
    def of(cls, layer: Layer, n: int, step: int) -> Adaptor:
        """From a layer that reads N channels of latents and C of psi, of `step` 1 to 3."""
        groups = np.split(layer.weight[:n], STEPS)
        near = [np.concatenate([groups[group_at(s, phase)] for s in range(step)]) for phase in range(len(PHASES))]
        return cls(near, np.ascontiguousarray(layer.weight[n:]), layer.bias)


class Context:
    """The context of y or of z, in integers: what the four steps of a walk over its cells read."""

    def __init__(self, tensors: Tensors, part: str, prefix: str, arithmetic: Arithmetic = NUMPY) -> None:
        """From the tensors int.PART.* and quality.PREFIXto_u, ... Raises KeyError, IndexError or ModelError."""
        self.arithmetic = arithmetic
        name = f"int.{part}"
        self.first = Layer.of(tensors, f"{name}.first", arithmetic)
        adaptors = [Layer.of(tensors, f"{name}.adaptors.{i}", arithmetic) for i in range(STEPS - 1)]
        depth = sum(key.startswith(f"{name}.trunk.") and key.endswith(".expand.shift") for key in tensors)
        self.trunk = [Block.of(tensors, f"{name}.trunk.{i}", arithmetic) for i in range(depth)]
        self._heads = [
            [Layer.of(tensors, f"{name}.head.{s}.{g}", arithmetic) for g in range(STEPS)] for s in range(STEPS)
        ]
        self.n = int(np.asarray(tensors[f"quality.{prefix}to_u"]).shape[-1])
        self.psi, width = self.first.weight.shape
        fits = {
            "adaptors": all(a.weight.shape == (self.n + self.psi, width) for a in adaptors),
            "head": all(h.weight.shape == (width, self.n // 2) for row in self._heads for h in row),
            "trunk": all(b.mix_in.weight.shape == (width, width) for b in self.trunk),
            "channels": self.n % STEPS == 0 and min(self.n, self.psi, width) > 0,
        }
        for what, whether in fits.items():
            if not whether:
                raise ModelError(f"{name}.{what} does not fit the rest of the entropy network")
        self._adaptors = [Adaptor.of(adaptor, self.n, step + 1) for step, adaptor in enumerate(adaptors)]
        self._narrow, rows = integer(tensors, f"{name}.narrow", MOST_NARROW), rows_of(tensors)
        self._to_u, self._to_y = (
            Multipliers.of(tensors, f"quality.{prefix}{key}", self.n, rows) for key in ("to_u", "to_y")
        )
        self._index = table(tensors, f"quality.{prefix}index", (rows, self.n), TABLE)

    def at(self, quality: int) -> Scaling:
        """Tables of quality 1..100, or of a row above (`caecodec.tune.row`)."""
        index = self._index[quality - 1].astype(np.float64)
        return Scaling(self._to_u.at(quality), self._to_y.at(quality), index)

    @stage("integers: context")
    def features(self, step: int, psi: Array, known: Sequence[Array]) -> Array:
        """psi (h, w, C); known: four arrays (h/2, w/2, N) by phase -> (h, w, K). h, w even.

        `known` is in the context's domain, zero where there is no cell; its channels are in the order of coding, and
        those of the first `step` groups are read.
        """
        if step == 0:
            return self.first(psi, 0.0, ACTIVATION)
        arithmetic = self.arithmetic
        h, w, _ = psi.shape
        adaptor = self._adaptors[step - 1]
        acc = arithmetic.product(psi.reshape(h * w, -1), adaptor.of_psi, adaptor.bias).reshape(h, w, -1)
        for (i, j), part, weight in zip(PHASES, known, adaptor.near, strict=True):
            seen = np.ascontiguousarray(part[..., : len(weight)]).reshape(-1, len(weight))
            acc[i::2, j::2] += arithmetic.product(seen, weight, np.zeros(1)).reshape(h // 2, w // 2, -1)
        r = arithmetic.settle(acc, 0.0, STREAM)
        for block in self.trunk:
            r = block(r)
        return arithmetic.halve(r, self._narrow, ACTIVATION)

    @stage("integers: heads")
    def parameters(self, step: int, phase: int, features: Array, scaling: Scaling) -> tuple[Array, Indices]:
        """features (..., K) of one phase -> mean (..., N/4), fixed point, and scale index (..., N/4) in 0..63."""
        group = group_at(step, phase)
        quarter = self.n // STEPS
        channels = slice(group * quarter, (group + 1) * quarter)
        out = self._heads[step][group](features, -np.inf, np.inf)
        mean = scaling.to_y(out[..., :quarter], MEAN_MAX, channels)
        index = np.floor((out[..., quarter:] + scaling.index[channels]) * (1 / ONE) + 0.5)
        return mean, np.clip(index, 0, SCALES - 1).astype(np.uint8)


class EntropyNetwork:
    """h_s and the contexts of y and z, in integers. Built from the `int.*` and `quality.*` tensors of a model."""

    def __init__(self, tensors: Tensors, arithmetic: Arithmetic = NUMPY) -> None:
        """Raises ModelError where a tensor is missing or malformed, or a sum could leave 32 bits."""
        self.arithmetic = arithmetic
        try:
            self.of_y = Context(tensors, "context", "", arithmetic)
            self.of_z = Context(tensors, "context_z", "z_", arithmetic)
            self.up1, self.up2 = (Layer.of(tensors, f"int.h_s.up{i}", arithmetic) for i in (1, 2))
            self.block1, self.block2 = (Block.of(tensors, f"int.h_s.block{i}", arithmetic) for i in (1, 2))
            self.n, self.z = self.of_y.n, self.of_z.n
            self._check()
            self._of_psi = integer(tensors, "int.h_s.narrow", MOST_NARROW)
            rows = rows_of(tensors)
            self._psi = table(tensors, "quality.psi", (rows, self.of_y.psi), TABLE)
            self._psi_z = table(tensors, "quality.z_psi", (rows, self.of_z.psi), ACTIVATION)
            self._step = table(tensors, "quality.step", (rows, 1), ONE) if "quality.step" in tensors else None
        except (KeyError, IndexError) as exc:
            raise ModelError(f"the model lacks {exc}") from exc
        if self._step is not None and self._step.min() < 1:
            raise ModelError("table quality.step holds values out of range")

    def _check(self) -> None:
        """Raise ModelError unless the layers of h_s fit each other and what they stand between."""
        psi = self.of_y.psi
        fits = {
            "int.h_s.up1": self.up1.weight.shape == (self.z, 4 * psi),
            "int.h_s.up2": self.up2.weight.shape == (psi, 4 * psi) and self.up2.narrow is not None,
            "int.h_s.block": all(b.mix_in.weight.shape == (psi, psi) for b in (self.block1, self.block2)),
        }
        for name, whether in fits.items():
            if not whether:
                raise ModelError(f"{name} does not fit the rest of the entropy network")

    @property
    def is_dependent(self) -> bool:
        """Whether y is quantised dependently (`caecodec.entropy.trellis`)."""
        return self._step is not None

    def quality(self, quality: int) -> Quality:
        """Tables of quality 1..100, or of a row above (`caecodec.tune.row`)."""
        psi, psi_z = (rows[quality - 1].astype(np.float64) for rows in (self._psi, self._psi_z))
        of_y = self.of_y.at(quality)
        if self._step is not None:
            of_y = replace(of_y, step=int(self._step[quality - 1, 0]))
        return Quality(of_y, self.of_z.at(quality), psi, psi_z)

    @stage("integers: h_s")
    def hyper(self, z_hat: Array, q: Quality) -> Array:
        """z_hat (h, w, Z), fixed point -> psi (4h, 4w, C)."""
        r = self.block1(depth_to_space(self.up1(q.of_z.to_u(z_hat, ACTIVATION))))
        r = self.block2(depth_to_space(self.up2(self.up2.read(r))))
        return self.arithmetic.halve(r + q.psi, self._of_psi, ACTIVATION)
