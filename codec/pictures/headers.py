"""What a picture file says of itself, read from its first bytes before any library sees it: format, size, price.

Only formats of the table `FORMATS` are opened at all, and only when what their decoders would allocate fits the limits:
some decoders take their memory as soon as a file is opened, and a file may hold a second picture that is larger than
the one it shows.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from caecodec.errors import InputImageError, LimitError
from caecodec.limits import Limits

MAX_JPEG_SCANS = 64  # a progressive JPEG has about ten; each may cost as much time as the whole picture
# of ISO media, behind "ftyp"
_AVIF = (b"avif", b"avis")
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # of JPEG, where data are entropy-coded
_CODESTREAM = b"\xff\x0a"  # of JPEG XL
_PNG = b"\x89PNG\r\n\x1a\n"
_SMALL_HEADER = 40  # of a bitmap in an icon

Size = tuple[int, int]
Bytes = bytes | mmap.mmap  # of a whole file


@dataclass(frozen=True, slots=True)
class Format:
    """name: Pillow's. memory: bytes a pixel at the peak of reading one, measured. sizes: of all pictures that opening
    the file would allocate, from its bytes; none where Pillow itself tells the size before it allocates.
    """

    name: str
    memory: int
    begins: Callable[[Bytes], bool]
    sizes: Callable[[Bytes], Iterator[Size]] = lambda _: iter(())


def _starts(*starts: bytes) -> Callable[[Bytes], bool]:
    return lambda data: data[:16].startswith(starts)


def _is_brand(data: Bytes, *brands: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in brands


def _is_avif(data: Bytes) -> bool:
    """By its brand, or the brands it is compatible with where its own is everybody's."""
    end = int.from_bytes(data[:4], "big")
    compatible = _is_brand(data, b"mif1", b"msf1") and b"avif" in data[16 : min(end, 256)]
    return _is_brand(data, *_AVIF) or compatible


def _webp(data: Bytes) -> Iterator[Size]:
    kind, body = data[12:16], data[20:30]
    if kind == b"VP8X" and len(body) == 10:
        yield int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    elif kind == b"VP8L" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        yield (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and len(body) == 10:
        width, height = struct.unpack("<HH", body[6:10])
        yield width & 0x3FFF, height & 0x3FFF


def _media(data: Bytes) -> Iterator[Size]:
    """AVIF and HEIC: every spatial extent."""
    for found in re.finditer(b"ispe", data):
        if len(extent := data[found.end() + 4 : found.end() + 12]) == 8:
            yield struct.unpack(">II", extent)


def _codestream(data: Bytes, begins: bytes, *names: bytes) -> int:
    """Where the codestream of a picture begins: at once, or in the first of its outermost boxes that is so named.

    A box states its length, and holds anything: bytes that look like a codestream mean nothing elsewhere.
    """
    at = 0
    while data[at : at + len(begins)] != begins:
        length, head = int.from_bytes(data[at : at + 4], "big"), 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        name = data[at + 4 : at + 8]
        if name in names:
            inside = at + head + (4 if name == b"jxlp" else 0)  # behind its number
            return inside if data[inside : inside + len(begins)] == begins else -1
        if length < head or at + length >= len(data):
            return -1
        at += length
    return at if at == 0 else -1


def _jpeg2000(data: Bytes) -> Iterator[Size]:
    """The picture and its largest tile, as often as there are components beside four."""
    start = _codestream(data, b"\xff\x4f\xff\x51", b"jp2c")
    fields = data[start + 8 : start + 42]
    if start < 0 or len(fields) < 34:
        raise InputImageError("a JPEG 2000 picture without a size")
    right, low, left, top, wide, high, _, _, count = struct.unpack(">8IH", fields)
    width, height = max(0, right - left), max(0, low - top)
    more = max(1, -(-count // 4))
    yield width * more, height
    yield min(wide, width) * more, min(high, height)


def _jpeg_xl(data: Bytes) -> Iterator[Size]:
    """The size that begins the codestream: fields of bits, the lowest first (ISO/IEC 18181-1, SizeHeader)."""
    start = _codestream(data, _CODESTREAM, b"jxlc", b"jxlp")
    if start < 0 or len(data) < start + 12:
        raise InputImageError("a JPEG XL picture without a size")
    bits = int.from_bytes(data[start + 2 : start + 14], "little")

    def field(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = field(1)

    def side() -> int:
        return 8 * (field(5) + 1) if small else field((9, 13, 18, 30)[field(2)]) + 1

    height, ratio = side(), field(3)
    over, under = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio]
    yield height * over // under if ratio else side(), height


def _icon(data: Bytes) -> Iterator[Size]:
    for start in _icon_entries(data):
        nested = data[start : start + _SMALL_HEADER]
        if nested.startswith(_PNG) and len(nested) >= 24:
            yield struct.unpack(">II", nested[16:24])
        elif len(nested) >= 12 and not nested.startswith(_PNG):
            width, height = struct.unpack("<ii", nested[4:12])
            yield abs(width), abs(height) // 2


def _icon_entries(data: Bytes) -> Iterator[int]:
    """Where the pictures of an icon begin."""
    for entry in range(6, 6 + 16 * int.from_bytes(data[4:6], "little"), 16):
        if len(data) >= entry + 16:
            yield int.from_bytes(data[entry + 12 : entry + 16], "little")


def _tiff_tile(data: Bytes) -> Iterator[Size]:
    """The tile, which may be larger than the picture."""
    sides = tiff_tags(data, (322, 323))
    if len(sides) == 2:
        yield sides[322], sides[323]


FORMATS = (
    Format("PNG", 12, _starts(_PNG)),
    Format("JPEG", 14, _starts(b"\xff\xd8\xff")),
    Format("WEBP", 20, lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _webp),
    Format("AVIF", 20, _is_avif, _media),
    Format("TIFF", 16, _starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _tiff_tile),
    Format("BMP", 12, _starts(b"BM")),
    Format("GIF", 12, _starts(b"GIF87a", b"GIF89a")),
    Format("PPM", 12, _starts(b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")),
    Format("JPEG2000", 40, _starts(b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"), _jpeg2000),
    Format("ICO", 16, _starts(b"\0\0\1\0"), _icon),
    Format("HEIF", 20, lambda data: _is_brand(data, *_HEIF), _media),
    Format("JXL", 16, _starts(_CODESTREAM, b"\0\0\0\x0cJXL \r\n\x87\n"), _jpeg_xl),
)


def checked(data: Bytes, limits: Limits) -> Format:
    """The format of a file, which is one of those that are read and within limits as far as its header tells.

    Raises InputImageError, LimitError.
    """
    found = next((known for known in FORMATS if known.begins(data)), None)
    if found is None:
        names = ", ".join(known.name for known in FORMATS)
        raise InputImageError(f"not a picture in a format that is read here ({names})")
    for size in found.sizes(data):
        limits.check_size(*size)
        check_memory(found, size, limits)
    if found.name == "JPEG" and (scans := jpeg_scans(data)) > MAX_JPEG_SCANS:
        raise LimitError(f"a JPEG of {scans} scans, over the limit of {MAX_JPEG_SCANS}: write it anew with fewer")
    return found


def check_memory(found: Format, size: Size, limits: Limits, data: Bytes = b"") -> None:
    """Raise LimitError where reading a picture of this size and format would take too much memory."""
    price = found.memory + 5 if found.name == "PNG" and data[24:25] == b"\x10" else found.memory
    limits.check_memory(price * size[0] * size[1], f"reading {size[0]}x{size[1]} pixels of {found.name}")


def jpeg_scans(data: Bytes) -> int:
    """How often a JPEG begins a scan."""
    at, scans = 2, 0
    while (found := _MARKER.search(data, at)) is not None:
        kind, at = data[found.start() + 1], found.end()
        if kind == 0xD9:  # the end; what follows belongs to somebody else
            break
        scans += kind == 0xDA
        if kind not in (0x01, 0xD8):
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return scans


def lost_bits(found: Format, data: Bytes) -> int:
    """Bits a sample of the file where they are more than 8 and Pillow reads 8 of them without a word, else 0."""
    if found.name == "PPM":
        return 16 if _ppm_most(data) > 255 else 0
    if found.name == "AVIF" and (place := data.find(b"av1C")) >= 0 and len(data) > place + 6:
        flags = data[place + 6]
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 0
    if found.name == "JPEG2000":
        start = _codestream(data, b"\xff\x4f\xff\x51", b"jp2c")
        bits = (data[start + 42] & 0x7F) + 1 if 0 <= start < len(data) - 42 else 8
        return bits if bits > 8 else 0
    return 0


def _ppm_most(data: Bytes) -> int:
    """The largest value of a PPM or PGM; 1 for bitmaps."""
    if data[1:2] not in b"2356":
        return 1
    words = re.match(rb"P\d(?:(?:\s|#[^\r\n]*)+(\d+)){1}(?:\s|#[^\r\n]*)+\d+(?:\s|#[^\r\n]*)+(\d{1,6})", data[:4096])
    return int(words[2]) if words else 1


def pictures_in_icon(data: Bytes) -> int:
    """How many an icon holds."""
    return sum(1 for _ in _icon_entries(data))


def tiff_tags(data: Bytes, wanted: tuple[int, ...]) -> dict[int, int]:
    """Single integers of a TIFF's first directory, those that are there."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    entry, count_of, offset_of = ("HHQ8s", "Q", "Q") if big else ("HHI4s", "H", "I")
    found: dict[int, int] = {}
    try:
        (at,) = struct.unpack_from(order + offset_of, data, 8 if big else 4)
        (count,) = struct.unpack_from(order + count_of, data, at)
        at += struct.calcsize(order + count_of)
        for number in range(min(count, 4096)):
            tag, kind, values, value = struct.unpack_from(
                order + entry, data, at + number * struct.calcsize(order + entry)
            )
            size = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
            if tag in wanted and values == 1 and size is not None:
                (found[tag],) = struct.unpack_from(order + size, value)
    except (struct.error, OverflowError):  # Pillow says what is wrong
        return found
    return found
