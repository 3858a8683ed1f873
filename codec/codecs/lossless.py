"""Pixels kept as they are, for pictures that a network is the wrong tool for: text, line art, flat colour, noise.

A "model" without weights, with an id of its own: its latents are the pixels of a tile. A stream is the check bytes, the
payload and a byte that says what the payload is. No torch.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caecodec.codecs import tiling
from caecodec.codecs.codec import Codec, Pixels, Progress, no_progress
from caecodec.entropy.checksum import checksum, confirm
from caecodec.errors import CorruptFileError, UsageError
from caecodec.format.container import CHECK_BYTES, LOSSLESS_ID, Container
from caecodec.pictures import picture as pixels
from caecodec.pictures.picture import Picture
from caecodec.search.effort import DEFAULT_EFFORT, Effort
from caecodec.zoo import find

NAME = "lossless"
QUALITY = 100  # in the header; it means nothing here
_STORED, _COMPRESSED = b"\x01", b"\x02"  # last byte of a stream: none may end in zero

# A sample of rows, their differences deflated, estimates the size of a lossless file: real ones take 0.3 to 0.8 of it
# on photographs. Worth a try up to four times what a network's file takes (distortion is worth about as much as rate),
# and where neighbours are so far apart that a network gives a poor picture (of 195 photographs one reached 28).
_EVERY = 8
_TIMES = 4
_FLAT_BPP = 0.25
_ROUGH = 28.0


def promising(picture: Picture, size_bytes: int) -> bool:
    """Whether a lossless file may be the better trade than a lossy one of this size. Some 10 ms a megapixel."""
    rows = picture.colour[::_EVERY]
    differences = rows.copy()
    differences[:, 1:] -= rows[:, :-1]
    estimate = len(zlib.compress(differences.tobytes(), 1)) * picture.height / len(rows)
    if 8 * (estimate - _TIMES * size_bytes) <= _FLAT_BPP * picture.width * picture.height:
        return True
    distance = np.abs(differences[:, 1:].view(np.int8).astype(np.int16))
    return bool(distance.size and distance.mean() >= _ROUGH)


class LosslessCodec(Codec):
    """Every picture, exactly; at most 1 byte a tile beside raw pixels and what every file has."""

    def __init__(self) -> None:
        info = find.ModelInfo(
            name=NAME,
            id=LOSSLESS_ID,
            family=NAME,
            description="No network: pixels as they are, compressed by WebP, PNG or not at all",
            path=Path(NAME),
            size_bytes=0,
            version="1",
            config={},
            training={},
            summary={},
        )
        self.model = find.Model(info, {})

    def analyse(self, picture: Picture, progress: Progress = no_progress) -> Iterator[Pixels]:
        """Pixels of every tile, (h, w, 3) or (h, w)."""
        tiles = list(tiling.tiles(picture.width, picture.height))
        for number, tile in enumerate(tiles):
            yield _part(picture.colour, tile)
            progress((number + 1) / len(tiles))

    def code_tile(self, tile: Pixels, quality: int = QUALITY) -> tuple[bytes, NDArray[np.uint8]]:
        raw = np.ascontiguousarray(tile).tobytes()
        compressed = pixels.compress(tile)
        body = compressed + _COMPRESSED if len(compressed) < len(raw) else raw + _STORED
        return checksum(tile) + body, tile

    def cost_tile(self, tile: Pixels, quality: int = QUALITY) -> tuple[float, NDArray[np.uint8]]:
        stream, _ = self.code_tile(tile)
        return float(len(stream)), tile

    def encode(
        self,
        picture: Picture,
        quality: int = QUALITY,
        progress: Progress = no_progress,
        effort: Effort = DEFAULT_EFFORT,
    ) -> bytes:
        """As `Codec.encode`, whatever quality and effort are asked for."""
        return super().encode(picture, QUALITY, progress)

    def features(self, pictures: Sequence[Picture]) -> list[NDArray[np.float32]]:
        raise UsageError(f"{NAME} has no latents")

    def decode_latents(self, parsed: Container) -> Iterator[Pixels]:
        """Pixels of every tile. Raises CorruptFileError."""
        for tile, stream in zip(tiling.tiles(parsed.width, parsed.height), parsed.tiles, strict=True):
            height = min(tile.bottom * tiling.CELL, parsed.height) - tile.top * tiling.CELL
            width = min(tile.right * tiling.CELL, parsed.width) - tile.left * tiling.CELL
            body, kind = stream[CHECK_BYTES:-1], stream[-1:] if len(stream) > CHECK_BYTES else b""
            shape = (height, width) if parsed.gray else (height, width, 3)
            if kind == _COMPRESSED:
                block = pixels.decompress(body, width, height, parsed.gray, "a tile")
            elif kind == _STORED and len(body) == np.prod(shape):
                block = np.frombuffer(body, np.uint8).reshape(shape)
            else:
                raise CorruptFileError("a tile of pixels is malformed")
            confirm(block, stream)
            yield block

    def synthesise(
        self,
        width: int,
        height: int,
        gray: bool,
        quality: int,
        latents: Iterator[Pixels],
        progress: Progress = no_progress,
    ) -> Pixels:
        colour: Pixels = np.empty((height, width) if gray else (height, width, 3), np.uint8)
        tiles = list(tiling.tiles(width, height))
        for number, tile in enumerate(tiles):
            _part(colour, tile)[...] = next(latents)
            progress((number + 1) / len(tiles))
        return colour


def _part(colour: Pixels, tile: tiling.Tile) -> Pixels:
    c = tiling.CELL
    return colour[tile.top * c : tile.bottom * c, tile.left * c : tile.right * c]
