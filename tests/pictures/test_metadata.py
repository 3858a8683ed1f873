from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms
from support import encoded, photograph, png, profile_of_other_colours, psnr

import caecodec
from caecodec.errors import LimitError
from caecodec.limits import Limits
from caecodec.pictures.picture import Picture
from caecodec.pictures.pillow import from_image, open_picture
from caecodec.pictures.saving import saved, to_image

ORIENTATION, TURNED = 274, 6
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>Ä</a></x:xmpmeta>'.encode()
ICC = profile_of_other_colours()
COLOUR = photograph(20, 30)


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = TURNED
    tags[0x010F] = "Camera"
    return tags


def picture_with_everything(kind: str = "PNG") -> bytes:
    image = Image.fromarray(COLOUR)
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        return encoded(image, exif=exif(), icc_profile=ICC, pnginfo=text)
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0}
    return encoded(image, kind, exif=exif(), icc_profile=ICC, xmp=XMP, **options)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_metadata_goes_through_any_input_and_output(kind: str, suffix: str) -> None:
    source = open_picture(picture_with_everything(kind))
    decoded = caecodec.decode(caecodec.encode(to_image(source)))
    written = open_picture(saved(from_image(decoded), suffix))
    assert written.exif == source.exif == exif().tobytes()[6:]
    assert written.icc == ICC
    assert written.xmp == XMP


@pytest.mark.parametrize("suffix", [".tif", ".tiff"])
def test_tiff_keeps_profile_and_xmp(suffix: str) -> None:
    back = open_picture(saved(Picture(COLOUR, icc=ICC, xmp=XMP), suffix))
    assert (back.icc, back.xmp) == (ICC, XMP)


@pytest.mark.parametrize("suffix", [".bmp", ".ppm"])
def test_a_format_without_metadata_is_written_without(suffix: str) -> None:
    back = open_picture(saved(Picture(COLOUR, exif=exif().tobytes()[6:], icc=ICC, xmp=XMP), suffix))
    assert (back.exif, back.icc, back.xmp) == (b"", b"", b"")
    np.testing.assert_array_equal(back.colour, COLOUR)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_orientation_stays_a_tag_and_pixels_are_not_turned(kind: str) -> None:
    source = open_picture(picture_with_everything(kind))
    assert source.colour.shape == (20, 30, 3)
    decoded = caecodec.decode(caecodec.encode(to_image(source), 90))
    assert decoded.size == (30, 20)
    assert decoded.getexif()[ORIENTATION] == TURNED
    assert psnr(np.asarray(decoded), COLOUR) > 28


def test_exif_that_makes_no_sense_is_kept_byte_for_byte() -> None:
    picture = Picture(COLOUR, exif=b"MM\0*\xff\xff\xff\xff, no directory")
    for suffix in (".png", ".jpg", ".webp"):
        assert open_picture(saved(picture, suffix)).exif == picture.exif


def test_metadata_behind_the_pixels_of_a_png_is_found() -> None:
    xmp = b"XML:com.adobe.xmp\0\0\0\0\0" + XMP
    data = png(1, 1, 8, 0, b"\0\x80", after_eXIf=b"MM\0*1234", after_iTXt=xmp)
    picture = open_picture(data)
    assert (picture.exif, picture.xmp) == (b"MM\0*1234", XMP)


def test_metadata_can_be_left_out() -> None:
    data = picture_with_everything()
    stripped = open_picture(data, keep_metadata=False)
    assert (stripped.exif, stripped.icc, stripped.xmp) == (b"", b"", b"")
    np.testing.assert_array_equal(stripped.colour, COLOUR)
    with_image = to_image(open_picture(data))
    assert set(caecodec.info(caecodec.encode(with_image)).sections) == {"header", "latents", "exif", "icc", "xmp"}
    assert set(caecodec.info(caecodec.encode(with_image, keep_metadata=False)).sections) == {"header", "latents"}


@pytest.mark.parametrize("name", ["exif", "icc", "xmp"])
def test_metadata_over_the_limit_is_refused_unless_left_out(name: str) -> None:

    image = to_image(Picture(COLOUR, **{name: bytes(2000)}))  # type: ignore[arg-type]

    over = f"2000 bytes of {name.upper()} are over the limit of 1999"
    with pytest.raises(LimitError, match=f"{over}; keep_metadata=False drops"):
        from_image(image, Limits(metadata_bytes=1999))
    assert from_image(image, Limits(metadata_bytes=2000)).width == 30
    assert from_image(image, Limits(metadata_bytes=1999), keep_metadata=False).width == 30


def test_a_cmyk_pictures_profile_is_used_and_does_not_describe_the_result() -> None:
    picture = from_image(Image.fromarray(COLOUR).convert("CMYK"))
    assert picture.icc == b""
    assert picture.colour.shape == COLOUR.shape


def test_a_profile_that_says_srgb_as_no_profile_does_is_not_kept() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert open_picture(encoded(Image.fromarray(COLOUR), icc_profile=srgb)).icc == b""
    assert open_picture(encoded(Image.fromarray(COLOUR), icc_profile=ICC)).icc == ICC
    assert open_picture(encoded(Image.fromarray(COLOUR), icc_profile=b"no profile")).icc == b"no profile"
