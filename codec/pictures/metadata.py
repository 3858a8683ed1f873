"""EXIF and the tags of TIFF: one structure, in which a TIFF also says how its pixels lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PIL import Image, TiffImagePlugin

from caecodec.pictures.quiet import quietly

EXIF_PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
XMP, ICC = 700, 34675
# how pixels lie in the file: another file has its own. Below 700, 34675: kept beside
_OF_PIXELS = frozenset((
    *range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294), 301, *range(317, 326), 330, 332,
    334, 336, *range(338, 348), 351, *range(512, 522), *range(529, 533), XMP, ICC,
))  # fmt: skip
_EVERYWHERE = frozenset((282, 283, 296))  # the resolution, which every writer states


def exif_of(image: Image.Image) -> bytes:
    """EXIF of an image from its TIFF header on, as it stands in the file; of a TIFF the tags that describe it."""
    raw = image.info.get("exif") or b""
    if not raw and image.format == "TIFF":
        return _from_tiff(image)
    raw = bytes(raw)
    return raw[len(EXIF_PREFIX) :] if raw.startswith(EXIF_PREFIX) else raw


def _from_tiff(image: Image.Image) -> bytes:
    """Tags of a TIFF as EXIF, without the orientation, by which Pillow has turned the pixels."""
    tags = image.getexif()
    kept = {tag for tag in tags if tag not in _OF_PIXELS and tag != ORIENTATION}
    if not kept - _EVERYWHERE:
        return b""
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    for _ in _fill(directory, tags, kept):
        pass
    return b"II*\0\x08\0\0\0" + directory.tobytes(8) if len(directory) else b""


def tags_of(exif: bytes) -> tuple[dict[int, Any], list[str]]:
    """EXIF -> tags for the directory of a TIFF (sub-directories as dictionaries), and what cannot be kept, in words."""
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    lost: list[str] = []
    tags = Image.Exif()
    with quietly() as warned:
        try:
            tags.load(exif)
            lost += _fill(directory, tags, {tag for tag in tags if tag not in _OF_PIXELS})
        except Exception:  # Pillow raises nearly anything on what makes no sense
            lost.append("EXIF that cannot be read")
    if warned and not lost:
        lost.append("what of EXIF is damaged")
    if exif and not len(directory) and not lost:
        lost.append("EXIF without a tag that says something")
    return dict(directory.items()), lost


def _fill(directory: TiffImagePlugin.ImageFileDirectory_v2, tags: Image.Exif, kept: set[int]) -> Iterator[str]:
    """Put tags into a directory; gives the names of those that it cannot hold."""
    for tag in sorted(kept):
        try:
            value = _sub_directory(tags, tag) if tag in (EXIF_IFD, GPS_IFD) else tags[tag]
            if tag not in (EXIF_IFD, GPS_IFD) or value:
                held = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
                held[tag] = value
                held.tobytes(8)
                directory[tag] = value
        except Exception:  # Pillow raises nearly anything on what makes no sense
            yield f"EXIF tag {tag}"


def _sub_directory(tags: Image.Exif, tag: int) -> dict[int, Any]:
    """A directory within EXIF, with the one within that."""
    found = dict(tags.get_ifd(tag))
    found.pop(INTEROP_IFD, None)
    if tag == EXIF_IFD and (inner := dict(tags.get_ifd(INTEROP_IFD))):
        found[INTEROP_IFD] = inner
    return found
