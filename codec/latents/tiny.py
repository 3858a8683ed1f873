"""Latents of the `tiny` family <-> bytes. Many pictures of one size at once.

Arithmetic as in `caecodec.entropy.fixed_point`, exact.
Arrays are (P, height, width, channels). y_hat is symbol * 2^10 + mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.arithmetic import Array
from caecodec.entropy.checksum import checksum, confirm
from caecodec.entropy.fixed_point import ACTIVATION, ONE, Indices
from caecodec.entropy.range_coder import Decoder, encode_many
from caecodec.entropy.rounding import Unrounded, quantise
from caecodec.entropy.tables import Symbols, Tables
from caecodec.errors import ModelError
from caecodec.format.container import CHECK_BYTES
from caecodec.latents.tiny_network import ContextNetwork

Float = NDArray[np.float32]


class _Code(Protocol):
    """Symbols (P, K) of one step under mean and index (P, K); `values` when encoding."""

    def __call__(self, mean: Array, index: Indices, values: Unrounded | None) -> Symbols: ...


class ContextLatents:
    """Codes pictures of latents under one model's context network and tables."""

    def __init__(self, network: ContextNetwork, tables: Tables) -> None:
        """Raises ModelError."""
        if tables.are_dependent:
            raise ModelError("only models of photographs quantise dependently")
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
        return [checksum(latents) + stream for latents, stream in zip(y_hat, streams, strict=True)], y_hat

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

        def read(mean: Array, index: Indices, values: Unrounded | None) -> Symbols:
            return np.stack([decoder.decode(row) for decoder, row in zip(decoders, index, strict=True)])

        y_hat = self._walk((len(streams), *shape), quality, gray, read)
        for one, data in zip(y_hat, streams, strict=True):
            confirm(one, data)
        return y_hat

    def _choose(self, batches: list[tuple[Symbols, Indices]]) -> _Code:
        def choose(mean: Array, index: Indices, values: Unrounded | None) -> Symbols:
            assert values is not None
            symbols = quantise(values, mean.ravel(), index.ravel(), self._tables).reshape(mean.shape)
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
            values = None
            if y is not None:
                target = np.concatenate([y[place].reshape(p, -1) for place in places], axis=1).astype(np.float64) * ONE
                worth = None
                if weight is not None:
                    worth = np.broadcast_to(weight[step.channels].astype(np.float64), mean.shape).ravel()
                values = Unrounded(target.ravel(), worth)
            flat = mean.reshape(p, -1)
            coded = code(flat, index.reshape(p, -1), values) * float(ONE) + flat
            start = 0
            for place in places:
                extent = y_hat[place].shape
                length = extent[1] * extent[2] * size
                part = coded[:, start : start + length].reshape(extent)
                y_hat[place] = part
                known[place] = tables.to_u(part, ACTIVATION, step.channels)
                start += length
        return y_hat.astype(np.int32)
