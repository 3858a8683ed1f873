"""PNG, TIFF and PPM that are written row by row: Pillow reads them back."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from caecodec.errors import UsageError
from caecodec.pictures import ppm, saving, tiff
from caecodec.pictures.rows import Rows
from caecodec.pictures.view import Samples

WIDTH, HEIGHT = 41, 70
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
XMP, ICC = b"<x:xmpmeta/>", b"profile" * 9
EXIF = Image.Exif()
EXIF[0x010F], EXIF[0x0112] = "Maker", 6
EXIF.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"


def samples(channels: int, depth: int) -> Samples:
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    smooth = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH))[(...,) + (None,) * (len(shape) - 2)]
    noise = np.random.default_rng(0).integers(0, 20, shape)
    return ((smooth + noise) * (1 if depth == 8 else 257)).astype(np.uint8 if depth == 8 else np.uint16)


def rows(array: Samples, depth: int = 8, **metadata: bytes) -> Rows:
    channels = 1 if array.ndim == 2 else array.shape[2]

    def bands() -> Iterator[Samples]:
        for start, end in ((0, 1), (1, 40), (40, 70)):
            yield array[start:end]

    return Rows(WIDTH, HEIGHT, channels, depth, bands(), **metadata)


def written(suffix: str, given: Rows) -> bytes:
    stream = io.BytesIO()
    writer = saving.rows_writer(suffix)
    assert writer is not None
    writer(given, stream)
    return stream.getvalue()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF", ".ppm"])
def test_rows_are_read_back_as_they_were(suffix: str, channels: int) -> None:
    array = samples(channels, 8)
    if suffix == ".ppm" and channels in (2, 4):
        with pytest.raises(UsageError, match="no transparency"):
            written(suffix, rows(array))
        return
    with Image.open(io.BytesIO(written(suffix, rows(array)))) as image:
        assert image.mode == MODES[channels]
        np.testing.assert_array_equal(np.asarray(image), array)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".ppm"])
def test_sixteen_bits_of_gray_are_read_back(suffix: str) -> None:
    array = samples(1, 16)
    with Image.open(io.BytesIO(written(suffix, rows(array, 16)))) as image:
        assert image.mode in ("I;16", "I")
        np.testing.assert_array_equal(np.asarray(image), array)


def test_sixteen_bits_of_colour_stand_in_a_png() -> None:
    """By hand: Pillow reads the upper byte alone."""
    array = samples(4, 16) + np.uint16(3)
    data = written(".png", rows(array, 16))
    assert data[24:26] == b"\x10\x06"
    lines = np.frombuffer(zlib.decompress(chunks(data)[b"IDAT"]), np.uint8).reshape(HEIGHT, -1)
    found = unfiltered(lines, 8).view(">u2").reshape(array.shape)
    np.testing.assert_array_equal(found, array)
    assert {1, 2, 4} & set(lines[:, 0])


def chunks(data: bytes) -> dict[bytes, bytes]:
    """Of a PNG; those of one name joined."""
    found: dict[bytes, bytes] = {}
    at = 8
    while at < len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        assert int.from_bytes(data[at + 8 + size : at + 12 + size], "big") == zlib.crc32(name + body)
        found[name] = found.get(name, b"") + body
        at += 12 + size
    return found


def unfiltered(lines: np.ndarray, step: int) -> np.ndarray:
    """Rows with their filters in front -> rows."""
    above = [0] * (lines.shape[1] - 1)
    out = []
    for kind, *rest in lines.tolist():
        row: list[int] = []
        for x, value in enumerate(rest):
            left, corner = (row[x - step], above[x - step]) if x >= step else (0, 0)
            estimate = left + above[x] - corner
            nearest = min((left, above[x], corner), key=lambda v: abs(estimate - v))
            row.append((value + {0: 0, 1: left, 2: above[x], 4: nearest}[kind]) % 256)
        out.append(row)
        above = row
    return np.array(out, np.uint8)


@pytest.mark.parametrize("suffix", [".tif", ".ppm"])
def test_sixteen_bits_of_colour_have_the_right_upper_bytes(suffix: str) -> None:
    array = samples(3, 16)
    with Image.open(io.BytesIO(written(suffix, rows(array, 16)))) as image:
        assert np.abs(np.asarray(image).astype(int) - array // 257).max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_metadata_is_kept(suffix: str) -> None:
    data = written(suffix, rows(samples(3, 8), exif=EXIF.tobytes()[6:], icc=ICC, xmp=XMP))
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[0x0112] == 6  # loading would turn a TIFF by it
        image.load()
        assert image.info["icc_profile"] == ICC
        assert image.info["xmp"] == XMP
        assert image.getexif()[0x010F] == "Maker"
        assert image.getexif().get_ifd(0x8769)[0x9003] == "2026:01:01 00:00:00"


def test_past_four_gibibytes_a_tiff_is_a_big_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "_PLAIN_BYTES", 0)
    monkeypatch.setattr(tiff, "_STRIP_BYTES", 1000)
    array = samples(3, 8)
    data = written(".tif", rows(array, icc=ICC, xmp=XMP))
    assert data[:4] == b"II\x2b\0"
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == ICC
        np.testing.assert_array_equal(np.asarray(image), array)


def test_a_format_that_holds_no_sixteen_bits_says_so() -> None:
    with pytest.raises(UsageError, match=r"\.webp is not written with 16 bits; choose one of \.png, \.ppm, \.tif"):
        saving.check_depth(".webp", 16)
    assert saving.rows_writer(".webp") is None
    assert ppm.write is saving.rows_writer(".ppm")
