"""The .cae container: bytes <-> Container. Standard library only; docs/FORMAT.md is the specification.

    magic CA EC 0D | version | flags | quality | model id (4) | width | height   varints
    [section table: count, then tag and length of each]                         if flag SECTIONS
    [section payloads]
    latents                                                                     to the end, less 4 bytes
    CRC-32 of all before                                                        4 bytes, little-endian

One Container has one byte string. The parser also takes what later versions may add without harm: unknown ancillary
flags and sections.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from caecodec.errors import CorruptFileError, LimitError
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.tune import QUALITIES

MAGIC = b"\xca\xec\x0d"
VERSION = 2
MODEL_ID_BYTES = 4
LOSSLESS_ID = bytes(MODEL_ID_BYTES)  # in place of a model's: pixels as they are
TILE = 1024  # pixels; tiles start at multiples of it

FLAG_GRAY = 0x01
FLAG_SECTIONS = 0x02
CRITICAL_FLAGS = 0x0F  # unknown ones among these: reject; above these: ignore
KNOWN_FLAGS = FLAG_GRAY | FLAG_SECTIONS

TAG_ALPHA, TAG_ALPHA_CHECK, TAG_EXIF, TAG_ICC, TAG_PREVIEW, TAG_XMP = b"A", b"a", b"e", b"i", b"p", b"x"
KNOWN_TAGS = (TAG_ALPHA, TAG_ALPHA_CHECK, TAG_EXIF, TAG_ICC, TAG_PREVIEW, TAG_XMP)
METADATA = {TAG_EXIF: "exif", TAG_ICC: "icc", TAG_XMP: "xmp"}
SECTION_NAMES = {TAG_ALPHA: "alpha", TAG_PREVIEW: "preview"} | METADATA
CHECK_BYTES = 2  # of the CRC of a tile's decoded latents, at the head of its stream, and of alpha

_FIXED = len(MAGIC) + 3 + MODEL_ID_BYTES
_SMALLEST = _FIXED + 2 + CHECK_BYTES + 4
_MAX_VARINT_BYTES = 5


@dataclass(frozen=True, slots=True)
class Container:
    """One parsed file. `tiles` are in raster order, each its check bytes and its range-coded words."""

    width: int
    height: int
    quality: int  # 1..100, or a row above of tables that some models have: see `caecodec.tune`
    model_id: bytes  # MODEL_ID_BYTES
    tiles: tuple[bytes, ...]
    gray: bool = False
    sections: Mapping[bytes, bytes] = field(default_factory=dict)  # tag -> payload


@dataclass(frozen=True, slots=True)
class Head:
    """What stands in front of the tiles; nothing has been checked that stands behind."""

    width: int
    height: int
    quality: int
    model_id: bytes
    gray: bool
    sections: Mapping[bytes, bytes]


def tile_grid(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of tiles of a picture of this size in pixels."""
    return -(-height // TILE), -(-width // TILE)


def varint(value: int) -> bytes:
    """Unsigned LEB128: seven bits a byte, least significant first, high bit set on all but the last."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def is_lossless(data: bytes) -> bool:
    """Whether a .cae file keeps pixels as they are; the file is not checked."""
    start = len(MAGIC) + 3
    return data[start : start + MODEL_ID_BYTES] == LOSSLESS_ID


def serialize(container: Container) -> bytes:
    """Container -> the bytes of a .cae file."""
    c = container
    flags = FLAG_GRAY * c.gray | FLAG_SECTIONS * bool(c.sections)
    head = [MAGIC, bytes((VERSION, flags, c.quality)), c.model_id, varint(c.width), varint(c.height)]
    if c.sections:
        tags = sorted(c.sections)
        head.append(varint(len(tags)))
        head += [tag + varint(len(c.sections[tag])) for tag in tags]
        head += [c.sections[tag] for tag in tags]
    index = [varint(len(tile)) for tile in c.tiles[:-1]]  # the last tile's length is what is left
    body = b"".join((*head, *index, *c.tiles))
    return body + zlib.crc32(body).to_bytes(4, "little")


def parse(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Container:
    """The bytes of a .cae file -> Container.

    Raises CorruptFileError for anything no `serialize` of this version or a compatible later one writes, LimitError for
    what is over `limits`.
    Allocates nothing beyond slices of `data`.
    """
    _check_start(data)
    found = int.from_bytes(data[-4:], "little")
    if zlib.crc32(memoryview(data)[:-4]) != found:
        raise CorruptFileError("the checksum does not match: the file is damaged or truncated; fetch it again")
    reader = _Reader(data, _FIXED, len(data) - 4)
    head = _head(data, reader, limits)
    rows, columns = tile_grid(head.width, head.height)
    if rows * columns * CHECK_BYTES + rows * columns - 1 > reader.left:
        raise CorruptFileError(f"truncated: {reader.left} bytes cannot hold {rows * columns} tiles")
    limits.check_worth(head.width, head.height, len(data))
    lengths = [reader.varint("tile length") for _ in range(rows * columns - 1)]
    tiles = [reader.take(length, "a tile") for length in lengths]
    tiles.append(reader.take(reader.left, "the last tile"))
    if min(map(len, tiles)) < CHECK_BYTES:
        raise CorruptFileError("a tile is too short")
    if any(len(tile) > CHECK_BYTES and not tile[-1] for tile in tiles):
        raise CorruptFileError("a tile ends in zero bytes that no encoder writes")
    return Container(head.width, head.height, head.quality, head.model_id, tuple(tiles), head.gray, head.sections)


def parse_head(start: bytes, limits: Limits = DEFAULT_LIMITS) -> Head:
    """The first bytes of a .cae file -> what they say of it. Raises as `parse`, also where they are too few."""
    _check_start(start)
    return _head(start, _Reader(start, _FIXED, len(start)), limits)


def _check_start(data: bytes) -> None:
    if data[: len(MAGIC)] != MAGIC:
        if not data or MAGIC.startswith(data):
            raise CorruptFileError(f"truncated: {len(data)} bytes are too few for a .cae file")
        raise CorruptFileError("not a .cae file (it does not begin with CA EC 0D)")
    if len(data) < _SMALLEST:
        raise CorruptFileError(f"truncated: {len(data)} bytes are too few for a .cae file")
    version = data[3]
    if version != VERSION:
        known = f"format version {version}; this caecodec reads version {VERSION}"
        raise CorruptFileError(f"{known}: install a newer one" if version > VERSION else f"{known}, the first released")


def _head(data: bytes, reader: _Reader, limits: Limits) -> Head:
    flags, quality = data[4:6]
    if flags & CRITICAL_FLAGS & ~KNOWN_FLAGS:
        raise CorruptFileError(f"flags 0x{flags:02x} need a newer caecodec")
    if not 1 <= quality <= 2 * QUALITIES:
        raise CorruptFileError(f"quality {quality} is not in 1..{2 * QUALITIES}")
    width, height = reader.varint("width"), reader.varint("height")
    if not width or not height:
        raise CorruptFileError(f"a picture of {width}x{height} pixels has no pixels")
    limits.check_size(width, height)
    sections = _sections(reader, limits) if flags & FLAG_SECTIONS else {}
    model_id = data[len(MAGIC) + 3 : _FIXED]
    return Head(width, height, quality, model_id, bool(flags & FLAG_GRAY), sections)


def _sections(reader: _Reader, limits: Limits) -> dict[bytes, bytes]:
    count = reader.varint("section count")
    if not 1 <= count <= 255:
        raise CorruptFileError(f"{count} sections where the flag promises 1 to 255")
    table = [(reader.take(1, "a section tag"), reader.varint("section length")) for _ in range(count)]
    tags = [tag for tag, _ in table]
    if tags != sorted(set(tags)):
        raise CorruptFileError("sections are not in rising order of their tags")
    sections = {}
    for tag, length in table:
        if not tag.isalpha() or not length:  # bytes.isalpha: ASCII letters
            raise CorruptFileError(f"section {tag!r} of {length} bytes: a tag is a letter, and no section is empty")
        payload = reader.take(length, "a section")
        if tag in KNOWN_TAGS:
            if tag in METADATA and length > limits.metadata_bytes:
                raise LimitError(f"{length} bytes of metadata are over the limit of {limits.metadata_bytes}")
            sections[tag] = payload
        elif not tag[0] & 0x20:  # capitals are critical, as in PNG
            raise CorruptFileError(f"section {tag!r} needs a newer caecodec")
    if len(sections.get(TAG_ALPHA_CHECK, bytes(CHECK_BYTES))) != CHECK_BYTES:
        raise CorruptFileError(f"the check of alpha has not {CHECK_BYTES} bytes")
    if TAG_ALPHA_CHECK in sections and TAG_ALPHA not in sections:
        raise CorruptFileError("a check of alpha without alpha")
    return sections


class _Reader:
    """A cursor over data[start:end] that refuses to leave it."""

    __slots__ = ("_data", "_end", "_pos")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data, self._pos, self._end = data, start, end

    @property
    def left(self) -> int:
        return self._end - self._pos

    def take(self, length: int, what: str) -> bytes:
        if length > self.left:
            raise CorruptFileError(f"truncated: {what} of {length} bytes, {self.left} left")
        self._pos += length
        return self._data[self._pos - length : self._pos]

    def varint(self, what: str) -> int:
        value = 0
        for place in range(_MAX_VARINT_BYTES):
            byte = self.take(1, what)[0]
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                if place and not byte:
                    raise CorruptFileError(f"{what}: a number with needless zero bytes")
                return value
        raise CorruptFileError(f"{what}: a number over {_MAX_VARINT_BYTES} bytes")
