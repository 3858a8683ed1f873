"""Codecs of many tiny pictures at once: models of caecodec, and JPEG and WebP of Pillow."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from caecodec.bench.codecs.protocol import BenchCodec
from caecodec.bench.codecs.registry import open_codec
from caecodec.codecs.codec import Codec
from caecodec.format import container
from caecodec.pictures.picture import from_array
from caecodec.search import choice
from caecodec.search.effort import DEFAULT_EFFORT, Effort
from caecodec.search.improve import can_search

Batch = NDArray[np.uint8]  # (P, H, W, C), C = 1 or 3
_GRID = (1, *range(10, 101, 10))


class SmallCodec(Protocol):
    """A codec of many pictures at once."""

    @property
    def name(self) -> str: ...

    @property
    def qualities(self) -> tuple[int, ...]:
        """The grid of its curve, from the smallest file to the largest."""
        ...

    @property
    def strip(self) -> Callable[[bytes], int] | None:
        """A whole file -> how many of its bytes other files could not share."""
        ...

    def encode(self, pictures: Batch, quality: int) -> list[bytes]: ...

    def decode(self, files: Sequence[bytes]) -> Batch: ...


class Learned:
    """A model of caecodec, by its files; with an effort of 3 and above each picture is searched for itself."""

    qualities = _GRID
    strip = None

    def __init__(self, name: str, codec: Codec, effort: int = DEFAULT_EFFORT.level) -> None:
        self.name, self._codec, self._effort = name, codec, Effort(effort)

    def encode(self, pictures: Batch, quality: int) -> list[bytes]:
        some = [from_array(picture) for picture in pictures]
        if can_search(self._codec, self._effort):
            return [choice.lossy(self._codec, picture, quality, effort=self._effort) for picture in some]
        return self._codec.encode_many(some, quality)

    def decode(self, files: Sequence[bytes]) -> Batch:
        decoded = self._codec.decode_many([container.parse(file) for file in files])
        return np.stack([d.pixels[..., None] if d.gray else d.pixels for d in decoded])


class Library:
    """A codec of Pillow. Gray pictures go in as one channel; of WebP, which has none, the mean of three comes back."""

    def __init__(
        self, name: str, codec: BenchCodec, qualities: tuple[int, ...], strip: Callable[[bytes], int], gray: bool
    ) -> None:
        self.name, self.qualities, self.strip = name, qualities, strip
        self._codec, self._gray = codec, gray

    def encode(self, pictures: Batch, quality: int) -> list[bytes]:
        return [self._codec.encode(p[..., 0] if self._gray else p, quality) for p in pictures]

    def decode(self, files: Sequence[bytes]) -> Batch:
        decoded = np.stack([self._codec.decode(file) for file in files])
        if not self._gray:
            return decoded
        gray: Batch = ((decoded.sum(axis=3, keepdims=True, dtype=np.uint16) + 1) // 3).astype(np.uint8)
        return gray


_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)  # not a stuffed FF, a restart or a fill byte


def jpeg_scan_bytes(data: bytes) -> int:
    """Bytes of entropy-coded data in a JPEG file: all but its tables and headers. Raises ValueError."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG file")
    position, total = 2, 0
    while data[position : position + 2] != b"\xff\xd9":
        if position + 4 > len(data) or data[position] != 0xFF:
            raise ValueError("not a whole JPEG file")
        scan = data[position + 1] == 0xDA
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if scan:
            end = _NEXT_MARKER.search(data, position)
            if end is None:
                raise ValueError("not a whole JPEG file")
            total += end.start() - position
            position = end.start()
    return total


def webp_payload_bytes(data: bytes) -> int:
    """Bytes of a lossy WebP file but for the headers of RIFF and of its one chunk. Raises ValueError."""
    if data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8 ":
        raise ValueError("not a WebP file of one lossy chunk")
    return len(data) - 20


# name -> codec of the benchmark, grid of its curve, what is counted of a file beside the whole
LIBRARIES: Mapping[str, tuple[str, tuple[int, ...], Callable[[bytes], int]]] = {
    "jpeg": ("jpeg", (1, *range(3, 96, 4)), jpeg_scan_bytes),  # Pillow's defaults: 4:2:0
    "webp": ("webp-6", (0, 5, *range(10, 101, 10)), webp_payload_bytes),
}


def open_libraries() -> dict[str, BenchCodec]:
    """Name in LIBRARIES -> the codec that it stands for. Raises UsageError where one does not work here."""
    return {name: open_codec(codec) for name, (codec, _, _) in LIBRARIES.items()}
