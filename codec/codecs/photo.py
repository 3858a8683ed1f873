"""The codec of the photo family: pictures of any size, in tiles."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from caecodec.codecs import tiling
from caecodec.codecs.ahead import ahead
from caecodec.codecs.codec import Codec, Latents, Progress, no_progress
from caecodec.codecs.sweep import Cells, Sweep
from caecodec.engines import opening
from caecodec.engines.protocol import PhotoEngine, PhotoLatents
from caecodec.entropy.arithmetic import NUMPY, Arithmetic
from caecodec.entropy.fixed_point import ONE, rows_of
from caecodec.entropy.rounding import RDO_STRENGTH, Strength
from caecodec.entropy.tables import Tables
from caecodec.format import container
from caecodec.format.container import Container
from caecodec.latents.allocation import BitAllocation
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.models.networks.trade import Trade, activity, trade
from caecodec.pictures import cells
from caecodec.pictures.cells import CELL
from caecodec.pictures.picture import DEEP_MAX, Picture, Pixels
from caecodec.pictures.view import Samples, View, gray_of, smaller
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
    # what a search ended with: a strength of each cell (h, w) in place of `strength`, and the weight of errors (N,)
    searched: tuple[Float, Float] | None = None


class PhotoCodec(Codec):
    """Pictures of any size, in tiles."""

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto", engine: str = "auto") -> None:
        """The engine is made when pixels are first needed; what its device lacks is said then."""
        self.model, self.rows_of_tables = model, rows_of(model.tensors)
        self._asked = device, precision, engine

    @functools.cached_property
    def engine(self) -> PhotoEngine:
        """Pixels <-> latents."""
        return opening.photo(self.model, *self._asked)

    @functools.cached_property
    def tables(self) -> Tables:
        """What symbols cost, for those who choose them here."""
        return Tables.of(self.model.tensors["table.frequencies"], self.model.tensors["table.tail"])

    @property
    def is_dependent(self) -> bool:
        """Whether y is quantised dependently (`caecodec.entropy.trellis`)."""
        return "quality.step" in self.model.tensors

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
        if tile.searched:
            strength, weight = tile.searched
            return y, z, quality, weight, strength
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
        yield from self._latents_of(parsed, enumerate(tiling.tiles(parsed.width, parsed.height)))

    def _latents_of(self, parsed: Container, tiles: Iterable[tuple[int, tiling.Tile]]) -> Iterator[Latents]:
        """Of some tiles and their numbers."""
        return map(functools.partial(self._decoded, parsed), tiles)

    def _decoded(self, parsed: Container, numbered: tuple[int, tiling.Tile]) -> Latents:
        number, tile = numbered
        return self.latents.decode(parsed.tiles[number], tile.shape, self.row_of(parsed))

    def latents_of(self, parsed: Container) -> Float:
        _, columns = container.tile_grid(parsed.width, parsed.height)
        tiles = list(self.decode_latents(parsed))
        rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
        whole = np.concatenate(rows, axis=0).astype(np.float32)
        return np.asarray(whole / (np.float32(ONE) * self.engine.row("gain", self.row_of(parsed))), np.float32)

    def allocation(self, parsed: Container) -> BitAllocation:
        _, columns = container.tile_grid(parsed.width, parsed.height)
        grid = tiling.tiles(parsed.width, parsed.height)
        bits = [self.latents.bits(s, t.shape, self.row_of(parsed)) for t, s in zip(grid, parsed.tiles, strict=True)]
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
        """See `Codec`. Holds a tile of latents and the edges of others, whatever the size."""
        high, wide = cells.count(width, height)
        sweep = Sweep(width, height, Cells(0, high, 0, wide), self.engine.halo_out)
        colour: Pixels = np.empty((height, width) if gray else (height, width, 3), np.uint8)
        told = told_of(latents, len(sweep.tiles), progress)
        at = 0
        for band in sweep.bands(told, lambda y_hat: self.engine.synthesise(y_hat, quality)):
            part = band[: height - at, :width]
            colour[at : at + len(part)] = cells.as_asked(part, gray=True) if gray else part
            at += len(part)
            del band, part
        return colour

    def bands(self, parsed: Container, view: View, progress: Progress = no_progress) -> Iterator[Samples]:
        """See `Codec`. Decodes the tiles that the view touches. 1/8 and 1/16 are made of the linear branch alone."""
        left, top, right, bottom = view.window(parsed.width, parsed.height)
        per_cell = CELL // view.divisor
        render, halo = self._renderer(view, self.row_of(parsed))
        window = Cells(top // per_cell, -(-bottom // per_cell), left // per_cell, -(-right // per_cell))
        sweep = Sweep(parsed.width, parsed.height, window, halo)
        # where latents are nearly all of the work, whole tiles share the processors better than the layers of each
        workers = opening.workers() if halo == 0 and self._by == "native" else 0
        latents = ahead(functools.partial(self._decoded, parsed), sweep.tiles, workers)
        at = window.top * per_cell
        columns = slice(left - window.left * per_cell, right - window.left * per_cell)
        for band in sweep.bands(told_of(latents, len(sweep.tiles), progress), render):
            part = band[max(0, top - at) : bottom - at, columns]
            at += len(band)
            if not parsed.gray:
                yield part if part.dtype == np.uint8 else view.rounded(part)
            else:
                yield cells.as_asked(part, gray=True) if part.dtype == np.uint8 else view.rounded(gray_of(part))
            del band, part  # before the next one is made

    def _renderer(self, view: View, quality: int) -> tuple[Callable[[Latents], Samples], int]:
        """Latents -> pixels of a view, of 8 bits where that is exact and else of 16; and how far it looks, in cells."""
        engine = self.engine
        if view.divisor >= CELL // 2:
            side, lift = CELL // view.divisor, self._lift(quality)

            def of_linear_branch(y_hat: Latents) -> Samples:
                samples = engine.synthesise_small(y_hat, quality, side)
                return (samples + lift).clip(0, DEEP_MAX).astype(np.uint16)

            return of_linear_branch, 0
        if view == View(view.region):
            return lambda y_hat: engine.synthesise(y_hat, quality), engine.halo_out
        if view.divisor == 1:
            return lambda y_hat: engine.synthesise_deep(y_hat, quality), engine.halo_out
        return lambda y_hat: smaller(engine.synthesise_deep(y_hat, quality), view.divisor), engine.halo_out

    def _lift(self, quality: int) -> NDArray[np.int32]:
        """What all of g_s adds to the linear branch where nothing is to be seen, (3,) in 16 bits."""
        halo = self.engine.halo_out
        nothing = np.zeros((2 * halo + 1, 2 * halo + 1, int(self.model.info.config["n"])), np.int32)
        middle = slice(halo * CELL, (halo + 1) * CELL)
        mean = self.engine.synthesise_deep(nothing, quality)[middle, middle].mean(axis=(0, 1))
        alone = self.engine.synthesise_small(nothing[:1, :1], quality, 1)[0, 0]
        lift: NDArray[np.int32] = np.floor(mean + 0.5).astype(np.int32) - alone
        return lift


def told_of(latents: Iterator[Latents], count: int, progress: Progress) -> Iterator[Latents]:
    """The same, telling before each what share of them has been taken and used."""
    for number, one in enumerate(latents):
        progress(number / count)
        yield one
    progress(1.0)
