from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image
from support import photograph

import caecodec
from caecodec.bench.codecs import parts
from caecodec.bench.codecs.registry import open_codec

# segments of a JPEG file by hand: nothing that a decoder would take, but whole
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
APP0 = b"\xff\xe0\0\x05JFI"
DQT = b"\xff\xdb\0\x04\1\2"
DHT = b"\xff\xc4\0\x06\1\2\3\4"
SOF = b"\xff\xc2\0\x03\7"
SOS = b"\xff\xda\0\x03\1"


def test_segments_are_counted_by_what_they_are() -> None:
    scan = SOS + b"\1\2\xff\0\3\xff\xd0\4"  # a sample of FF, a restart marker
    data = SOI + APP0 + DQT + SOF + DHT + scan + DHT + SOS + b"\5" + EOI
    assert parts.jpeg_parts(data) == {
        "headers": 2 + len(APP0) + len(SOF) + 2,
        "tables": len(DQT) + 2 * len(DHT),
        "scans": len(scan) + len(SOS) + 1,
    }


def test_fill_bytes_belong_to_the_segment_after_them_and_bytes_after_the_end_to_the_headers() -> None:
    data = SOI + b"\xff\xff" + DQT + SOS + b"\1" + EOI + b"more"
    assert parts.jpeg_parts(data) == {"headers": 2 + 2 + 4, "tables": 2 + len(DQT), "scans": len(SOS) + 1}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no",
        SOI,
        SOI + b"x",
        SOI + b"\xff\xff",
        SOI + DQT,
        SOI + DQT[:4],
        SOI + SOS + b"\1\2",
        SOI + SOS + b"\xff",
    ],
)
def test_what_is_no_whole_jpeg_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="JPEG"):
        parts.jpeg_parts(data)


@pytest.mark.parametrize("name", ["jpeg", "jpeg-progressive", "jpeg-progressive-444", "mozjpeg", "jpegli"])
def test_a_real_file_is_accounted_for_to_the_last_byte(name: str) -> None:
    codec = open_codec(name)
    data = codec.encode(photograph(40, 56), 60)
    found = parts.of(codec, data)
    assert found is not None
    assert sum(found.values()) == len(data)
    with Image.open(io.BytesIO(data)) as image:
        tables = len(image.quantization)
    assert found["tables"] >= 64 * tables
    assert found["scans"] == sum(len(data[start:end]) for start, end in scans(data))


def scans(data: bytes) -> list[tuple[int, int]]:
    """Where each SOS segment with its data begins and ends, by another way: markers are found by their bytes alone."""
    markers = [
        place
        for place in range(len(data) - 1)
        if data[place] == 0xFF and data[place + 1] in (0xDA, 0xC4, 0xDB, 0xD9, 0xDD)
    ]
    first = next(place for place in markers if data[place + 1] == 0xDA)
    later = [place for place in markers if place >= first]
    return [(a, b) for a, b in itertools.pairwise(later) if data[a + 1] == 0xDA]


def test_the_parts_of_a_cae_file_are_its_sections_with_the_stream_shared_out() -> None:
    image = Image.fromarray(photograph(64, 96))
    exif = Image.Exif()
    exif[0x010E] = "a picture"
    image.info["exif"] = exif.tobytes()
    data = caecodec.encode(image, 60)
    sections = caecodec.info(data).sections
    found = parts.cae_parts(data)
    assert list(found) == ["header", "hyper", "latents", "metadata"]
    assert sum(found.values()) == len(data)
    assert found["header"] == sections["header"]
    assert found["hyper"] + found["latents"] == sections["latents"]
    assert found["hyper"] == pytest.approx(caecodec.bit_allocation(data).hyper_bits.sum() / 8, abs=0.51)
    assert found["metadata"] == sum(sections.values()) - sections["header"] - sections["latents"] > 0


def test_a_model_without_hyperprior_has_no_hyper() -> None:
    data = caecodec.encode(np.zeros((32, 32, 3), np.uint8), model="cifar10")
    assert list(parts.cae_parts(data)) == ["header", "latents", "metadata"]


def test_formats_of_unknown_parts_have_none() -> None:
    assert parts.of(open_codec("webp"), b"RIFF") is None


def test_a_lossless_file_is_header_and_pixels() -> None:
    data = caecodec.encode(np.zeros((40, 30, 3), np.uint8), model="lossless")
    found = parts.cae_parts(data)
    assert set(found) == {"header", "pixels", "metadata"}
    assert sum(found.values()) == len(data)
