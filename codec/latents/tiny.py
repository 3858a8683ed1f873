"""The exact context network of the `tiny` family, and latents <-> bytes under it. Many pictures of one size at once.

Arithmetic as in `caecodec.entropy.fixed_point`: fixed point with 10 fraction bits in float64, every sum proven exact.
Arrays are (P, height, width, channels). y_hat is symbol * 2^10 + mean.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.arithmetic import Array
from caecodec.entropy.fixed_point import (
    EXACT,
    MEAN_MAX,
    ONE,
    PHASES,
    QUALITIES,
    SATURATION,
    SCALES,
    TABLE_BITS,
    VALUE_MAX,
    Indices,
    Layer,
    multiply,
)
from caecodec.entropy.tables import Decoder, Symbols, Tables, encode_many
from caecodec.errors import CorruptFileError, ModelError
from caecodec.format.container import CHECK_BYTES
from caecodec.latents.photo import Float, Source, check, quantise

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


class _Code(Protocol):
    """Symbols (P, K) of one step under mean and index (P, K); `source` when encoding."""

    def __call__(self, mean: Array, index: Indices, source: Source | None) -> Symbols: ...


class ContextLatents:
    """Codes pictures of latents under one model's context network and tables."""

    def __init__(self, network: ContextNetwork, tables: Tables) -> None:
        self._network, self._tables = network, tables

    def encode(
        self, y: Float, quality: int, gray: bool, weight: Float | None = None
    ) -> tuple[list[bytes], NDArray[np.int32]]:
        """y (P, h, w, N) after its gain -> a stream for each picture, y_hat (P, h, w, N).

        weight (N,): bits that an error of one step^2 in each channel is worth; None rounds to nearest.
        """
        batches: list[tuple[Symbols, Indices]] = []
        y_hat = self._walk(y.shape[:3], quality, gray, self._choose(batches), y, weight)
        streams = encode_many(self._tables, batches)
        return [check(latents) + stream for latents, stream in zip(y_hat, streams, strict=True)], y_hat

    def cost(self, y: Float, quality: int, gray: bool, weight: Float | None = None) -> tuple[float, NDArray[np.int32]]:
        """Bytes that `encode` would write of all pictures together, about, and y_hat; writes nothing."""
        batches: list[tuple[Symbols, Indices]] = []
        y_hat = self._walk(y.shape[:3], quality, gray, self._choose(batches), y, weight)
        bits = sum(self._tables.cost(symbols, index) for symbols, index in batches)
        return bits / 8 + CHECK_BYTES * len(y), y_hat

    def decode(self, streams: Sequence[bytes], shape: tuple[int, int], quality: int, gray: bool) -> NDArray[np.int32]:
        """Streams of P pictures, (h, w) in cells -> y_hat (P, h, w, N).

        Raises CorruptFileError where the latents miss their check.
        """
        decoders = [Decoder(self._tables, data[CHECK_BYTES:]) for data in streams]

        def read(mean: Array, index: Indices, source: Source | None) -> Symbols:
            return np.stack([decoder.decode(row) for decoder, row in zip(decoders, index, strict=True)])

        y_hat = self._walk((len(streams), *shape), quality, gray, read)
        if any(check(one) != data[:CHECK_BYTES] for one, data in zip(y_hat, streams, strict=True)):
            raise CorruptFileError(
                "the decoded latents do not match their checksum: this decoder disagrees with the encoder; "
                "please report the file and `caecodec --version`"
            )
        return y_hat

    def _choose(self, batches: list[tuple[Symbols, Indices]]) -> _Code:
        def choose(mean: Array, index: Indices, source: Source | None) -> Symbols:
            assert source is not None
            symbols = quantise(source, mean.ravel(), index.ravel(), self._tables).reshape(mean.shape)
            batches.append((symbols, index))
            return symbols

        return choose

    def _walk(
        self,
        shape: tuple[int, ...],
        quality: int,
        gray: bool,
        code: _Code,
        y: Float | None = None,
        weight: Float | None = None,
    ) -> NDArray[np.int32]:
        net = self._network
        p, h, w = shape
        tables = net.quality(quality, gray)
        known, y_hat = np.zeros((p, h, w, net.n)), np.zeros((p, h, w, net.n))
        for step in net.steps:
            if all(i >= h or j >= w for i, j in step.phases):
                continue  # a picture of one row or column of cells
            places = [(slice(None), slice(i, h, 2), slice(j, w, 2), step.channels) for i, j in step.phases]
            mean, index = net.parameters(step, known, tables)
            size = mean.shape[-1]
            source = None
            if y is not None:
                target = np.concatenate([y[place].reshape(p, -1) for place in places], axis=1).astype(np.float64) * ONE
                worth = None
                if weight is not None:
                    worth = np.broadcast_to(weight[step.channels].astype(np.float64), mean.shape).ravel()
                source = Source(target.ravel(), worth)
            flat = mean.reshape(p, -1)
            values = code(flat, index.reshape(p, -1), source) * float(ONE) + flat
            start = 0
            for place in places:
                extent = y_hat[place].shape
                length = extent[1] * extent[2] * size
                part = values[:, start : start + length].reshape(extent)
                y_hat[place] = part
                known[place] = multiply(part, tables.to_u[step.channels], SATURATION)
                start += length
        return y_hat.astype(np.int32)
