"""One tile's latents <-> bytes: the walk in four steps over z, then over y, that encoder and decoder share.

Arrays are (height, width, channels). y_hat and z_hat are fixed point, symbol * 2^10 + mean, but for what is quantised
dependently (`caecodec.entropy.trellis`).
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
from caecodec.errors import ModelError
from caecodec.format.container import CHECK_BYTES
from caecodec.latents.photo_network import Context, EntropyNetwork, Quality, Scaling
from caecodec.latents.symbol_coders import Counter, Meter, Reader, SymbolCoder, Tally, Writer
from caecodec.stages import stage

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """What an encoder codes of y or of z: values (h, w, N), weight and strength as in `LatentCodec.encode`."""

    values: Float
    weight: Float | None = None
    strength: Strength = RDO_STRENGTH

    def of(self, parts: Sequence[_Part]) -> Unrounded:
        """Some parts as one row."""
        target = np.concatenate([self.values[part.place].ravel().astype(np.float64) * ONE for part in parts])
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
    """What one phase of a step codes: cells and channels, under mean and scale index (rows, columns, N/4)."""

    phase: int
    cells: tuple[slice, slice]
    channels: slice
    mean: Array
    index: Indices

    @property
    def place(self) -> tuple[slice, slice, slice]:
        """In the latents."""
        return (*self.cells, self.channels)


class LatentCodec:
    """Codes tiles of latents under one model's integer network and tables."""

    def __init__(self, network: EntropyNetwork, tables: Tables) -> None:
        """Raises ModelError where one of them quantises dependently and the other does not."""
        if network.is_dependent != tables.are_dependent:
            raise ModelError("quality.step and the number of frequency tables do not fit each other")
        self._network, self._tables = network, tables

    def encode(
        self, y: Float, z: Float, quality: int, weight: Float | None = None, strength: Strength = RDO_STRENGTH
    ) -> tuple[bytes, NDArray[np.int32]]:
        """y (h, w, N) and z (ceil(h/4), ceil(w/4), Z), both after their gains -> stream, y_hat (h, w, N).

        weight (N,): bits that an error of one step^2 in each channel is worth; None rounds to nearest. strength: as in
        `Unrounded`, one for all cells or (h, w).
        """
        writer = Writer(self._tables)
        y_hat = self._walk(y.shape[:2], quality, writer, _Given(y, weight, strength), _Given(z))
        return checksum(y_hat) + writer.finish(), y_hat

    def cost(
        self, y: Float, z: Float, quality: int, weight: Float | None = None, strength: Strength = RDO_STRENGTH
    ) -> tuple[float, NDArray[np.int32]]:
        """Bytes that `encode` would write, less one and 2e-5 a symbol at most, and y_hat; writes nothing."""
        counter = Counter(self._tables)
        y_hat = self._walk(y.shape[:2], quality, counter, _Given(y, weight, strength), _Given(z))
        return counter.bits / 8 + CHECK_BYTES, y_hat

    def tally(
        self, y: Float, z: Float, quality: int, weight: Float | None = None, strength: Strength = RDO_STRENGTH
    ) -> NDArray[np.int64]:
        """How often `encode` would use every entry of every table, laid out as `Tables.bits`."""
        tally = Tally(self._tables)
        self._walk(y.shape[:2], quality, tally, _Given(y, weight, strength), _Given(z))
        return tally.counts

    def psi(self, z: Float, quality: int) -> tuple[Array, float]:
        """z (h, w, Z) after its gain -> psi (4h, 4w, C) of it as it is coded, and the bits it takes."""
        counter, tables = Counter(self._tables), self._network.quality(quality)
        z_hat = self._walk_z(z.shape[:2], tables, counter, _Given(z))
        return self._network.hyper(z_hat, tables), counter.bits

    def decode(self, data: bytes, shape: tuple[int, int], quality: int) -> NDArray[np.int32]:
        """Stream, (h, w) in cells -> y_hat (h, w, N). Raises CorruptFileError where the latents miss their check."""
        return self._read(data, shape, quality, Reader(self._tables, data[CHECK_BYTES:]))

    def bits(self, data: bytes, shape: tuple[int, int], quality: int) -> tuple[Float, Float]:
        """Stream, (h, w) in cells -> bits of y (h, w), bits of z (ceil(h/4), ceil(w/4)). Raises as `decode`."""
        meter = Meter(self._tables, data[CHECK_BYTES:])
        self._read(data, shape, quality, meter)
        h, w = shape
        of_z = _by_cell(meter.bits[:STEPS], (-(-h // 4), -(-w // 4)), self._network.z)
        return _by_cell(meter.bits[STEPS:], shape, self._network.n), of_z

    def _read(self, data: bytes, shape: tuple[int, int], quality: int, reader: Reader) -> NDArray[np.int32]:
        y_hat = self._walk(shape, quality, reader)
        confirm(y_hat, data)
        return y_hat

    @stage("latents, the rest")
    def _walk(
        self,
        shape: tuple[int, ...],
        quality: int,
        code: SymbolCoder,
        y: _Given | None = None,
        z: _Given | None = None,
    ) -> NDArray[np.int32]:
        """Code z, then y -> y_hat (h, w, N). y, z: when encoding, what to code."""
        net = self._network
        tables = net.quality(quality)
        h, w = shape
        z_hat = self._walk_z((-(-h // 4), -(-w // 4)), tables, code, z)
        rows, columns = _even((h, w))
        psi = np.ascontiguousarray(net.hyper(z_hat, tables)[:rows, :columns])
        return self._steps(net.of_y, psi, (h, w), tables.of_y, code, y).astype(np.int32)

    def _walk_z(self, shape: tuple[int, ...], tables: Quality, code: SymbolCoder, given: _Given | None) -> Array:
        """Code z of (h, w) cells -> z_hat (h, w, Z), fixed point."""
        h, w = shape
        psi = np.broadcast_to(tables.psi_z, (*_even((h, w)), len(tables.psi_z)))
        return self._steps(self._network.of_z, np.ascontiguousarray(psi), (h, w), tables.of_z, code, given)

    def _steps(
        self,
        context: Context,
        psi: Array,
        shape: tuple[int, int],
        scaling: Scaling,
        code: SymbolCoder,
        given: _Given | None,
    ) -> Array:
        """Code latents of (h, w) cells in four steps -> (h, w, N), fixed point. psi: of as many cells, made even."""
        rows, columns, _ = psi.shape
        known = [np.zeros((rows // 2, columns // 2, context.n)) for _ in PHASES]  # channels in the order of coding
        found = np.empty((*shape, context.n))
        quarter = context.n // STEPS
        for step in range(STEPS):
            parts = self._parts(context, step, context.features(step, psi, known), shape, scaling)
            mean = np.concatenate([part.mean.ravel() for part in parts])
            index = np.concatenate([part.index.ravel() for part in parts])
            values = mean + code(mean, index, None if given is None else given.of(parts), scaling.step)
            start = 0
            for part in parts:
                extent = part.mean.shape
                here = values[start : start + part.mean.size].reshape(extent)
                start += part.mean.size
                found[part.place] = here
                if step + 1 < STEPS:
                    mine = known[part.phase][: extent[0], : extent[1], step * quarter : (step + 1) * quarter]
                    mine[:] = scaling.to_u(here, ACTIVATION, part.channels)
        return found

    def _parts(
        self, context: Context, step: int, features: Array, shape: tuple[int, int], scaling: Scaling
    ) -> list[_Part]:
        """What a step codes, by phase; latents of one row or column lack some."""
        found = []
        h, w = shape
        quarter = context.n // STEPS
        for phase, (i, j) in enumerate(PHASES):
            if i < h and j < w:
                group = group_at(step, phase)
                mean, index = context.parameters(step, phase, features[i:h:2, j:w:2], scaling)
                cells = (slice(i, h, 2), slice(j, w, 2))
                found.append(_Part(phase, cells, slice(group * quarter, (group + 1) * quarter), mean, index))
        return found


def _even(shape: tuple[int, int]) -> tuple[int, int]:
    """Both rounded up to even."""
    return shape[0] + shape[0] % 2, shape[1] + shape[1] % 2


def _by_cell(steps: Sequence[NDArray[np.float64]], shape: tuple[int, int], n: int) -> Float:
    """What the symbols of four steps cost, by phase, of n channels -> what each cell's cost, (h, w)."""
    cells = np.zeros(shape, np.float32)
    for step in steps:
        start = 0
        for i, j in PHASES:
            place = cells[i::2, j::2]
            size = place.size * n // STEPS
            if size:
                place += step[start : start + size].reshape(*place.shape, -1).sum(-1)
            start += size
    return cells
