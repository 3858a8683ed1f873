"""The picture files within a .cae file, alpha and lossless tiles: taken apart strictly (docs/FORMAT.md, 11.1).

A library that decodes them forgives much, and another one other things: two decoders would show two pictures. So what
may stand there is one form of PNG and one of WebP, and everything about it that is not pixels is checked here, before a
library sees it. Standard library only.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from caecodec.errors import CorruptFileError

_PNG = b"\x89PNG\r\n\x1a\n"
_GRAY_8 = bytes((8, 0, 0, 0, 0))  # depth, colour type, compression, filters, interlace
_ANIMATED = (b"acTL", b"fcTL", b"fdAT")
_FILTERS = 4
_PART = 1 << 16


def check(data: bytes, width: int, height: int, gray: bool, what: str) -> str:
    """'PNG' or 'WEBP': which of the allowed forms a file is. Raises CorruptFileError, naming `what`.

    What is not checked: the stream of a WebP, and whether its pixels are gray. Takes no memory beyond slices.
    """
    if data[:4] == b"RIFF":
        _check_webp(data, width, height, what)
        return "WEBP"
    if data.startswith(_PNG) and gray:
        _check_png(data, width, height, what)
        return "PNG"
    raise CorruptFileError(f"{what} is not a lossless WebP{' or an 8-bit gray PNG' if gray else ''}")


def _size(width: int, height: int, expected: tuple[int, int], what: str) -> None:
    if (width, height) != expected:
        raise CorruptFileError(f"{what} is {width}x{height}, not {expected[0]}x{expected[1]}")


def _check_webp(data: bytes, width: int, height: int, what: str) -> None:
    """One chunk VP8L, opaque, in a RIFF that ends where the file does."""
    length = int.from_bytes(data[16:20], "little")
    whole = 20 + length + length % 2
    if data[8:16] != b"WEBPVP8L" or length < 5 or data[20] != 0x2F:
        raise CorruptFileError(f"{what} is not a WebP of one lossless picture and nothing else")
    if int.from_bytes(data[4:8], "little") != whole - 8 or len(data) != whole or (length % 2 and data[-1]):
        raise CorruptFileError(f"{what} is a WebP that is longer or shorter than it says")
    bits = int.from_bytes(data[21:25], "little")
    if bits >> 28:
        raise CorruptFileError(f"{what} is a WebP with an alpha channel, or of an unknown version")
    _size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, (width, height), what)


def _check_png(data: bytes, width: int, height: int, what: str) -> None:
    """8-bit grayscale, not interlaced, one frame, whole, and nothing behind it."""
    names: list[bytes] = []
    pixels: list[memoryview] = []
    for name, body in _chunks(data, what):
        if not names:
            if name != b"IHDR" or len(body) != 13 or body[8:] != _GRAY_8:
                raise CorruptFileError(f"{what} is not one 8-bit gray picture")
            _size(int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big"), (width, height), what)
        elif name == b"IDAT":
            if b"IDAT" in names and names[-1] != b"IDAT":
                raise CorruptFileError(f"{what} is a PNG whose pixels do not stand together")
            pixels.append(body)
        elif name in _ANIMATED or not name.isalpha() or (not name[0] & 0x20 and name != b"IEND"):
            raise CorruptFileError(f"{what} is not one 8-bit gray picture: it has a chunk {name!r}")
        names.append(name)
    _check_rows(pixels, width, height, what)


def _chunks(data: bytes, what: str) -> Iterator[tuple[bytes, memoryview]]:
    """Name and body of each, to IEND, which must be the file's end."""
    view, at = memoryview(data), len(_PNG)
    while True:
        length = int.from_bytes(view[at : at + 4], "big")
        end = at + 12 + length
        if len(view) < max(end, at + 12):
            raise CorruptFileError(f"{what} is a PNG that ends too early")
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise CorruptFileError(f"{what} is a PNG with a damaged chunk")
        name = bytes(view[at + 4 : at + 8])
        yield name, view[at + 8 : end - 4]
        at = end
        if name == b"IEND":
            if length or at != len(view):
                raise CorruptFileError(f"{what} is a PNG with bytes behind its end")
            return


def _check_rows(parts: list[memoryview], width: int, height: int, what: str) -> None:
    """One zlib stream of just these rows, each with a filter that exists."""
    line, rows = width + 1, 0
    stream = zlib.decompressobj()
    left = 0  # bytes to the next row's filter
    try:
        for part in parts:
            at, rest = 0, b""
            while (rest or at < len(part)) and not stream.eof:
                if not rest:  # piece by piece: what is left of each is copied for every block
                    rest, at = bytes(part[at : at + _PART]), at + _PART
                block = stream.decompress(rest, _PART)
                rest = stream.unconsumed_tail
                filters = block[left::line]
                if max(filters, default=0) > _FILTERS:
                    raise CorruptFileError(f"{what} is a PNG with an unknown filter")
                rows += len(filters)
                left = (left - len(block)) % line
                if rows > height:
                    break
            if rest or at < len(part) or stream.unused_data:
                break
    except zlib.error as exc:
        raise CorruptFileError(f"{what} is a PNG whose pixels are damaged ({exc})") from exc
    if not stream.eof or stream.unused_data or rows != height or left:
        raise CorruptFileError(f"{what} is a PNG with other pixels than its size")
