"""encode and decode: joins pixels, tiles, the float engine, the integer network and the container."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caecodec import container, pixels, tiling
from caecodec.container import Container
from caecodec.engine import Engine
from caecodec.entropy import Tables
from caecodec.errors import UsageError
from caecodec.integer import EntropyNetwork
from caecodec.latents import LatentCodec
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.models import zoo
from caecodec.pixels import Picture

Float = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Progress = Callable[[float], None]  # share done, 0..1


def no_progress(_share: float) -> None:
    """The default: tell nobody."""


@dataclass(frozen=True, slots=True)
class Analysed:
    """One tile's y and z before their gains: what every quality is made from."""

    y: Float
    z: Float


class PhotoCodec:
    """One model, ready to code pictures. Building one loads weights; `open_codec` keeps the last few."""

    def __init__(self, model: zoo.Model, device: str = "auto", precision: str = "auto") -> None:
        self.model = model
        self.engine = Engine(model, device, precision)
        self.latents = _latent_codec(model)

    def encode(self, picture: Picture, quality: int, progress: Progress = no_progress) -> bytes:
        """Picture -> the bytes of a .cae file. Raises UsageError for a quality outside 1..100."""
        check_quality(quality)
        streams = [self.code_tile(tile, quality)[0] for tile in self.analyse(picture, progress)]
        return self.wrap(picture, quality, streams, sections_of(picture))

    def wrap(self, picture: Picture, quality: int, streams: list[bytes], sections: dict[bytes, bytes]) -> bytes:
        """Coded tiles and everything beside them -> file."""
        return container.serialize(
            Container(
                width=picture.width,
                height=picture.height,
                quality=quality,
                model_id=self.model.info.id,
                tiles=tuple(streams),
                gray=picture.gray,
                sections=sections,
            )
        )

    def analyse(self, picture: Picture, progress: Progress = no_progress) -> Iterator[Analysed]:
        """y and z of every tile, in raster order, one at a time."""
        extent = tiling.cells(picture.width, picture.height)
        tiles = list(tiling.tiles(picture.width, picture.height))
        for number, tile in enumerate(tiles):
            region = tiling.with_halo(tile, self.engine.halo_in, extent)
            inner_rows = slice(region.inner_top, region.inner_top + tile.shape[0])
            inner_columns = slice(region.inner_left, region.inner_left + tile.shape[1])
            yield Analysed(*self.engine.analyse(cut(picture.colour, region), (inner_rows, inner_columns)))
            progress((number + 1) / len(tiles))

    def code_tile(self, tile: Analysed, quality: int) -> tuple[bytes, NDArray[np.int32]]:
        """Analysed tile -> its stream and y_hat."""
        gain, gain_z, weight = self.engine.gains(quality)
        return self.latents.encode(tile.y * gain, tile.z * gain_z, quality, weight)

    def cost_tile(self, tile: Analysed, quality: int) -> tuple[float, NDArray[np.int32]]:
        """Analysed tile -> the bytes its stream would take (see `LatentCodec.cost`), and y_hat."""
        gain, gain_z, weight = self.engine.gains(quality)
        return self.latents.cost(tile.y * gain, tile.z * gain_z, quality, weight)

    def decode(self, parsed: Container, progress: Progress = no_progress) -> Picture:
        """Container -> Picture. Raises CorruptFileError, LimitError."""
        alpha = None
        if container.TAG_ALPHA in parsed.sections:
            alpha = pixels.decompress_alpha(parsed.sections[container.TAG_ALPHA], parsed.width, parsed.height)
        streams = iter(parsed.tiles)

        def next_tile(tile: tiling.Tile) -> NDArray[np.int32]:
            return self.latents.decode(next(streams), tile.shape, parsed.quality)

        colour = self.synthesise(parsed.width, parsed.height, parsed.gray, parsed.quality, next_tile, progress)
        metadata = {container.SECTION_NAMES[t]: d for t, d in parsed.sections.items() if t != container.TAG_ALPHA}
        return Picture(colour, alpha, **metadata)  # type: ignore[arg-type]

    def synthesise(
        self,
        width: int,
        height: int,
        gray: bool,
        quality: int,
        next_tile: Callable[[tiling.Tile], NDArray[np.int32]],
        progress: Progress = no_progress,
    ) -> Pixels:
        """Pixels from tiles of y_hat, which `next_tile` is asked for in raster order.

        Holds three rows of tiles of latents at most, whatever the height.
        """
        extent = tiling.cells(width, height)
        halo = self.engine.halo_out
        all_tiles = list(tiling.tiles(width, height))
        rows, columns = container.tile_grid(width, height)
        colour: Pixels = np.empty((height, width) if gray else (height, width, 3), np.uint8)
        known: dict[int, NDArray[np.int32]] = {}  # row of tiles -> latents of the whole row
        for row in range(rows):
            for ahead in range(row, min(row + 2, rows)):
                if ahead not in known:
                    members = all_tiles[ahead * columns : (ahead + 1) * columns]
                    known[ahead] = np.concatenate([next_tile(tile) for tile in members], axis=1)
            known.pop(row - 2, None)
            for tile in all_tiles[row * columns : (row + 1) * columns]:
                region = tiling.with_halo(tile, halo, extent)
                y_hat = np.concatenate([rows_of(known[r], r, region) for r in sorted(known)], axis=0)
                paste(colour, self.engine.synthesise(y_hat, quality), tile, region)
                progress((tile.row * columns + tile.column + 1) / len(all_tiles))
        return colour


def sections_of(picture: Picture) -> dict[bytes, bytes]:
    """What a file holds beside colour, alpha compressed: tag -> payload."""
    tags = (container.TAG_EXIF, container.TAG_ICC, container.TAG_XMP)
    sections = {t: data for t, data in zip(tags, (picture.exif, picture.icc, picture.xmp), strict=True) if data}
    if picture.alpha is not None:
        sections[container.TAG_ALPHA] = pixels.compress_alpha(picture.alpha)
    return sections


def rows_of(latents: NDArray[np.int32], row: int, region: tiling.Region) -> NDArray[np.int32]:
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


def _latent_codec(model: zoo.Model) -> LatentCodec:
    tables = Tables.of(model.tensors["table.frequencies"], model.tensors["table.tail"])
    return LatentCodec(EntropyNetwork(model.tensors), tables)


def check_quality(quality: int) -> None:
    """Raise UsageError for a quality that is not a whole number from 1 to 100."""
    if isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 100:
        raise UsageError(f"quality {quality!r}: choose a whole number from 1 to 100")


@functools.lru_cache(maxsize=2)
def _open(path: str, mtime: int, device: str, precision: str) -> PhotoCodec:
    return PhotoCodec(zoo.load(path), device, precision)


def open_codec(model: str | bytes | None = None, device: str = "auto", precision: str = "auto") -> PhotoCodec:
    """The codec of a model by name, id or path, kept for the next call. Raises ModelError."""
    path = zoo.find(model).path
    return _open(str(path), path.stat().st_mtime_ns, device, precision)


def decode(
    data: bytes,
    device: str = "auto",
    precision: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress = no_progress,
) -> Picture:
    """The bytes of a .cae file -> Picture."""
    parsed = container.parse(data, limits)
    return open_codec(parsed.model_id, device, precision).decode(parsed, progress)


def verify(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Container:
    """Check everything a file promises short of its pixels: checksums, and that latents decode to their check."""
    parsed = container.parse(data, limits)
    latents = _latent_codec(zoo.load(parsed.model_id))
    for tile, stream in zip(tiling.tiles(parsed.width, parsed.height), parsed.tiles, strict=True):
        latents.decode(stream, tile.shape, parsed.quality)
    if container.TAG_ALPHA in parsed.sections:
        pixels.decompress_alpha(parsed.sections[container.TAG_ALPHA], parsed.width, parsed.height)
    return parsed
