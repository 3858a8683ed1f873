"""One tile's latents <-> bytes: the walk over z and the four context steps that encoder and decoder share.

Arrays are (height, width, channels). y_hat and z_hat are fixed point, symbol * 2^10 + mean.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.arithmetic import Array
from caecodec.entropy.fixed_point import (
    ONE,
    PHASES,
    RDO_STRENGTH,
    SATURATION,
    STEPS,
    SYMBOL_MAX,
    EntropyNetwork,
    Indices,
    group_at,
    multiply,
)
from caecodec.entropy.tables import Decoder, Encoder, Symbols, Tables
from caecodec.errors import CorruptFileError
from caecodec.format.container import CHECK_BYTES

Float = NDArray[np.float32]
Strength = float | Float


@dataclass(frozen=True, slots=True)
class Source:
    """What an encoder quantises: `target` (K,), fixed point; `weight` (K,), bits an error of one step^2 is worth.

    strength: how much of the bits that moving a symbol saves its distortion may use up; one for all, or (K,).
    """

    target: Array
    weight: Array | None
    strength: Strength = RDO_STRENGTH


class SymbolCoder(Protocol):
    """Writes, reads or only counts one batch of symbols."""

    def __call__(self, mean: Array, index: Indices, source: Source | None) -> Symbols:
        """mean, index and (when encoding) what is to be quantised, all (K,) -> symbols (K,)."""


def quantise(source: Source, mean: Array, index: Indices, tables: Tables) -> Symbols:
    """Round to nearest, or one step nearer to zero where that saves more rate than it costs distortion."""
    residual = (source.target - mean) * (1 / ONE)
    symbols = np.clip(np.floor(residual + 0.5), -SYMBOL_MAX, SYMBOL_MAX).astype(np.int32)
    if source.weight is None:
        return symbols
    at = np.flatnonzero(symbols)
    some, r = symbols[at], residual[at]
    shrunk = some - np.sign(some)
    added = ((r - shrunk) ** 2 - (r - some) ** 2) * source.weight[at]
    strength = source.strength if isinstance(source.strength, float) else source.strength[at]
    symbols[at] = np.where(added < strength * tables.shrink_saves(some, index[at]), shrunk, some)
    return symbols


class _Write:
    def __init__(self, tables: Tables) -> None:
        self.tables, self.encoder = tables, Encoder(tables)

    def __call__(self, mean: Array, index: Indices, source: Source | None) -> Symbols:
        assert source is not None
        symbols = quantise(source, mean, index, self.tables)
        self.encoder.encode(symbols, index)
        return symbols


class _Count:
    def __init__(self, tables: Tables) -> None:
        self.tables, self.bits = tables, 0.0

    def __call__(self, mean: Array, index: Indices, source: Source | None) -> Symbols:
        assert source is not None
        symbols = quantise(source, mean, index, self.tables)
        self.bits += self.tables.cost(symbols, index)
        return symbols


class _Tally:
    """Counts how often every entry of every table is used."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.counts: NDArray[np.int64] = np.zeros(tables.bits.shape, np.int64)

    def __call__(self, mean: Array, index: Indices, source: Source | None) -> Symbols:
        assert source is not None
        symbols = quantise(source, mean, index, self.tables)
        tail = self.tables.tail[index]
        entry = np.where(np.abs(symbols) <= tail, symbols + tail, 2 * tail + 1)
        place = index.astype(np.int64) * self.counts.shape[1] + entry
        self.counts += np.bincount(place, minlength=self.counts.size).reshape(self.counts.shape)
        return symbols


class _Read:
    def __init__(self, tables: Tables, data: bytes) -> None:
        self.decoder = Decoder(tables, data)

    def __call__(self, mean: Array, index: Indices, source: Source | None) -> Symbols:
        return self.decoder.decode(index)


class _Measure(_Read):
    """Reads, and keeps what every symbol costs, one array a call."""

    def __init__(self, tables: Tables, data: bytes) -> None:
        super().__init__(tables, data)
        self.tables, self.bits = tables, list[NDArray[np.float64]]()

    def __call__(self, mean: Array, index: Indices, source: Source | None) -> Symbols:
        symbols = super().__call__(mean, index, source)
        self.bits.append(self.tables.costs(symbols, index))
        return symbols


class LatentCodec:
    """Codes tiles of latents under one model's integer network and tables."""

    def __init__(self, network: EntropyNetwork, tables: Tables) -> None:
        self._network, self._tables = network, tables

    def encode(
        self, y: Float, z: Float, quality: int, weight: Float | None = None, strength: Strength = RDO_STRENGTH
    ) -> tuple[bytes, NDArray[np.int32]]:
        """y (h, w, N) and z (ceil(h/4), ceil(w/4), Z), both after their gains -> stream, y_hat (h, w, N).

        weight (N,): bits that an error of one step^2 in each channel is worth; None rounds to nearest. strength: as in
        `Source`, one for all cells or (h, w).
        """
        writer = _Write(self._tables)
        y_hat = self._walk(y.shape[:2], quality, writer, y, z, weight, strength)
        return check(y_hat) + writer.encoder.finish(), y_hat

    def cost(
        self, y: Float, z: Float, quality: int, weight: Float | None = None, strength: Strength = RDO_STRENGTH
    ) -> tuple[float, NDArray[np.int32]]:
        """Bytes that `encode` would write, less one and 2e-5 a symbol at most, and y_hat; writes nothing."""
        counter = _Count(self._tables)
        y_hat = self._walk(y.shape[:2], quality, counter, y, z, weight, strength)
        return counter.bits / 8 + CHECK_BYTES, y_hat

    def tally(
        self, y: Float, z: Float, quality: int, weight: Float | None = None, strength: Strength = RDO_STRENGTH
    ) -> NDArray[np.int64]:
        """How often `encode` would use every entry of every table: (64, widest), laid out as `Tables.bits`."""
        counter = _Tally(self._tables)
        self._walk(y.shape[:2], quality, counter, y, z, weight, strength)
        return counter.counts

    def decode(self, data: bytes, shape: tuple[int, int], quality: int) -> NDArray[np.int32]:
        """Stream, (h, w) in cells -> y_hat (h, w, N). Raises CorruptFileError where the latents miss their check."""
        return self._read(data, shape, quality, _Read(self._tables, data[CHECK_BYTES:]))

    def bits(self, data: bytes, shape: tuple[int, int], quality: int) -> tuple[Float, Float]:
        """Stream, (h, w) in cells -> bits of y (h, w), bits of z (ceil(h/4), ceil(w/4)). Raises as `decode`."""
        reader = _Measure(self._tables, data[CHECK_BYTES:])
        self._read(data, shape, quality, reader)
        h, w = shape
        of_z, *of_steps = reader.bits
        of_y = np.zeros(shape, np.float32)
        for step in of_steps:
            start = 0
            for i, j in PHASES:
                place = of_y[i::2, j::2]
                size = place.size * self._network.n // STEPS
                if size:
                    place += step[start : start + size].reshape(*place.shape, -1).sum(-1)
                start += size
        return of_y, of_z.reshape(-(-h // 4), -(-w // 4), -1).sum(-1).astype(np.float32)

    def _read(self, data: bytes, shape: tuple[int, int], quality: int, reader: _Read) -> NDArray[np.int32]:
        y_hat = self._walk(shape, quality, reader)
        if check(y_hat) != data[:CHECK_BYTES]:
            raise CorruptFileError(
                "the decoded latents do not match their checksum: this decoder disagrees with the encoder; "
                "please report the file and `caecodec --version`"
            )
        return y_hat

    def _walk(
        self,
        shape: tuple[int, ...],
        quality: int,
        code: SymbolCoder,
        y: Float | None = None,
        z: Float | None = None,
        weight: Float | None = None,
        strength: Strength = RDO_STRENGTH,
    ) -> NDArray[np.int32]:
        net = self._network
        tables = net.quality(quality)
        h, w = shape
        z_shape = (-(-h // 4), -(-w // 4), net.z)
        z_mean = np.broadcast_to(tables.z_mean, z_shape).ravel()
        z_index = np.broadcast_to(tables.z_index, z_shape).ravel()
        z_source = None if z is None else Source(z.ravel().astype(np.float64) * ONE, None)
        z_hat = code(z_mean, z_index, z_source) * float(ONE) + z_mean

        even = (h + h % 2, w + w % 2)
        psi = np.ascontiguousarray(net.hyper(z_hat.reshape(z_shape), tables)[: even[0], : even[1]])
        known = [np.zeros((even[0] // 2, even[1] // 2, net.n)) for _ in PHASES]  # channels in the order of coding
        y_hat = np.empty((h, w, net.n))
        quarter = net.n // 4
        for step in range(STEPS):
            features = net.features(step, psi, known)
            places, means, indices, targets, weights, strengths = [], [], [], [], [], []
            for phase, (i, j) in enumerate(PHASES):
                group = group_at(step, phase)
                place = (slice(i, h, 2), slice(j, w, 2), slice(group * quarter, (group + 1) * quarter))
                if i >= h or j >= w:
                    continue
                mean, index = net.parameters(step, phase, features[i:h:2, j:w:2], tables)
                places.append((phase, place, mean.shape))
                means.append(mean.ravel())
                indices.append(index.ravel())
                if y is not None:
                    targets.append(y[place].ravel().astype(np.float64) * ONE)
                if weight is not None:
                    weights.append(np.broadcast_to(weight[place[2]], mean.shape).ravel())
                    if not isinstance(strength, float):
                        strengths.append(np.broadcast_to(strength[place[:2]][..., None], mean.shape).ravel())
            mean_row = np.concatenate(means)
            source = None
            if targets:
                how = strength if isinstance(strength, float) else np.concatenate(strengths)
                source = Source(np.concatenate(targets), np.concatenate(weights) if weights else None, how)
            symbols = code(mean_row, np.concatenate(indices), source)
            values = symbols * float(ONE) + mean_row
            start = 0
            for phase, place, extent in places:
                size = int(np.prod(extent))
                part = values[start : start + size].reshape(extent)
                y_hat[place] = part
                if step + 1 < STEPS:
                    mine = known[phase][: extent[0], : extent[1], step * quarter : (step + 1) * quarter]
                    mine[:] = multiply(part, tables.to_u[place[2]], SATURATION, net.arithmetic)
                start += size
        return y_hat.astype(np.int32)


def check(y_hat: NDArray[np.int32]) -> bytes:
    """Low 16 bits of the CRC-32 of y_hat as little-endian int32 in (row, column, channel) order."""
    crc = zlib.crc32(np.ascontiguousarray(y_hat, "<i4").data)
    return (crc & 0xFFFF).to_bytes(CHECK_BYTES, "little")
