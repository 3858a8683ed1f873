"""What is container in a file, and what is picture: its bytes by part. They sum to the whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import caecodec
from caecodec.errors import UsageError

if TYPE_CHECKING:
    from caecodec.bench.codecs.protocol import BenchCodec

_TABLES = frozenset((0xDB, 0xC4))  # DQT, DHT
_SCAN = 0xDA  # SOS
_END = 0xD9  # EOI
_BARE = frozenset((0x01, 0xD8, _END, *range(0xD0, 0xD8)))  # TEM, SOI, EOI, RSTn: markers without a length


def of(codec: BenchCodec, data: bytes) -> Mapping[str, int] | None:
    """The parts of a file of a codec; None for a format whose parts nobody told us."""
    if codec.extension == "cae":
        return cae_parts(data)
    return jpeg_parts(data) if codec.extension == "jpg" else None


def cae_parts(data: bytes) -> dict[str, int]:
    """The bytes of a .cae file -> header, hyper, latents, metadata.

    Hyper and latents are one stream: it is shared out by the information content of the two, rounded to bytes. Models
    without a hyperprior have no hyper. Metadata is every section beside them.
    """
    sections = dict(caecodec.info(data).sections)
    header = sections.pop("header")
    if "pixels" in sections:  # a lossless file
        return {"header": header, "pixels": sections.pop("pixels"), "metadata": sum(sections.values())}
    coded = sections.pop("latents")
    try:
        hyper = {"hyper": min(coded, round(float(caecodec.bit_allocation(data).hyper_bits.sum(dtype=float)) / 8))}
    except UsageError:  # a model of another family
        hyper = {}
    return {"header": header, **hyper, "latents": coded - sum(hyper.values()), "metadata": sum(sections.values())}


def jpeg_parts(data: bytes) -> dict[str, int]:
    """A JPEG file -> headers, tables (DQT and DHT segments), scans (SOS segments and the data after them).

    Raises ValueError for bytes that are not a whole JPEG file.
    """
    if data[:2] != b"\xff\xd8":
        raise ValueError("a JPEG file begins with FF D8")
    sizes = {"headers": 2, "tables": 0, "scans": 0}
    place = 2
    while True:
        start = place
        if data[place : place + 1] != b"\xff":
            raise ValueError(f"no JPEG marker at byte {place}")
        while data[place : place + 1] == b"\xff":  # any number of them may come before a marker
            place += 1
        if place >= len(data):
            raise ValueError("the JPEG file ends before its EOI marker")
        marker = data[place]
        place += 1
        if marker not in _BARE:
            place += int.from_bytes(data[place : place + 2], "big")
        if marker == _SCAN:
            place = _end_of_entropy_data(data, place)
        sizes["tables" if marker in _TABLES else "scans" if marker == _SCAN else "headers"] += place - start
        if marker == _END:
            sizes["headers"] += len(data) - place
            return sizes


def _end_of_entropy_data(data: bytes, place: int) -> int:
    """Where the next marker begins that is none of a scan: FF 00 is a sample of FF, FF D0 to FF D7 are restarts."""
    while True:
        place = data.find(b"\xff", place)
        if place < 0 or place + 1 >= len(data):
            raise ValueError("the JPEG file ends before its EOI marker")
        if data[place + 1] != 0 and not 0xD0 <= data[place + 1] <= 0xD7:
            return place
        place += 2
