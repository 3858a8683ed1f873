"""Colour of large pictures that stays in its file until a part of it is asked for: PPM, PGM, and TIFF by its blocks.

A picture of a gigapixel takes 3 GB as an array; coding it by tiles looks at a few rows of tiles at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from caecodec.errors import InputImageError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

Pixels = NDArray[np.uint8]
Blocks = Callable[[bytes, tuple[int, int]], Pixels]  # data of a block of TIFF and its size -> (h, w[, 3])

LAZY_FROM = 1 << 24  # pixels; to hold fewer is as well
_MOST_BYTES = 1 << 24  # of a block that is decoded whole
_OF_A_BLOCK = 8  # times its bytes are taken while it is decoded: its data, Pillow's four bytes a pixel, the array
_SEEN = 2048  # rows that coding a tile looks at, at most
_MODES = {"L": 1, "RGB": 3}
_UNCOMPRESSED, _JPEG = 1, 7
_GRAY, _COLOUR, _YCBCR = 1, 2, 6
# tags of TIFF 6.0 that say how the bytes of a block are to be read
_OF_BLOCKS = (258, 259, 262, 266, 277, 284, 317, 347, 529, 530, 531, 532)


@dataclass(frozen=True, slots=True, eq=False)
class LazyPixels:
    """(H, W, 3) or, for gray, (H, W) of uint8: like an array of which only slices of rows and columns are taken.

    read: rows and columns, ranges of which only the rows may have a step -> (h, w[, 3]). Raises InputImageError where
    the file is damaged or has become shorter. held: bytes that stay in memory between two readings, at most.
    """

    shape: tuple[int, ...]
    read: Callable[[range, range], Pixels]
    held: int = 0

    @property
    def ndim(self) -> int:
        """As of an array."""
        return len(self.shape)

    def __getitem__(self, key: slice | tuple[slice, slice]) -> Pixels:
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        return self.read(range(*rows.indices(self.shape[0])), range(*columns.indices(self.shape[1])))


def lazy(image: ImageFile, stream: BinaryIO, decode: Blocks) -> LazyPixels | None:
    """Pixels of an opened picture, not loaded yet, read from its file; None where that cannot be done or is no use.

    stream: a plain file; it may be closed afterwards, and is not to be read any more. decode: a small TIFF whole.
    Raises InputImageError for a file that ends before its picture does.
    """
    width, height = image.size
    if width * height < LAZY_FROM or image.mode not in _MODES or "transparency" in image.info:
        return None
    try:
        file = _File(os.dup(stream.fileno()))
    except (OSError, AttributeError):  # nothing on a disk
        return None
    shape = (height, width) if image.mode == "L" else (height, width, 3)
    if image.format == "TIFF":
        return _of_tiff(image, file, shape, decode)
    if image.format == "PPM" and [tile[0] for tile in image.tile] == ["raw"]:
        start, row_bytes = image.tile[0][2], width * _MODES[image.mode]
        file.require(start + height * row_bytes)
        return LazyPixels(shape, _Rows(file, shape, lambda row: start + row * row_bytes).read)
    return None


class _File:
    """An open file of which pieces are read."""

    def __init__(self, descriptor: int) -> None:
        """It is closed with this."""
        self._descriptor = descriptor

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self._descriptor)

    def __reduce__(self) -> str:
        raise TypeError("pixels that lie in an open file cannot be copied")

    def require(self, end: int) -> None:
        """Raise InputImageError where the file is shorter."""
        if os.fstat(self._descriptor).st_size < end:
            raise InputImageError("the file ends before its picture does")

    def fill(self, place: NDArray[np.uint8], start: int) -> None:
        """So many bytes as there is place for. Raises InputImageError where the file has become too short."""
        view = place.data.cast("B")
        while view:
            if hasattr(os, "preadv"):
                count = os.preadv(self._descriptor, [view], start)
            else:
                os.lseek(self._descriptor, start, os.SEEK_SET)
                data = os.read(self._descriptor, len(view))
                count = len(data)
                view[:count] = data
            if not count:
                raise InputImageError("the file ends before its picture does: it has become shorter")
            view, start = view[count:], start + count


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of bytes as they are, each in one piece. begins: row -> where it is."""

    file: _File
    shape: tuple[int, ...]
    begins: Callable[[int], int]

    def read(self, rows: range, columns: range) -> Pixels:
        found: Pixels = np.empty((len(rows), len(columns), *self.shape[2:]), np.uint8)
        pixel_bytes = found[:1, :1].size
        for place, row in zip(found, rows, strict=True):
            self.file.fill(place, self.begins(row) + columns.start * pixel_bytes)
        return found


def _of_tiff(image: Any, file: _File, shape: tuple[int, ...], decode: Blocks) -> LazyPixels | None:
    """One sample of 8 bits a channel, channels side by side, and no block so large that it is no help."""
    tags, channels = image.tag_v2, shape[2] if len(shape) == 3 else 1
    compression = tags.get(259, _UNCOMPRESSED)
    plain = tuple(tags.get(258, ())) == (8,) * channels and tags.get(277, 1) == channels and tags.get(284, 1) == 1
    kind = tags.get(262)
    usual = kind == (_GRAY if channels == 1 else _COLOUR) or (kind, channels, compression) == (_YCBCR, 3, _JPEG)
    if not (plain and usual) or set(np.ravel(tags.get(339, 1))) != {1} or tags.get(274, 1) != 1:
        return None
    if 273 in tags and 324 in tags:  # strips and tiles: libraries differ in what they take
        return None
    tiled = 324 in tags
    high, wide = (tags.get(323, 0), tags.get(322, 0)) if tiled else (min(tags.get(278, shape[0]), shape[0]), shape[1])
    offsets, sizes = (tags.get(tag, ()) for tag in ((324, 325) if tiled else (273, 279)))
    if not all(isinstance(number, int) and number >= 0 for number in (high, wide, *offsets, *sizes)) or not high * wide:
        return None
    grid = -(-shape[0] // high), -(-shape[1] // wide)
    if len(offsets) != grid[0] * grid[1] or len(sizes) != len(offsets):
        return None
    row_bytes, block_bytes = shape[1] * channels, high * wide * channels
    if not tiled and compression == _UNCOMPRESSED and tags.get(266, 1) == 1:
        for number, offset in enumerate(offsets):
            file.require(offset + min(high, shape[0] - number * high) * row_bytes)
        return LazyPixels(shape, _Rows(file, shape, lambda row: offsets[row // high] + row % high * row_bytes).read)
    if compression == _UNCOMPRESSED:
        sizes = (block_bytes,) * len(offsets)  # whatever they are said to be
    if max(*sizes, block_bytes) > _MOST_BYTES:
        return None
    for offset, size in zip(offsets, sizes, strict=True):
        file.require(offset + size)
    blocks = _TiffBlocks(file, shape, (high, wide), tiled, tuple(offsets), tuple(sizes), _alone(tags), decode)
    held = min(_SEEN + 2 * high, shape[0]) * row_bytes + _OF_A_BLOCK * block_bytes
    return LazyPixels(shape, blocks.read, held)


def _alone(tags: Any) -> Callable[[bytes, tuple[int, int]], bytes]:
    """Data of a block and its size -> a TIFF of this block alone."""
    from PIL import TiffTags
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    kept = {tag: (tags.tagtype[tag], tags[tag]) for tag in _OF_BLOCKS if tag in tags}

    def file_of(data: bytes, size: tuple[int, int]) -> bytes:
        directory = ImageFileDirectory_v2(prefix=b"II")
        for tag, (kind, value) in kept.items():
            directory.tagtype[tag] = kind
            directory[tag] = value
        high, wide = size
        for tag, number in ((256, wide), (257, high), (273, 0), (278, high), (279, len(data))):
            directory.tagtype[tag] = TiffTags.LONG
            directory[tag] = number
        # Pillow lets offsets of strips count from the end of the directory
        return b"II*\0\x08\0\0\0" + directory.tobytes(8) + data

    return file_of


class _TiffBlocks:
    """Strips or tiles that are decoded when they are first needed, and kept while rows of theirs are being read."""

    def __init__(
        self,
        file: _File,
        shape: tuple[int, ...],
        block: tuple[int, int],
        tiled: bool,
        offsets: tuple[int, ...],
        sizes: tuple[int, ...],
        alone: Callable[[bytes, tuple[int, int]], bytes],
        decode: Blocks,
    ) -> None:
        self._file, self._shape, self._block, self._tiled = file, shape, block, tiled
        self._offsets, self._sizes, self._alone, self._decode = offsets, sizes, alone, decode
        self._kept: dict[tuple[int, int], Pixels] = {}

    def read(self, rows: range, columns: range) -> Pixels:
        found: Pixels = np.empty((len(rows), len(columns), *self._shape[2:]), np.uint8)
        if not found.size:
            return found
        high, wide = self._block
        needed = range(rows.start // high, rows[-1] // high + 1)
        self._kept = {at: pixels for at, pixels in self._kept.items() if at[0] in needed}
        for row in needed:
            # which of the rows lie in this row of blocks
            first = -(-max(0, row * high - rows.start) // rows.step)
            inside = rows[first : -(-max(0, (row + 1) * high - rows.start) // rows.step)]
            for column in range(columns.start // wide, columns[-1] // wide + 1) if inside else ():
                left, right = max(columns.start, column * wide), min(columns.stop, (column + 1) * wide)
                block = self._decoded(row, column)
                part = block[inside.start - row * high : inside[-1] + 1 - row * high : inside.step]
                place = found[first : first + len(inside), left - columns.start : right - columns.start]
                place[...] = part[:, left - column * wide : right - column * wide]
        return found

    def _decoded(self, row: int, column: int) -> Pixels:
        if (row, column) not in self._kept:
            high, wide = self._block
            if not self._tiled:  # the last strip has fewer rows
                high = min(high, self._shape[0] - row * high)
            number = row * -(-self._shape[1] // wide) + column
            data = np.empty(self._sizes[number], np.uint8)
            self._file.fill(data, self._offsets[number])
            pixels = self._decode(self._alone(data.tobytes(), (high, wide)), (high, wide))
            if pixels.shape != (high, wide, *self._shape[2:]):
                raise InputImageError("a block of the TIFF is not what the picture says of it")
            # a tile may be wider than its picture
            self._kept[row, column] = pixels[:, : self._shape[1] - column * wide].copy() if self._tiled else pixels
        return self._kept[row, column]
