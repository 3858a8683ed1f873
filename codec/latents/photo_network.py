"""The exact entropy network of the photo family: h_s and four context steps, the same on every machine.

Why and how it is exact: `caecodec.entropy.fixed_point`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from caecodec.entropy.arithmetic import NUMPY, Arithmetic, Array
from caecodec.entropy.fixed_point import (
    ACTIVATION,
    MEAN_MAX,
    MOST_NARROW,
    ONE,
    QUALITIES,
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
    table,
)
from caecodec.entropy.order import PHASES, STEPS, group_at
from caecodec.errors import ModelError
from caecodec.stages import stage


@dataclass(frozen=True, slots=True)
class Quality:
    """The tables of one quality, per channel."""

    to_u: Multiplier  # (N,) y_hat -> the context's domain
    to_y: Multiplier  # (N,) the context's mean -> y
    index: Array  # (N,) added to scale indices, 10 fraction bits
    psi: Array  # (C,) added to the hyper features
    z_to_u: Multiplier  # (Z,)
    z_mean: Array  # (Z,) 10 fraction bits
    z_index: Indices  # (Z,) scale index of each channel of z


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
        """From a layer that reads N channels of y and C of psi, of `step` 1 to 3."""
        groups = np.split(layer.weight[:n], STEPS)
        near = [np.concatenate([groups[group_at(s, phase)] for s in range(step)]) for phase in range(len(PHASES))]
        return cls(near, np.ascontiguousarray(layer.weight[n:]), layer.bias)


class EntropyNetwork:
    """h_s and the four context steps, in integers. Built from the `int.*` and `quality.*` tensors of a model."""

    def __init__(self, tensors: Tensors, arithmetic: Arithmetic = NUMPY) -> None:
        """Raises ModelError where a tensor is missing or malformed, or a sum could leave 32 bits."""
        self.arithmetic = arithmetic
        try:
            self.up1, self.up2 = (Layer.of(tensors, f"int.h_s.up{i}", arithmetic) for i in (1, 2))
            self.block1, self.block2 = (Block.of(tensors, f"int.h_s.block{i}", arithmetic) for i in (1, 2))
            self.first = Layer.of(tensors, "int.context.first", arithmetic)
            adaptors = [Layer.of(tensors, f"int.context.adaptors.{i}", arithmetic) for i in range(STEPS - 1)]
            depth = sum(key.startswith("int.context.trunk.") and key.endswith(".expand.shift") for key in tensors)
            self.trunk = [Block.of(tensors, f"int.context.trunk.{i}", arithmetic) for i in range(depth)]
            self._heads = [
                [Layer.of(tensors, f"int.context.head.{s}.{g}", arithmetic) for g in range(STEPS)] for s in range(STEPS)
            ]
            self.n, self.z = (int(np.asarray(tensors[f"quality.{key}"]).shape[-1]) for key in ("to_u", "z_to_u"))
            self._check(adaptors)
            self._adaptors = [Adaptor.of(adaptor, self.n, step + 1) for step, adaptor in enumerate(adaptors)]
            self._of_psi, self._of_context = (
                integer(tensors, f"int.{part}.narrow", MOST_NARROW) for part in ("h_s", "context")
            )
            self._to_u, self._to_y = (Multipliers.of(tensors, f"quality.{key}", self.n) for key in ("to_u", "to_y"))
            self._z_to_u = Multipliers.of(tensors, "quality.z_to_u", self.z)
            self._index = table(tensors, "quality.index", (QUALITIES, self.n), TABLE)
            self._psi = table(tensors, "quality.psi", (QUALITIES, len(self.first.weight)), TABLE)
            self._z_mean = table(tensors, "quality.z_mean", (QUALITIES, self.z), MEAN_MAX)
            self._z_index = table(tensors, "quality.z_index", (QUALITIES, self.z), SCALES - 1, np.uint8)
        except (KeyError, IndexError) as exc:
            raise ModelError(f"the model lacks {exc}") from exc

    def _check(self, adaptors: Sequence[Layer]) -> None:
        """Raise ModelError unless the layers fit each other."""
        psi, context = self.first.weight.shape
        fits = {
            "int.h_s.up1": self.up1.weight.shape == (self.z, 4 * psi),
            "int.h_s.up2": self.up2.weight.shape == (psi, 4 * psi) and self.up2.narrow is not None,
            "int.context.adaptors": all(a.weight.shape == (self.n + psi, context) for a in adaptors),
            "int.context.head": all(h.weight.shape == (context, self.n // 2) for row in self._heads for h in row),
            "int.h_s.block": all(b.mix_in.weight.shape == (psi, psi) for b in (self.block1, self.block2)),
            "int.context.trunk": all(b.mix_in.weight.shape == (context, context) for b in self.trunk),
            "quality.to_u": self.n % STEPS == 0,
        }
        for name, whether in fits.items():
            if not whether:
                raise ModelError(f"{name} does not fit the rest of the entropy network")

    def quality(self, quality: int) -> Quality:
        """Tables of quality 1..100."""
        at = quality - 1
        return Quality(
            to_u=self._to_u.at(quality),
            to_y=self._to_y.at(quality),
            index=self._index[at].astype(np.float64),
            psi=self._psi[at].astype(np.float64),
            z_to_u=self._z_to_u.at(quality),
            z_mean=self._z_mean[at].astype(np.float64),
            z_index=self._z_index[at].astype(np.uint8),
        )

    @stage("integers: h_s")
    def hyper(self, z_hat: Array, q: Quality) -> Array:
        """z_hat (h, w, Z), fixed point -> psi (4h, 4w, C)."""
        r = self.block1(depth_to_space(self.up1(q.z_to_u(z_hat, ACTIVATION))))
        r = self.block2(depth_to_space(self.up2(self.up2.read(r))))
        return self.arithmetic.halve(r + q.psi, self._of_psi, ACTIVATION)

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
        return arithmetic.halve(r, self._of_context, ACTIVATION)

    @stage("integers: heads")
    def parameters(self, step: int, phase: int, features: Array, q: Quality) -> tuple[Array, Indices]:
        """features (..., K) of one phase -> mean (..., N/4), fixed point, and scale index (..., N/4) in 0..63."""
        group = group_at(step, phase)
        quarter = self.n // STEPS
        channels = slice(group * quarter, (group + 1) * quarter)
        out = self._heads[step][group](features, -np.inf, np.inf)
        mean = q.to_y(out[..., :quarter], MEAN_MAX, channels)
        index = np.floor((out[..., quarter:] + q.index[channels]) * (1 / ONE) + 0.5)
        return mean, np.clip(index, 0, SCALES - 1).astype(np.uint8)
