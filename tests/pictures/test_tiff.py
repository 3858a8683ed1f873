"""TIFF keeps what describes a picture, in and out, and says what it cannot keep."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from support import encoded, photograph, profile_of_other_colours, run, soft_alpha

import caecodec
from caecodec.pictures.picture import Picture
from caecodec.pictures.pillow import open_picture
from caecodec.pictures.saving import dropped, saved

MAKE, ORIENTATION, EXIF, GPS, INTEROP = 271, 274, 0x8769, 0x8825, 0xA005
COLOUR = photograph(20, 30)


def exif_of_a_phone() -> bytes:
    """With the directories that every photograph of a phone has."""
    tags = Image.Exif()
    tags[MAKE] = "Camera"
    tags[ORIENTATION] = 6
    tags.get_ifd(EXIF).update(
        {33434: TiffImagePlugin.IFDRational(1, 50), 36867: "2026:01:02 03:04:05", 37500: b"own\0"}
    )
    tags.get_ifd(EXIF)[INTEROP] = {1: "R98"}
    tags.get_ifd(GPS).update({1: "N", 2: (47.0, 22.0, 30.0)})
    return tags.tobytes()[6:]


def directories(image: Image.Image) -> list[dict[int, Any]]:
    tags = image.getexif()
    found = [dict(tags.get_ifd(tag)) for tag in (EXIF, GPS, INTEROP)]
    found[0].pop(INTEROP, None)
    return [{MAKE: tags[MAKE]}, *found]


def test_a_photograph_with_gps_is_written_as_tiff_with_all_of_it(tmp_path: Path) -> None:
    image = Image.fromarray(COLOUR)
    image.info["exif"] = b"Exif\0\0" + exif_of_a_phone()
    image.info["icc_profile"] = profile = profile_of_other_colours()
    (tmp_path / "img.cae").write_bytes(caecodec.encode(image, 90))
    result = run("decode", tmp_path / "img.cae", "-o", tmp_path / "img.tif")
    assert (result.code, result.err) == (0, "")
    with Image.open(tmp_path / "img.tif") as written:
        assert directories(written) == directories(image)
        assert written.getexif()[ORIENTATION] == 6
        assert written.info["icc_profile"] == profile


@pytest.mark.parametrize("channels", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (300, 1000)])
def test_pixels_come_back_in_strips(channels: str, shape: tuple[int, int]) -> None:
    colour = photograph(*shape)[..., 0] if channels[0] == "L" else photograph(*shape)
    alpha = soft_alpha(*shape) if channels[-1] == "A" else None
    with Image.open(io.BytesIO(saved(Picture(colour, alpha), ".tif"))) as image:
        assert image.mode == channels
        planes = [colour[..., None] if colour.ndim == 2 else colour, *([] if alpha is None else [alpha[..., None]])]
        np.testing.assert_array_equal(np.asarray(image).reshape(*shape, -1), np.concatenate(planes, axis=2))


def test_what_of_a_tiff_describes_the_picture_is_kept() -> None:
    image = Image.fromarray(COLOUR)
    tags = Image.Exif()
    tags.load(exif_of_a_phone())
    del tags[ORIENTATION]
    picture = open_picture(encoded(image, "TIFF", exif=tags, compression="raw"))
    back = to_pillow(picture.exif)
    assert directories(back)[:3] == directories(to_pillow(exif_of_a_phone()))[:3]  # Pillow writes no third
    assert not {256, 257, 258, 273, 279} & set(back.getexif())
    assert open_picture(encoded(image, "TIFF")).exif == b""


def to_pillow(exif: bytes) -> Image.Image:
    return Image.open(io.BytesIO(encoded(Image.fromarray(COLOUR), "PNG", exif=exif)))


def test_a_tiff_comes_through_a_tiff() -> None:
    first = saved(Picture(COLOUR, exif=exif_of_a_phone()), ".tif")
    again = open_picture(saved(open_picture(first), ".tif"))
    assert directories(to_pillow(again.exif)) == directories(to_pillow(exif_of_a_phone()))


@pytest.mark.parametrize(
    "exif", [b"MM\0*\xff\xff\xff\xff, no directory", b"no EXIF at all", b"II*\0\x08\0\0\0\xff\xff"]
)
def test_exif_that_a_tiff_cannot_hold_is_named_and_the_rest_is_written(exif: bytes, tmp_path: Path) -> None:
    picture = Picture(COLOUR, exif=exif, xmp=b"<x/>")
    assert open_picture(saved(picture, ".tif")).xmp == b"<x/>"
    assert "cannot hold" in dropped(picture, ".TIF")[0]
    image = Image.fromarray(COLOUR)
    image.info["exif"] = exif
    (tmp_path / "img.cae").write_bytes(caecodec.encode(image))
    result = run("decode", tmp_path / "img.cae", "-o", tmp_path / "img.tif")
    assert result.code == 0
    assert "warning" in result.err
    assert "cannot hold" in result.err


def test_metadata_of_a_format_without_is_named() -> None:
    assert dropped(Picture(COLOUR, exif=b"x", xmp=b"y"), ".ppm") == (".ppm holds no EXIF, XMP",)
    assert dropped(Picture(COLOUR), ".ppm") == dropped(Picture(COLOUR, exif=b"x"), ".png") == ()


def test_xmp_that_is_no_text_goes_through_a_png_byte_for_byte() -> None:
    picture = Picture(COLOUR, xmp=b"<x>\xff\xfe\xe4</x>")
    assert open_picture(saved(picture, ".png")).xmp == picture.xmp
