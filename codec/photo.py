"""The codec of the photo family: joins tiles, the float engine and the integer network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from caecodec import container, lossless, tiling
from caecodec.allocation import BitAllocation
from caecodec.arithmetic_torch import TorchArithmetic
from caecodec.base import (
    DEFAULT_EFFORT,
    Codec,
    Effort,
    Latents,
    Pixels,
    Progress,
    no_progress,
    tile_count,
)
from caecodec.container import Container
from caecodec.engine import Engine
from caecodec.entropy import Tables
from caecodec.integer import ONE, RDO_STRENGTH, EntropyNetwork
from caecodec.latents import LatentCodec, Strength
from caecodec.models import zoo
from caecodec.pixels import Picture, mse

if TYPE_CHECKING:
    from caecodec.refine import Refiner

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Work:
    """What an encoder does at one effort.

    strength: of rate-distortion optimised rounding, 0 rounds to nearest. steps: of gradient descent on the latents.
    rounds: of rounding again after a look at what the decoder makes of it, each with `guided_strength`.
    """

    strength: float = RDO_STRENGTH
    steps: int = 0
    rounds: int = 0
    guided_strength: float = 0.4

    @property
    def looks(self) -> bool:
        """Whether it decodes what it codes, again and again."""
        return self.steps + self.rounds > 0


WORK = {
    1: Work(strength=0.0),
    2: Work(),
    3: Work(rounds=1),
    4: Work(rounds=4, guided_strength=0.45),
    5: Work(steps=100, rounds=3),
    6: Work(steps=300, rounds=3),
    7: Work(steps=700, rounds=3),
    8: Work(steps=1200, rounds=3),
    9: Work(steps=2000, rounds=3),
}
# how far each round goes towards what the decoder would like; 1 would trust the curvature of the linear part alone.
# R + lambda D on validation crops against plain rounding, one round: -2.7, -2.7, -2.0 and -0.6 % at 0.25, 0.5, 0.75 and
# 1; with strengths 0.3, 0.4, 0.5 and 0.65, three rounds: -3.0, -3.3, -3.35 and -3.3 %
_GUIDANCE = 0.3
_STEPS_A_ROUND = 4  # steps of descent that take as long as a round, about


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """One tile's y and z before their gains: what every quality is made from."""

    tile: tiling.Tile
    y: Float
    z: Float
    strength: Strength = RDO_STRENGTH  # of rate against distortion while rounding, 0 is none; or of each cell (h, w)


@dataclass(frozen=True, slots=True, eq=False)
class Traded:
    """A tile, the latents it is coded as, and its R + lambda D in bits."""

    tile: Analysed
    latents: Latents
    cost: float


class PhotoCodec(Codec):
    """Pictures of any size, in tiles."""

    def __init__(self, model: zoo.Model, device: str = "auto", precision: str = "auto") -> None:
        self.model = model
        self.engine = Engine(model, device, precision)
        self.latents = latent_codec(model)
        self._refiner: Refiner | None = None  # made when it is first needed

    def analyse(self, picture: Picture, progress: Progress = no_progress) -> Iterator[Analysed]:
        """y and z of every tile, in raster order, one at a time."""
        extent = tiling.cells(picture.width, picture.height)
        tiles = list(tiling.tiles(picture.width, picture.height))
        for number, tile in enumerate(tiles):
            region = tiling.with_halo(tile, self.engine.halo_in, extent)
            inner_rows = slice(region.inner_top, region.inner_top + tile.shape[0])
            inner_columns = slice(region.inner_left, region.inner_left + tile.shape[1])
            y, z = self.engine.analyse(cut(picture.colour, region), (inner_rows, inner_columns))
            yield Analysed(tile, y, z)
            progress((number + 1) / len(tiles))

    def code_tile(self, tile: Analysed, quality: int) -> tuple[bytes, Latents]:
        """Analysed tile -> its stream and y_hat."""
        return self.latents.encode(*self._scaled(tile, quality))

    def cost_tile(self, tile: Analysed, quality: int) -> tuple[float, Latents]:
        """Analysed tile -> the bytes its stream would take (see `LatentCodec.cost`), and y_hat."""
        return self.latents.cost(*self._scaled(tile, quality))

    def _scaled(self, tile: Analysed, quality: int) -> tuple[Float, Float, int, Float | None, Strength]:
        """What `LatentCodec` is told of a tile."""
        gain, gain_z, weight = self.engine.gains(quality)
        rounds = isinstance(tile.strength, float) and not tile.strength
        return tile.y * gain, tile.z * gain_z, quality, None if rounds else weight, tile.strength

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
        # minutes of descent begin once it is known that the picture is not better kept losslessly
        descends = WORK[effort.level].steps > 0
        quick = DEFAULT_EFFORT if descends else effort
        data = super().encode(picture, quality, no_progress if descends else progress, quick)
        if lossless.promising(picture, len(data)):
            data = self._better(picture, quality, data)
        if not descends or container.is_lossless(data):
            return data
        return super().encode(picture, quality, progress, effort)

    def _better(self, picture: Picture, quality: int, data: bytes) -> bytes:
        """Of two files the one with less R + lambda D; the lossless one has D = 0 and any R."""
        exact = lossless.LosslessCodec().encode(picture)
        if len(exact) <= len(data):
            return exact
        colour = self.decode(container.parse(data)).colour
        saved_bpp = 8 * (len(exact) - len(data)) / (picture.width * picture.height)
        return exact if saved_bpp < self._lambda(quality) * mse(picture.colour, colour) else data

    def _lambda(self, quality: int) -> float:
        """What training minimised at this quality: bits per pixel + lambda * MSE of 8-bit samples."""
        low, high = (self.model.info.config[key] for key in ("lambda_min", "lambda_max"))
        return float(low * (high / low) ** ((quality - 1) / 99))

    def prepared(
        self, picture: Picture, tiles: Iterable[Analysed], quality: int, progress: Progress, effort: Effort
    ) -> Iterator[Analysed]:
        count = tile_count(picture)
        for number, tile in enumerate(tiles):

            def share(of_tile: float, number: int = number) -> bool:
                progress((number + of_tile) / count)
                return not effort.stop()

            work = WORK[effort.level]
            tile = replace(tile, strength=work.strength)
            yield self._improved(picture, tile, quality, work, share) if work.looks and share(0) else tile
            progress((number + 1) / count)

    def _improved(
        self, picture: Picture, tile: Analysed, quality: int, work: Work, go_on: Callable[[float], bool]
    ) -> Analysed:
        """The best that was found of a tile, by R + lambda D as it would be coded; itself where nothing is better."""
        pixels = cut(picture.colour, tile.tile.region)
        # a decoder sees the neighbours of a tile and this does not: leave what reaches across the border
        fixed = border(tile.tile, self.engine.halo_out, tiling.cells(picture.width, picture.height))
        rounds_share = work.rounds / (work.rounds + work.steps / _STEPS_A_ROUND)
        best = self._traded(pixels, tile, quality)
        if work.steps:
            if self._refiner is None:
                from caecodec.refine import Refiner

                self._refiner = Refiner(self.model, self.engine)

            def refining(share: float) -> bool:
                return go_on((1 - rounds_share) * share)

            y, z = self._refiner(pixels, tile.y, tile.z, quality, work.steps, fixed, refining)
            best = min(best, self._traded(pixels, replace(tile, y=y, z=z), quality), key=lambda traded: traded.cost)

        def guiding(share: float) -> bool:
            return go_on(1 - rounds_share * (1 - share))

        return self._guided(pixels, best, quality, work, fixed, guiding).tile

    def _guided(
        self,
        pixels: Pixels,
        best: Traded,
        quality: int,
        work: Work,
        fixed: NDArray[np.bool_],
        go_on: Callable[[float], bool],
    ) -> Traded:
        """Round again, each time towards what lowers the error of the picture as it is decoded.

        The error is taken for a parabola in every latent, with the slope found and the curvature of the linear branch
        (a Gauss-Newton step, damped). What an optimised rounding took away, the others make up for.
        """
        gain, _, weight = self.engine.gains(quality)
        curvature = 2 * np.maximum(weight, np.finfo(np.float32).tiny)
        strength = np.where(fixed, np.float32(work.strength), np.float32(work.guided_strength))
        at_first = best.tile.y * gain
        target, traded = at_first, best
        for number in range(work.rounds):
            if not go_on(number / work.rounds):
                break
            slope = self.engine.slope(pixels, traded.latents, quality) * (self._lambda(quality) / 3)
            wanted = traded.latents.astype(np.float32) / ONE - slope / curvature
            target = np.clip(target + _GUIDANCE * (wanted - target), at_first - 1, at_first + 1)
            target[fixed] = at_first[fixed]
            candidate = replace(best.tile, y=target / gain, strength=strength)
            traded = self._traded(pixels, candidate, quality)
            best = min(best, traded, key=lambda either: either.cost)
        return best

    def _traded(self, pixels: Pixels, tile: Analysed, quality: int) -> Traded:
        """What a tile costs, in bits: its own and those that its error is worth."""
        size_bytes, latents = self.cost_tile(tile, quality)
        error = mse(pixels, self.engine.synthesise(latents, quality))
        return Traded(tile, latents, 8 * size_bytes + self._lambda(quality) * error * (pixels.size / 3))

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


def latent_codec(model: zoo.Model) -> LatentCodec:
    """What codes the latents of a photo model, without its float networks."""
    tables = Tables.of(model.tensors["table.frequencies"], model.tensors["table.tail"])
    return LatentCodec(EntropyNetwork(model.tensors, TorchArithmetic()), tables)
