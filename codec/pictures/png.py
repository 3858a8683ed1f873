"""PNG, written row by row (https://www.w3.org/TR/png-3/).

Each row is filtered by Sub, Up or Paeth, whichever leaves the smallest numbers, as the specification advises. Bands
are cut into strips, so that what is worked on stays small beside a band.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from caecodec.pictures.picture import Pixels
from caecodec.pictures.rows import Rows
from caecodec.pictures.view import Samples

_STRIP_BYTES = 1 << 20
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_LEVEL = 1  # of deflate: of decoded photographs files are smaller than at 6 and made in a third of the time


def write(rows: Rows, stream: BinaryIO) -> None:
    """8 or 16 bits, 1 to 4 channels; profile, EXIF and XMP beside them."""
    stream.write(b"\x89PNG\r\n\x1a\n")
    _chunk(
        stream,
        b"IHDR",
        struct.pack(">IIBBBBB", rows.width, rows.height, rows.depth, _COLOUR_TYPES[rows.channels], 0, 0, 0),
    )
    if rows.icc:
        _chunk(stream, b"iCCP", b"ICC Profile\0\0" + zlib.compress(rows.icc))
    if rows.exif:
        _chunk(stream, b"eXIf", rows.exif)
    if rows.xmp:
        _chunk(stream, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + rows.xmp)
    deflate = zlib.compressobj(_LEVEL)
    step = rows.channels * rows.depth // 8
    last = np.zeros((1, rows.width * step), np.uint8)
    for strip in _strips(rows.bands, rows.width * step):
        given = strip.reshape(len(strip), -1)
        lines = given if rows.depth == 8 else given.astype(">u2").view(np.uint8)
        above = np.concatenate((last, lines[:-1]))
        last = lines[-1:].copy()
        if data := deflate.compress(_filtered(lines, above, step).data):
            _chunk(stream, b"IDAT", data)
    _chunk(stream, b"IDAT", deflate.flush())
    _chunk(stream, b"IEND", b"")


def _chunk(stream: BinaryIO, name: bytes, data: bytes) -> None:
    stream.write(struct.pack(">I", len(data)) + name)
    stream.write(data)
    stream.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))


def _strips(bands: Iterator[Samples], row_bytes: int) -> Iterator[Samples]:
    rows = max(1, _STRIP_BYTES // row_bytes)
    for band in bands:
        for start in range(0, len(band), rows):
            yield np.ascontiguousarray(band[start : start + rows])
        del band


def _filtered(lines: Pixels, above: Pixels, step: int) -> Pixels:
    """Rows of bytes (h, W) and those above them -> (h, 1 + W): the filter of each, and what it leaves."""
    left, corner = np.zeros_like(lines), np.zeros_like(above)
    left[:, step:], corner[:, step:] = lines[:, :-step], above[:, :-step]
    choices = {1: lines - left, 2: lines - above, 4: lines - _paeth(left, above, corner)}
    numbers = np.array(list(choices), np.uint8)
    # the sum of what is left as if it had a sign
    costs = [
        np.abs(rest.view(np.int8), dtype=np.int16, casting="unsafe").sum(axis=1, dtype=np.int64)
        for rest in choices.values()
    ]
    best = np.argmin(costs, axis=0)
    found: Pixels = np.empty((lines.shape[0], lines.shape[1] + 1), np.uint8)
    found[:, 0] = numbers[best]
    for number, rest in enumerate(choices.values()):
        chosen = best == number
        found[chosen, 1:] = rest[chosen]
    return found


def _paeth(left: Pixels, above: Pixels, corner: Pixels) -> Pixels:
    """Of three neighbours the one that is nearest to left + above - corner."""
    up = above.astype(np.int16) - corner  # how far the estimate is from `left`
    across = left.astype(np.int16) - corner  # and from `above`
    both = np.abs(up + across)
    up, across = np.abs(up), np.abs(across)
    return np.where((up <= across) & (up <= both), left, np.where(across <= both, above, corner))
