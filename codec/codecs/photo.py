"""The codec of the photo family: pictures of any size, in tiles."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from caecodec.codecs import tiling
from caecodec.codecs.codec import Codec, Latents, Progress, no_progress
from caecodec.engines import opening
from caecodec.engines.protocol import PhotoEngine, PhotoLatents
from caecodec.entropy.arithmetic import NUMPY, Arithmetic
from caecodec.entropy.fixed_point import ONE
from caecodec.entropy.rounding import RDO_STRENGTH, Strength
from caecodec.entropy.tables import Tables
from caecodec.format import container
from caecodec.format.container import Container
from caecodec.latents.allocation import BitAllocation
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.models.networks.trade import Trade, activity, trade
from caecodec.pictures import cells
from caecodec.pictures.picture import Picture, Pixels
from caecodec.tune import Tune
from caecodec.zoo.file import Model

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """One tile's y and z before their gains: what every quality is made from."""

    tile: tiling.Tile
    y: Float
    z: Float
    activity: Float  # (h, w), see `caecodec.models.networks.trade.activity`
    strength: float = RDO_STRENGTH  # of rate against distortion while rounding; 0 is none
    tune: Tune = "eye"


class PhotoCodec(Codec):
    """Pictures of any size, in tiles."""

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto", engine: str = "auto") -> None:
        """The engine is made when pixels are first needed; what its device lacks is said then."""
        self.model = model
        self._asked = device, precision, engine

    @functools.cached_property
    def engine(self) -> PhotoEngine:
        """Pixels <-> latents."""
        return opening.photo(self.model, *self._asked)

    @functools.cached_property
    def tables(self) -> Tables:
        """What symbols cost, for those who choose them here."""
        return Tables.of(self.model.tensors["table.frequencies"], self.model.tensors["table.tail"])

    def load(self) -> None:
        _ = self.engine, self.latents

    @property
    def latents(self) -> PhotoLatents:
        """Latents <-> bytes, the same whatever computes them: the core, numpy, or torch where its engine is there."""
        if self._by == "native":
            return self._native
        return self._beside_torch if self._by == "torch" and "engine" in self.__dict__ else self._on_numpy

    @functools.cached_property
    def _by(self) -> str:
        return opening.of_cells(*self._asked)

    @functools.cached_property
    def _native(self) -> PhotoLatents:
        with opening.whole(self.model.info):
            return opening.photo_latents(self.model)

    @functools.cached_property
    def _on_numpy(self) -> LatentCodec:
        return self._latents_on(NUMPY)

    @functools.cached_property
    def _beside_torch(self) -> LatentCodec:
        return self._latents_on(opening.arithmetic())

    def _latents_on(self, arithmetic: Arithmetic) -> LatentCodec:
        with opening.whole(self.model.info):
            return LatentCodec(EntropyNetwork(self.model.tensors, arithmetic), self.tables)

    def analyse(self, picture: Picture, progress: Progress = no_progress) -> Iterator[Analysed]:
        """y and z of every tile, in raster order, one at a time."""
        extent = cells.count(picture.width, picture.height)
        tiles = list(tiling.tiles(picture.width, picture.height))
        for number, tile in enumerate(tiles):
            region = tiling.with_halo(tile, self.engine.halo_in, extent)
            inner_rows = slice(region.inner_top, region.inner_top + tile.shape[0])
            inner_columns = slice(region.inner_left, region.inner_left + tile.shape[1])
            pixels = tiling.cut(picture.colour, region)
            y, z = self.engine.analyse(pixels, (inner_rows, inner_columns))
            yield Analysed(tile, y, z, activity(pixels)[inner_rows, inner_columns])
            progress((number + 1) / len(tiles))

    def code_tile(self, tile: Analysed, quality: int) -> tuple[bytes, Latents]:
        """Analysed tile -> its stream and y_hat."""
        return self.latents.encode(*self._scaled(tile, quality))

    def cost_tile(self, tile: Analysed, quality: int) -> tuple[float, Latents]:
        """Analysed tile -> the bytes its stream would take (see `LatentCodec.cost`), and y_hat."""
        return self.latents.cost(*self._scaled(tile, quality))

    def _scaled(self, tile: Analysed, quality: int) -> tuple[Float, Float, int, Float | None, Strength]:
        """What `LatentCodec` is told of a tile."""
        y, z = tile.y * self.engine.row("gain", quality), tile.z * self.engine.row("gain_z", quality)
        if not tile.strength:
            return y, z, quality, None, tile.strength
        worth = self.trade(quality, tile.tune)
        return y, z, quality, worth.weight, worth.strength(tile.strength, tile.activity)

    def trade(self, quality: int, tune: Tune) -> Trade:
        return trade(self.model.tensors, quality, tune)

    def ready(self, tile: Analysed, strength: float, tune: Tune) -> Analysed:
        return replace(tile, strength=strength, tune=tune)

    def features(self, pictures: Sequence[Picture]) -> list[Float]:
        found = []
        for picture in pictures:
            _, columns = container.tile_grid(picture.width, picture.height)
            tiles = [tile.y for tile in self.analyse(picture)]
            rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
            found.append(np.concatenate(rows, axis=0))
        return found

    def decode_latents(self, parsed: Container) -> Iterator[Latents]:
        for tile, stream in zip(tiling.tiles(parsed.width, parsed.height), parsed.tiles, strict=True):
            yield self.latents.decode(stream, tile.shape, parsed.quality)

    def latents_of(self, parsed: Container) -> Float:
        _, columns = container.tile_grid(parsed.width, parsed.height)
        tiles = list(self.decode_latents(parsed))
        rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
        whole = np.concatenate(rows, axis=0).astype(np.float32)
        return np.asarray(whole / (np.float32(ONE) * self.engine.row("gain", parsed.quality)), np.float32)

    def allocation(self, parsed: Container) -> BitAllocation:
        _, columns = container.tile_grid(parsed.width, parsed.height)
        grid = tiling.tiles(parsed.width, parsed.height)
        bits = [self.latents.bits(s, t.shape, parsed.quality) for t, s in zip(grid, parsed.tiles, strict=True)]
        rows = [bits[i : i + columns] for i in range(0, len(bits), columns)]
        return BitAllocation(
            np.block([[y for y, _ in row] for row in rows]), np.block([[z for _, z in row] for row in rows])
        )

    def synthesise(
        self,
        width: int,
        height: int,
        gray: bool,
        quality: int,
        latents: Iterator[Latents],
        progress: Progress = no_progress,
    ) -> Pixels:
        """See `Codec`. Holds three rows of tiles of latents at most, whatever the height."""
        extent = cells.count(width, height)
        halo = self.engine.halo_out
        all_tiles = list(tiling.tiles(width, height))
        rows, columns = container.tile_grid(width, height)
        colour: Pixels = np.empty((height, width) if gray else (height, width, 3), np.uint8)
        known: dict[int, Latents] = {}  # row of tiles -> latents of the whole row
        for row in range(rows):
            for ahead in range(row, min(row + 2, rows)):
                if ahead not in known:
                    members = all_tiles[ahead * columns : (ahead + 1) * columns]
                    known[ahead] = np.concatenate([next(latents) for _ in members], axis=1)
            known.pop(row - 2, None)
            for tile in all_tiles[row * columns : (row + 1) * columns]:
                region = tiling.with_halo(tile, halo, extent)
                y_hat = np.concatenate([tiling.rows_of(known[r], r, region) for r in sorted(known)], axis=0)
                tiling.paste(colour, self.engine.synthesise(y_hat, quality), tile, region)
                progress((tile.row * columns + tile.column + 1) / len(all_tiles))
        return colour
