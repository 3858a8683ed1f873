"""One tile's latents <-> bytes: the walk over z and the four context steps that encoder and decoder share.

Arrays are (height, width, channels). y_hat and z_hat are fixed point, symbol * 2^10 + mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.arithmetic import Array
from caecodec.entropy.checksum import checksum, confirm
from caecodec.entropy.fixed_point import ACTIVATION, ONE, Indices
from caecodec.entropy.order import PHASES, STEPS, group_at
from caecodec.entropy.rounding import RDO_STRENGTH, Strength, Unrounded
from caecodec.entropy.tables import Tables
from caecodec.format.container import CHECK_BYTES
from caecodec.latents.photo_network import EntropyNetwork, Quality
from caecodec.latents.symbol_coders import Counter, Meter, Reader, SymbolCoder, Tally, Writer
from caecodec.stages import stage

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """What an encoder codes, as in `LatentCodec.encode`."""

    y: Float
    z: Float
    weight: Float | None
    strength: Strength

    def of_z(self) -> Unrounded:
        """z as one row."""
        return Unrounded(self.z.ravel().astype(np.float64) * ONE, None)

    def of_y(self, parts: Sequence[_Part]) -> Unrounded:
        """Some parts of y as one row."""
        target = np.concatenate([self.y[part.place].ravel().astype(np.float64) * ONE for part in parts])
        if self.weight is None:
            return Unrounded(target, None, RDO_STRENGTH)
        weight = [np.broadcast_to(self.weight[part.channels], part.mean.shape).ravel() for part in parts]
        strength = self.strength
        if not isinstance(strength, float):
            of_cells = [np.broadcast_to(strength[part.cells][..., None], part.mean.shape) for part in parts]
            strength = np.concatenate([cells.ravel() for cells in of_cells])
        return Unrounded(target, np.concatenate(weight), strength)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What one phase of a step codes: cells and channels of y, under mean and scale index (rows, columns, N/4)."""

    phase: int
    cells: tuple[slice, slice]
    channels: slice
    mean: Array
    index: Indices

    @property
    def place(self) -> tuple[slice, slice, slice]:
        """In y."""
        return (*self.cells, self.channels)


class LatentCodec:
    """Codes tiles of latents under one model's integer network and tables."""

    def __init__(self, network: EntropyNetwork, tables: Tables) -> None:
        self._network, self._tables = network, tables

    def encode(
        self, y: Float, z: Float, quality: int, weight: Float | None = None, strength: Strength = RDO_STRENGTH
    ) -> tuple[bytes, NDArray[np.int32]]:
        """y (h, w, N) and z (ceil(h/4), ceil(w/4), Z), both after their gains -> stream, y_hat (h, w, N).

        weight (N,): bits that an error of one step^2 in each channel is worth; None rounds to nearest. strength: as in
        `Unrounded`, one for all cells or (h, w).
        """
        writer = Writer(self._tables)
        y_hat = self._walk(y.shape[:2], quality, writer, _Given(y, z, weight, strength))
        return checksum(y_hat) + writer.finish(), y_hat

    def cost(
        self, y: Float, z: Float, quality: int, weight: Float | None = None, strength: Strength = RDO_STRENGTH
    ) -> tuple[float, NDArray[np.int32]]:
        """Bytes that `encode` would write, less one and 2e-5 a symbol at most, and y_hat; writes nothing."""
        counter = Counter(self._tables)
        y_hat = self._walk(y.shape[:2], quality, counter, _Given(y, z, weight, strength))
        return counter.bits / 8 + CHECK_BYTES, y_hat

    def tally(
        self, y: Float, z: Float, quality: int, weight: Float | None = None, strength: Strength = RDO_STRENGTH
    ) -> NDArray[np.int64]:
        """How often `encode` would use every entry of every table: (64, widest), laid out as `Tables.bits`."""
        tally = Tally(self._tables)
        self._walk(y.shape[:2], quality, tally, _Given(y, z, weight, strength))
        return tally.counts

    def decode(self, data: bytes, shape: tuple[int, int], quality: int) -> NDArray[np.int32]:
        """Stream, (h, w) in cells -> y_hat (h, w, N). Raises CorruptFileError where the latents miss their check."""
        return self._read(data, shape, quality, Reader(self._tables, data[CHECK_BYTES:]))

    def bits(self, data: bytes, shape: tuple[int, int], quality: int) -> tuple[Float, Float]:
        """Stream, (h, w) in cells -> bits of y (h, w), bits of z (ceil(h/4), ceil(w/4)). Raises as `decode`."""
        meter = Meter(self._tables, data[CHECK_BYTES:])
        self._read(data, shape, quality, meter)
        h, w = shape
        of_z, *of_steps = meter.bits
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

    def _read(self, data: bytes, shape: tuple[int, int], quality: int, reader: Reader) -> NDArray[np.int32]:
        y_hat = self._walk(shape, quality, reader, None)
        confirm(y_hat, data)
        return y_hat

    @stage("latents, the rest")
    def _walk(self, shape: tuple[int, ...], quality: int, code: SymbolCoder, given: _Given | None) -> NDArray[np.int32]:
        """Code z, then y in four steps -> y_hat (h, w, N). given: when encoding, what to code."""
        net = self._network
        tables = net.quality(quality)
        h, w = shape
        even = (h + h % 2, w + w % 2)
        z_hat = self._walk_z(shape, tables, code, given)
        psi = np.ascontiguousarray(net.hyper(z_hat, tables)[: even[0], : even[1]])
        known = [np.zeros((even[0] // 2, even[1] // 2, net.n)) for _ in PHASES]  # channels in the order of coding
        y_hat = np.empty((h, w, net.n))
        quarter = net.n // 4
        for step in range(STEPS):
            parts = self._parts(step, net.features(step, psi, known), (h, w), tables)
            mean = np.concatenate([part.mean.ravel() for part in parts])
            index = np.concatenate([part.index.ravel() for part in parts])
            symbols = code(mean, index, None if given is None else given.of_y(parts))
            values = symbols * float(ONE) + mean
            start = 0
            for part in parts:
                extent = part.mean.shape
                here = values[start : start + part.mean.size].reshape(extent)
                start += part.mean.size
                y_hat[part.place] = here
                if step + 1 < STEPS:
                    mine = known[part.phase][: extent[0], : extent[1], step * quarter : (step + 1) * quarter]
                    mine[:] = tables.to_u(here, ACTIVATION, part.channels)
        return y_hat.astype(np.int32)

    def _walk_z(self, shape: tuple[int, ...], tables: Quality, code: SymbolCoder, given: _Given | None) -> Array:
        """Code z -> z_hat (ceil(h/4), ceil(w/4), Z)."""
        z_shape = (-(-shape[0] // 4), -(-shape[1] // 4), self._network.z)
        mean = np.broadcast_to(tables.z_mean, z_shape).ravel()
        index = np.broadcast_to(tables.z_index, z_shape).ravel()
        symbols = code(mean, index, None if given is None else given.of_z())
        return (symbols * float(ONE) + mean).reshape(z_shape)

    def _parts(self, step: int, features: Array, shape: tuple[int, int], tables: Quality) -> list[_Part]:
        """What a step codes, by phase; a tile of one row or column lacks some."""
        found = []
        h, w = shape
        quarter = self._network.n // 4
        for phase, (i, j) in enumerate(PHASES):
            if i < h and j < w:
                group = group_at(step, phase)
                mean, index = self._network.parameters(step, phase, features[i:h:2, j:w:2], tables)
                cells = (slice(i, h, 2), slice(j, w, 2))
                found.append(_Part(phase, cells, slice(group * quarter, (group + 1) * quarter), mean, index))
        return found
