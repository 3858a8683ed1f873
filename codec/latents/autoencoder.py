"""Latents of an autoencoder <-> bytes: a table for every channel and quality, and nothing that depends on data.

Latents of a picture are one row (K,) of integers: symbols of y in raster order (row, column, channel), then the places
0..3 of unpooling where the model sends them, each in raster order, innermost pooling last.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.checksum import checksum, confirm
from caecodec.entropy.fixed_point import SCALES, Indices
from caecodec.entropy.range_coder import Decoder, encode_many
from caecodec.entropy.tables import Tables
from caecodec.errors import CorruptFileError, ModelError
from caecodec.format.container import CHECK_BYTES
from caecodec.tune import QUALITIES

Latents = NDArray[np.int32]
SILENT = 255  # in place of a table: the channel is not coded at this quality, its symbols are 0
PLACES = 4


class FactorisedLatents:
    """Codes rows of latents under one model's tables."""

    def __init__(self, tensors: Mapping[str, NDArray[np.generic]], cells: int, channels: int, places: int) -> None:
        """Positions and channels of y, and unpooling places, of a picture. Raises ModelError, KeyError."""
        self._tables = Tables.of(tensors["table.frequencies"], tensors["table.tail"])
        if self._tables.are_dependent:
            raise ModelError("only models of photographs quantise dependently")
        self._index, self._places = np.asarray(tensors["quality.table"]), np.asarray(tensors["place.table"])
        self._cells = cells
        if self._index.dtype != np.uint8 or self._index.shape != (QUALITIES, channels):
            raise ModelError("the tables of the latents' channels are malformed")
        if self._places.dtype != np.uint8 or self._places.shape != (places,):
            raise ModelError("the tables of the unpooling places are malformed")
        if (self._index[self._index != SILENT] >= SCALES).any() or (self._places >= SCALES).any():
            raise ModelError("a channel names a table that is not there")
        if (self._tables.tail[self._places] < PLACES // 2).any():
            raise ModelError("a table of the unpooling places is too short")

    def plan(self, quality: int) -> tuple[NDArray[np.intp], Indices]:
        """What is coded at a quality: positions in the row of latents, and the table of each."""
        index = np.concatenate((np.tile(self._index[quality - 1], self._cells), self._places))
        coded = np.flatnonzero(index != SILENT)
        return coded, index[coded]

    def place_bits(self) -> NDArray[np.float32]:
        """Bits of each unpooling place in each cell, (K, 4)."""
        columns = self._tables.tail[self._places][:, None] + np.arange(-1, PLACES - 1)
        bits: NDArray[np.float32] = self._tables.bits[self._places[:, None], columns].astype(np.float32)
        return bits

    def silence(self, symbols: Latents, quality: int) -> Latents:
        """Symbols (P, cells * channels) with those of silent channels set to 0."""
        silent = np.tile(self._index[quality - 1] == SILENT, self._cells)
        coded: Latents = np.where(silent, np.int32(0), symbols)
        return coded

    def encode(self, latents: Latents, quality: int) -> list[bytes]:
        """Latents (P, K), silent ones 0 -> a stream for each picture."""
        coded, index = self.plan(quality)
        # places as -1..2, so that they fit tables around zero
        symbols = self._shifted(latents, -1)[:, coded]
        streams = encode_many(self._tables, [(symbols, np.broadcast_to(index, symbols.shape))])
        return [checksum(row) + stream for row, stream in zip(latents, streams, strict=True)]

    def cost(self, latents: Latents, quality: int) -> float:
        """Bytes that `encode` would write of one row (K,), about."""
        coded, index = self.plan(quality)
        return self._tables.cost(self._shifted(latents[None], -1)[0, coded], index) / 8 + CHECK_BYTES

    def decode(self, data: bytes, quality: int) -> Latents:
        """Stream -> latents (K,). Raises CorruptFileError where they miss their check."""
        coded, index = self.plan(quality)
        latents = np.zeros(self._cells * self._index.shape[1] + len(self._places), np.int32)
        latents[coded] = Decoder(self._tables, data[CHECK_BYTES:]).decode(index)
        latents = self._shifted(latents[None], 1).reshape(-1)
        confirm(latents, data)
        places = latents[len(latents) - len(self._places) :]
        if ((places < 0) | (places >= PLACES)).any():
            raise CorruptFileError("an unpooling place is not one of the four")
        return latents

    def _shifted(self, latents: Latents, by: int) -> Latents:
        if not len(self._places):
            return latents
        shifted = latents.copy()
        shifted[:, -len(self._places) :] += by
        return shifted
