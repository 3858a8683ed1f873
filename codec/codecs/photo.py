"""The codec of the photo family: joins tiles, the float engine and the integer network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from caecodec.codecs import lossless, tiling
from caecodec.codecs.codec import Codec, Latents, Pixels, Progress, no_progress, tile_count
from caecodec.engines.torch.arithmetic import TorchArithmetic
from caecodec.engines.torch.photo import Engine
from caecodec.entropy.rounding import RDO_STRENGTH, Strength
from caecodec.entropy.tables import Tables
from caecodec.format import container
from caecodec.format.container import Container
from caecodec.latents.allocation import BitAllocation
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.models.networks.trade import Trade, activity, trade
from caecodec.pictures.picture import Picture
from caecodec.search.effort import DEFAULT_EFFORT, Effort, Tune
from caecodec.zoo import find

if TYPE_CHECKING:
    from caecodec.engines.torch.refine import Rounds

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Work:
    """What an encoder does at one effort.

    strength: of rate-distortion optimised rounding, 0 rounds to nearest. rounds: of choosing all symbols again, each
    with what they cost later on (see `caecodec.engines.torch.refine`).
    """

    strength: float = RDO_STRENGTH
    rounds: int = 0


WORK = {
    1: Work(strength=0.0),
    2: Work(),
    3: Work(rounds=1),
    4: Work(rounds=3),
    5: Work(rounds=6),
    6: Work(rounds=12),
    7: Work(rounds=24),
    8: Work(rounds=60),
    9: Work(rounds=240),
}


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

    def __init__(self, model: find.Model, device: str = "auto", precision: str = "auto") -> None:
        self.model = model
        self.engine = Engine(model, device, precision)
        self.tables = tables_of(model)
        self.latents = latent_codec(model)
        self._rounds: Rounds | None = None  # made when it is first needed

    def analyse(self, picture: Picture, progress: Progress = no_progress) -> Iterator[Analysed]:
        """y and z of every tile, in raster order, one at a time."""
        extent = tiling.cells(picture.width, picture.height)
        tiles = list(tiling.tiles(picture.width, picture.height))
        for number, tile in enumerate(tiles):
            region = tiling.with_halo(tile, self.engine.halo_in, extent)
            inner_rows = slice(region.inner_top, region.inner_top + tile.shape[0])
            inner_columns = slice(region.inner_left, region.inner_left + tile.shape[1])
            pixels = cut(picture.colour, region)
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
        gain, gain_z = self.engine.gains(quality)
        y, z = tile.y * gain, tile.z * gain_z
        if not tile.strength:
            return y, z, quality, None, tile.strength
        worth = self.trade(quality, tile.tune)
        return y, z, quality, worth.weight, worth.strength(tile.strength, tile.activity)

    def trade(self, quality: int, tune: Tune) -> Trade:
        """What bits are given for at a quality."""
        return trade(self.model.tensors, quality, tune)

    def ready(self, tile: Analysed, effort: Effort) -> Analysed:
        return replace(tile, strength=WORK[effort.level].strength, tune=effort.tune)

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

    def encode(
        self, picture: Picture, quality: int, progress: Progress = no_progress, effort: Effort = DEFAULT_EFFORT
    ) -> bytes:
        """As `Codec.encode`, but a lossless file where that is the better trade at this quality."""
        # minutes of searching begin once it is known that the picture is not better kept losslessly
        searches = WORK[effort.level].rounds > 0
        quick = replace(effort, level=DEFAULT_EFFORT.level) if searches else effort
        data = super().encode(picture, quality, no_progress if searches else progress, quick)
        if lossless.promising(picture, len(data)):
            data = self._better(picture, quality, data, effort.tune)
        if not searches or container.is_lossless(data):
            return data
        return super().encode(picture, quality, progress, effort)

    def _better(self, picture: Picture, quality: int, data: bytes, tune: Tune) -> bytes:
        """Of two files the one with less R + lambda D; the lossless one has D = 0 and any R."""
        exact = lossless.LosslessCodec().encode(picture)
        if len(exact) <= len(data):
            return exact
        colour = self.decode(container.parse(data)).colour
        return exact if 8 * (len(exact) - len(data)) < self.trade(quality, tune).cost(picture.colour, colour) else data

    def prepared(
        self, picture: Picture, tiles: Iterable[Analysed], quality: int, progress: Progress, effort: Effort
    ) -> Iterator[Analysed]:
        count = tile_count(picture)
        for number, tile in enumerate(tiles):

            def share(of_tile: float, number: int = number) -> bool:
                progress((number + of_tile) / count)
                return not effort.stop()

            rounds = WORK[effort.level].rounds
            ready = self.ready(tile, effort)
            yield self._searched(picture, ready, quality, rounds, share) if rounds and share(0) else ready
            progress((number + 1) / count)

    def _searched(
        self, picture: Picture, tile: Analysed, quality: int, rounds: int, go_on: Callable[[float], bool]
    ) -> Analysed:
        """The best that was found of a tile, by R + lambda D as it would be coded; itself where nothing is better."""
        pixels = cut(picture.colour, tile.tile.region)
        worth = self.trade(quality, tile.tune)
        if self._rounds is None:
            from caecodec.engines.torch.refine import Rounds

            self._rounds = Rounds(self.model, self.engine, self.tables)
        from caecodec.engines.torch.refine import Task

        # a decoder sees the neighbours of a tile and this does not: leave what reaches across the border
        fixed = border(tile.tile, self.engine.halo_out, tiling.cells(picture.width, picture.height))
        strength = worth.strength(tile.strength, tile.activity)
        y = self._rounds(Task(pixels, tile.y, tile.z, quality, worth, strength, fixed), rounds, go_on)
        # these are the symbols themselves: nothing is left to weigh
        found = replace(tile, y=y, strength=0.0)
        return min(tile, found, key=lambda either: self._cost(pixels, either, quality))

    def _cost(self, pixels: Pixels, tile: Analysed, quality: int) -> float:
        """What a tile costs, in bits: its own and those that its errors are worth."""
        size_bytes, latents = self.cost_tile(tile, quality)
        decoded = self.engine.synthesise(latents, quality)
        return 8 * size_bytes + self.trade(quality, tile.tune).cost(pixels, decoded)

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
        extent = tiling.cells(width, height)
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
                y_hat = np.concatenate([rows_of(known[r], r, region) for r in sorted(known)], axis=0)
                paste(colour, self.engine.synthesise(y_hat, quality), tile, region)
                progress((tile.row * columns + tile.column + 1) / len(all_tiles))
        return colour


def border(tile: tiling.Tile, width: int, extent: tuple[int, int]) -> NDArray[np.bool_]:
    """Cells of a tile (h, w) within `width` cells of an edge that it shares with another."""
    found = np.zeros(tile.shape, np.bool_)
    found[: width if tile.top else 0] = True
    found[:, : width if tile.left else 0] = True
    found[tile.shape[0] - (width if tile.bottom < extent[0] else 0) :] = True
    found[:, tile.shape[1] - (width if tile.right < extent[1] else 0) :] = True
    return found


def rows_of(latents: Latents, row: int, region: tiling.Region) -> Latents:
    """The part of one row of tiles that lies in `region`; no rows where they do not touch."""
    start = row * tiling.TILE_CELLS
    top, bottom = max(0, region.top - start), max(0, region.bottom - start)
    return latents[top:bottom, region.left : region.right]


def cut(colour: Pixels, region: tiling.Region) -> Pixels:
    """A region of the picture (H, W[, 3]) -> (h, w, 3), continued past the right and lower edge to whole cells."""
    c = tiling.CELL
    block = colour[region.top * c : region.bottom * c, region.left * c : region.right * c]
    below = (region.bottom - region.top) * c - block.shape[0]
    beside = (region.right - region.left) * c - block.shape[1]
    if below or beside:
        block = np.pad(block, ((0, below), (0, beside), *((0, 0),) * (block.ndim - 2)), mode="edge")
    return np.repeat(block[..., None], 3, axis=2) if block.ndim == 2 else block


def paste(colour: Pixels, block: Pixels, tile: tiling.Tile, region: tiling.Region) -> None:
    """Put the inside of a synthesised region (h, w, 3) into the picture."""
    c = tiling.CELL
    target = colour[tile.top * c : tile.bottom * c, tile.left * c : tile.right * c]
    top, left = region.inner_top * c, region.inner_left * c
    inside = block[top : top + target.shape[0], left : left + target.shape[1]]
    if target.ndim == 2:
        # the mean of the three, rounded: the picture that went in had them equal
        target[...] = (inside.sum(axis=2, dtype=np.uint16) + 1) // 3
    else:
        target[...] = inside


def latent_codec(model: find.Model) -> LatentCodec:
    """What codes the latents of a photo model, without its float networks."""
    return LatentCodec(EntropyNetwork(model.tensors, TorchArithmetic()), tables_of(model))


def tables_of(model: find.Model) -> Tables:
    """The probabilities of a photo model's symbols."""
    return Tables.of(model.tensors["table.frequencies"], model.tensors["table.tail"])
