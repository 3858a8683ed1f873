"""Pixels kept as they are, for pictures that a network is the wrong tool for: text, line art, flat colour, noise.

A "model" without weights, with an id of its own: its latents are the pixels of a tile. A stream is the check bytes, the
payload and a byte that says what the payload is. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caecodec.codecs import tiling
from caecodec.codecs.codec import Codec, Progress, no_progress
from caecodec.entropy.checksum import checksum, confirm
from caecodec.errors import CorruptFileError, UsageError
from caecodec.format.container import CHECK_BYTES, LOSSLESS_ID, Container
from caecodec.pictures import planes
from caecodec.pictures.cells import CELL
from caecodec.pictures.picture import Picture, Pixels
from caecodec.pictures.view import Samples, View
from caecodec.tune import QUALITIES
from caecodec.zoo.file import Model, ModelInfo

NAME = "lossless"
QUALITY = 100  # in the header; it means nothing here
_STORED, _COMPRESSED = b"\x01", b"\x02"  # last byte of a stream: none may end in zero


class LosslessCodec(Codec):
    """Every picture, exactly; at most 1 byte a tile beside raw pixels and what every file has."""

    exact = True
    rows_of_tables = 2 * QUALITIES  # there are none: a file's quality means nothing

    def __init__(self) -> None:
        info = ModelInfo(
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
        self.model = Model(info, {})

    def analyse(self, picture: Picture, progress: Progress = no_progress) -> Iterator[Pixels]:
        """Pixels of every tile, (h, w, 3) or (h, w)."""
        tiles = list(tiling.tiles(picture.width, picture.height))
        for number, tile in enumerate(tiles):
            yield tiling.inside(picture.colour, tile)
            progress((number + 1) / len(tiles))

    def code_tile(self, tile: Pixels, quality: int = QUALITY) -> tuple[bytes, NDArray[np.uint8]]:
        raw = np.ascontiguousarray(tile).tobytes()
        compressed = planes.compress(tile)
        body = compressed + _COMPRESSED if len(compressed) < len(raw) else raw + _STORED
        return checksum(tile) + body, tile

    def cost_tile(self, tile: Pixels, quality: int = QUALITY) -> tuple[float, NDArray[np.uint8]]:
        stream, _ = self.code_tile(tile)
        return float(len(stream)), tile

    def encode(self, picture: Picture, quality: int = QUALITY, progress: Progress = no_progress) -> bytes:
        """As `Codec.encode`, whatever quality is asked for."""
        return super().encode(picture, QUALITY, progress)

    def features(self, pictures: Sequence[Picture]) -> list[NDArray[np.float32]]:
        raise UsageError(f"{NAME} has no latents")

    def decode_latents(self, parsed: Container) -> Iterator[Pixels]:
        """Pixels of every tile. Raises CorruptFileError."""
        for number, tile in enumerate(tiling.tiles(parsed.width, parsed.height)):
            yield _decoded(parsed, number, tile)

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
            tiling.inside(colour, tile)[...] = next(latents)
            progress((number + 1) / len(tiles))
        return colour

    def bands(self, parsed: Container, view: View, progress: Progress = no_progress) -> Iterator[Samples]:
        """See `Codec`. Decodes the tiles that the view touches."""
        left, top, right, bottom = (side * view.divisor for side in view.window(parsed.width, parsed.height))
        touched: dict[int, list[tuple[int, tiling.Tile]]] = {}
        for number, tile in enumerate(tiling.tiles(parsed.width, parsed.height)):
            rows, columns = (tile.top * CELL, tile.bottom * CELL), (tile.left * CELL, tile.right * CELL)
            if rows[0] < bottom and rows[1] > top and columns[0] < right and columns[1] > left:
                touched.setdefault(tile.row, []).append((number, tile))
        for done, members in enumerate(touched.values()):
            start_row, start_column = members[0][1].top * CELL, members[0][1].left * CELL
            band = np.concatenate([_decoded(parsed, number, tile) for number, tile in members], axis=1)
            part = band[max(0, top - start_row) : bottom - start_row, left - start_column : right - start_column]
            yield view.finished(part)
            progress((done + 1) / len(touched))


def _decoded(parsed: Container, number: int, tile: tiling.Tile) -> Pixels:
    """Pixels of a tile, (h, w[, 3]). Raises CorruptFileError."""
    stream = parsed.tiles[number]
    height = min(tile.bottom * CELL, parsed.height) - tile.top * CELL
    width = min(tile.right * CELL, parsed.width) - tile.left * CELL
    body, kind = stream[CHECK_BYTES:-1], stream[-1:] if len(stream) > CHECK_BYTES else b""
    shape = (height, width) if parsed.gray else (height, width, 3)
    if kind == _COMPRESSED:
        block = planes.decompress(body, width, height, parsed.gray, "a tile")
    elif kind == _STORED and len(body) == np.prod(shape):
        block = np.frombuffer(body, np.uint8).reshape(shape)
    else:
        raise CorruptFileError("a tile of pixels is malformed")
    confirm(block, stream)
    return block
