"""TIFF, written row by row: strips of deflate behind a predictor, and the directory at the end (TIFF 6.0).

Little-endian; BigTIFF where strips could reach past the 4 GiB that offsets of plain TIFF count.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from caecodec.pictures import metadata
from caecodec.pictures.rows import Rows
from caecodec.pictures.view import Samples

_STRIP_BYTES = 1 << 18
_PLAIN_BYTES = (1 << 32) - (1 << 20)  # up to which offsets of plain TIFF are safe
_BYTE, _SHORT, _LONG, _UNDEFINED, _LONG8 = 1, 3, 4, 7, 16
_CODES = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}
_DEFLATE, _HORIZONTAL, _UNASSOCIATED = 8, 2, 2
_ICC, _XMP = 34675, 700
_LEVEL = 1

Entry = tuple[int, int, bytes, bytes]  # type, count, the value field as it is, or its data


def write(rows: Rows, stream: BinaryIO) -> None:
    """8 or 16 bits, 1 to 4 channels; profile, EXIF and XMP beside them. The stream can seek."""
    per_row = rows.width * rows.channels * rows.depth // 8
    per_strip = max(1, _STRIP_BYTES // per_row)
    big = rows.height * per_row * 1.01 + len(rows.icc) + len(rows.xmp) + len(rows.exif) > _PLAIN_BYTES
    stream.write(b"II\x2b\0\x08\0\0\0" + bytes(8) if big else b"II\x2a\0" + bytes(4))
    offsets, sizes = [], []
    for strip in _strips(rows.bands, per_strip):
        data = zlib.compress(_predicted(strip), _LEVEL)
        offsets.append(stream.tell())
        sizes.append(len(data))
        stream.write(data)
    fields = _fields(rows, per_strip)
    fields[273] = _numbers(_LONG8 if big else _LONG, offsets)
    fields[279] = _numbers(_LONG8 if big else _LONG, sizes)
    for tag, data in ((_XMP, rows.xmp), (_ICC, rows.icc)):
        if data:
            fields[tag] = _UNDEFINED if tag == _ICC else _BYTE, len(data), b"", data
    if rows.exif and not big:  # whose directories have the form of plain TIFF
        stream.write(bytes(stream.tell() % 2))
        fields = _exif(rows.exif, stream) | fields
    at = _directory(fields, stream, big=big)
    stream.seek(8 if big else 4)
    stream.write(struct.pack("<Q" if big else "<I", at))
    stream.seek(0, 2)


def _strips(bands: Iterator[Samples], rows: int) -> Iterator[Samples]:
    """So many rows each, whatever the bands; fewer in the last."""
    waiting: Samples | None = None
    for band in bands:
        start = 0
        if waiting is not None:
            start = rows - len(waiting)
            waiting = np.concatenate((waiting, band[:start]))
            if len(waiting) < rows:
                continue
            yield waiting
            waiting = None
        while start + rows <= len(band):
            yield band[start : start + rows]
            start += rows
        if start < len(band):
            waiting = band[start:].copy()
        del band
    if waiting is not None:
        yield waiting


def _predicted(strip: Samples) -> bytes:
    """Every sample less that to its left."""
    rest = strip.copy()
    rest[:, 1:] -= strip[:, :-1]
    return rest.tobytes() if rest.dtype == np.uint8 else rest.astype("<u2").tobytes()


def _fields(rows: Rows, per_strip: int) -> dict[int, Entry]:
    samples = rows.channels
    values: dict[int, tuple[int, list[int]]] = {
        256: (_LONG, [rows.width]),
        257: (_LONG, [rows.height]),
        258: (_SHORT, [rows.depth] * samples),
        259: (_SHORT, [_DEFLATE]),
        262: (_SHORT, [2 if samples > 2 else 1]),
        277: (_SHORT, [samples]),
        278: (_LONG, [per_strip]),
        284: (_SHORT, [1]),
        317: (_SHORT, [_HORIZONTAL]),
    }
    if samples in (2, 4):
        values[338] = _SHORT, [_UNASSOCIATED]
    return {tag: _numbers(kind, numbers) for tag, (kind, numbers) in values.items()}


def _numbers(kind: int, numbers: list[int]) -> Entry:
    return kind, len(numbers), b"", struct.pack(f"<{len(numbers)}{_CODES[kind]}", *numbers)


def _exif(exif: bytes, stream: BinaryIO) -> dict[int, Entry]:
    """Write what EXIF tags refer to, and give the tags, those that a TIFF can hold (`metadata.tags_of`)."""
    directory = ImageFileDirectory_v2(prefix=b"II")
    for tag, value in metadata.tags_of(exif)[0].items():
        directory[tag] = value
    if not len(directory):
        return {}
    block: bytes = directory.tobytes(stream.tell())
    stream.write(block)
    (count,) = struct.unpack_from("<H", block)
    fields = {}
    for number in range(count):
        tag, kind, values, value = struct.unpack_from("<HHI4s", block, 2 + 12 * number)
        fields[tag] = kind, values, value, b""
    return fields


def _directory(fields: dict[int, Entry], stream: BinaryIO, *, big: bool) -> int:
    """Write a directory behind its data; where it begins."""
    entries = []
    for tag, (kind, count, value, data) in sorted(fields.items()):
        if len(data) <= (8 if big else 4):
            value = data or value
        else:
            stream.write(bytes(stream.tell() % 2))
            value = struct.pack("<Q" if big else "<I", stream.tell())
            stream.write(data)
        entries.append(struct.pack("<HHQ8s" if big else "<HHI4s", tag, kind, count, value))
    stream.write(bytes(stream.tell() % 2))
    at = stream.tell()
    stream.write(struct.pack("<Q" if big else "<H", len(entries)) + b"".join(entries) + bytes(8 if big else 4))
    return at
