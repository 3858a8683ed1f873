from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError
from support import encoded, photograph, png, psnr, soft_alpha

import caecodec
from caecodec.errors import CorruptFileError, InputImageError, LimitError, UsageError
from caecodec.limits import Limits
from caecodec.pictures.picture import Picture, from_array
from caecodec.pictures.pillow import from_image, open_picture
from caecodec.pictures.planes import compress, decompress
from caecodec.pictures.saving import NO_ALPHA, SAVE_OPTIONS, check_suffix, saved, to_image

COLOUR = photograph(33, 65)
ALPHA = soft_alpha(33, 65)
BASE = Image.fromarray(COLOUR)


def in_mode(mode: str) -> Image.Image:
    """The test picture in a Pillow mode, with alpha where the mode has room for it."""
    if mode in ("RGBA", "LA", "RGBa", "La"):
        image = BASE.convert("RGBA" if mode[0] == "R" else "LA")
        image.putalpha(Image.fromarray(ALPHA))
        return image if image.mode == mode else image.convert(mode)
    if mode == "PA":
        image = BASE.convert("P").convert("PA")
        image.putalpha(Image.fromarray(ALPHA))
        return image
    if mode.startswith("I"):
        wide = COLOUR[..., 0].astype(np.uint16) * 257
        return Image.fromarray(wide.astype(np.int32)) if mode == "I" else Image.fromarray(wide).convert(mode)
    return BASE.convert(mode)


def colour_of(image: Image.Image) -> NDArray[np.uint8]:
    """Its pixels without alpha: (H, W) or (H, W, 3)."""
    array = np.asarray(image)
    return array[..., 0] if image.mode == "LA" else array[..., :3] if array.ndim == 3 else array


@pytest.mark.parametrize(
    ("mode", "becomes", "notes"),
    [
        ("1", "L", 0),
        ("L", "L", 0),
        ("LA", "LA", 0),
        ("La", "LA", 0),
        ("P", "RGB", 0),
        ("PA", "RGBA", 0),
        ("RGB", "RGB", 0),
        ("RGBX", "RGB", 0),
        ("RGBA", "RGBA", 0),
        ("RGBa", "RGBA", 0),
        ("CMYK", "RGB", 0),
        ("YCbCr", "RGB", 0),
        ("HSV", "RGB", 0),
        ("LAB", "RGB", 0),
        ("I", "L", 1),
        ("I;16", "L", 1),
    ],
)
def test_every_mode_is_read_and_comes_back(mode: str, becomes: str, notes: int) -> None:
    source = in_mode(mode)
    picture = from_image(source)
    assert to_image(picture).mode == becomes
    assert len(picture.notes) == notes
    assert (picture.width, picture.height) == (65, 33)
    expected = COLOUR[..., 0] if mode.startswith("I") else colour_of(source.convert(becomes))
    np.testing.assert_array_equal(picture.colour, expected)
    with pytest.warns(UserWarning, match="16 bits") if notes else contextlib.nullcontext():
        data = caecodec.encode(source, 90)
    decoded = caecodec.decode(data)
    assert (decoded.mode, decoded.size) == (becomes, (65, 33))
    # dithering, and colour divided by an alpha near zero, are noise that no codec at this quality keeps
    assert psnr(picture.colour, colour_of(decoded)) > (8 if mode in ("1", "P", "PA", "La", "RGBa") else 28)
    if becomes.endswith("A"):
        np.testing.assert_array_equal(picture.alpha, ALPHA)  # type: ignore[arg-type]
        np.testing.assert_array_equal(np.asarray(decoded)[..., -1], ALPHA)


def test_floating_point_pixels_are_refused() -> None:
    with pytest.raises(InputImageError, match="floating-point"):
        from_image(BASE.convert("F"))


def test_gray_of_many_bits_scales_by_what_it_holds(tmp_path: Path) -> None:
    bytes_in_memory = Image.fromarray(COLOUR[..., 0].astype(np.int32))
    assert bytes_in_memory.mode == "I"
    np.testing.assert_array_equal(from_image(bytes_in_memory).colour, COLOUR[..., 0])
    assert from_image(bytes_in_memory).notes == ()
    dark = Image.fromarray((COLOUR[..., 0].astype(np.uint16) * 257) >> 8)  # 16 bits of which few are used
    assert from_image(dark).colour.max() == 1
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((4, 4), 200, np.uint16)).save(deep)
    assert open_picture(deep).colour.max() == 1


@pytest.mark.parametrize("value", [-1, 65536])
def test_wide_integers_outside_16_bits_are_refused(value: int) -> None:
    with pytest.raises(InputImageError, match=r"outside 0\.\.65535"):
        from_image(Image.new("I", (2, 2), value))


def test_a_palette_with_transparency_has_alpha() -> None:
    image = Image.new("P", (4, 1))
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2, 3])
    one = open_picture(encoded(image, transparency=1))
    assert one.alpha is not None
    assert one.alpha.tolist() == [[255, 0, 255, 255]]
    several = open_picture(encoded(image, transparency=bytes([255, 0, 77, 128])))
    assert several.alpha is not None
    assert several.alpha.tolist() == [[255, 0, 77, 128]]
    assert several.colour.tolist() == [[[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]]]
    assert open_picture(encoded(image)).alpha is None


@pytest.mark.parametrize(("mode", "key"), [("L", 9), ("RGB", (9, 9, 9))])
def test_a_transparent_colour_becomes_alpha(mode: str, key: object) -> None:
    image = Image.new(mode, (2, 1), 200 if mode == "L" else (200, 200, 200))
    image.putpixel((1, 0), key)  # type: ignore[arg-type]
    picture = open_picture(encoded(image, transparency=key))
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[255, 0]]
    assert picture.gray is (mode == "L")


def test_a_16_bit_rgb_png_is_read_with_a_warning() -> None:
    picture = open_picture(png(2, 1, 16, 2, b"\0" + bytes.fromhex("0000 80ff ffff  1234 5678 9abc")))
    assert picture.notes == ("16 bits per channel become 8",)
    assert picture.colour.tolist() == [[[0x00, 0x80, 0xFF], [0x12, 0x56, 0x9A]]]


def test_a_16_bit_gray_png_is_rounded_with_a_warning() -> None:
    picture = open_picture(png(4, 1, 16, 0, b"\0" + bytes.fromhex("0000 0081 8000 ffff")))
    assert picture.notes == ("16 bits per channel become 8",)
    assert picture.colour.tolist() == [[0, 1, 128, 255]]


def test_a_16_bit_gray_png_with_alpha_stays_gray() -> None:
    picture = open_picture(png(2, 1, 16, 4, b"\0" + bytes.fromhex("ff00 8000  1000 0000")))
    assert picture.notes == ("16 bits per channel become 8",)
    assert picture.colour.tolist() == [[0xFF, 0x10]]
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0x80, 0x00]]


def test_a_16_bit_gray_png_with_a_transparent_value_keeps_it() -> None:
    picture = open_picture(png(2, 1, 16, 0, b"\0" + bytes.fromhex("1234 1235"), tRNS=b"\x12\x34"))
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0, 255]]


def test_an_8_bit_picture_has_no_notes() -> None:
    assert open_picture(encoded(BASE)).notes == ()


def test_of_an_animation_the_first_frame_is_kept_and_a_note_says_so() -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    picture = open_picture(data)
    assert picture.notes == ("only the first frame is kept",)
    assert (picture.colour == (255, 0, 0)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1), (33, 65), (10, 2000), (2000, 10)])
@pytest.mark.parametrize("gray", [False, True])
def test_every_size_comes_back(shape: tuple[int, int], gray: bool) -> None:
    pixels = photograph(*shape)[..., 0] if gray else photograph(*shape)
    decoded = caecodec.decode(caecodec.encode(pixels, 80))
    assert (decoded.mode, decoded.size) == ("L" if gray else "RGB", shape[::-1])
    assert psnr(pixels, np.asarray(decoded)) > 25


def decompress_alpha(data: bytes, width: int, height: int) -> np.ndarray:
    return decompress(data, width, height, True, "the alpha section")


@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1), (33, 65), (10, 2000), (2, 17000)])
@pytest.mark.parametrize("kind", ["ramp", "opaque", "noise"])
def test_alpha_is_lossless_bit_for_bit(shape: tuple[int, int], kind: str) -> None:
    ramp = soft_alpha(*shape)
    noise = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    alpha = {"ramp": ramp, "opaque": np.full(shape, 255, np.uint8), "noise": noise}[kind]
    assert np.array_equal(decompress_alpha(compress(alpha), shape[1], shape[0]), alpha)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a lossless WebP or an 8-bit gray PNG"),
        (b"RIFF\x04\0\0\0WEBP", "alpha section"),
        (encoded(Image.new("L", (4, 3)), "BMP"), "not a lossless WebP or an 8-bit gray PNG"),
        (encoded(Image.new("L", (3, 4))), "is 3x4, not 4x3"),
        (encoded(Image.fromarray(soft_alpha(30, 40)))[:-40], "alpha section"),
    ],
)
def test_a_broken_alpha_section_is_a_corrupt_file(data: bytes, message: str) -> None:
    with pytest.raises(CorruptFileError, match=message):
        decompress_alpha(data, *((40, 30) if len(data) > 100 else (4, 3)))


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGB", "RGBA", "I;16"])
def test_an_alpha_section_that_is_a_png_of_another_kind_is_refused(mode: str) -> None:
    with pytest.raises(CorruptFileError, match="not one 8-bit gray picture"):
        decompress_alpha(encoded(Image.new(mode, (4, 3))), 4, 3)


def test_an_animated_alpha_section_is_refused() -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("black", "white")]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    with pytest.raises(CorruptFileError, match="not a WebP of one lossless picture"):
        decompress_alpha(data, 4, 3)


def test_the_memory_of_an_alpha_section_is_that_of_the_promised_size() -> None:
    bomb = png(60000, 60000, 8, 0, b"")
    with pytest.raises(CorruptFileError, match="60000x60000, not 4x3"):
        decompress_alpha(bomb, 4, 3)


def test_arrays_are_taken_as_they_are() -> None:
    assert from_array(COLOUR[..., 0]).gray
    assert from_array(COLOUR[..., :1]).gray
    assert from_array(COLOUR).alpha is None
    rgba = from_array(np.dstack([COLOUR, ALPHA]))
    np.testing.assert_array_equal(rgba.colour, COLOUR)
    np.testing.assert_array_equal(rgba.alpha, ALPHA)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2), np.float32), "must be uint8"),
        (np.zeros((2, 2, 2), np.uint8), r"not \(2, 2, 2\)"),
        (np.zeros((2,), np.uint8), r"not \(2,\)"),
        (np.zeros((0, 2, 3), np.uint8), "no pixels"),
    ],
)
def test_other_arrays_are_refused(array: NDArray[np.uint8], message: str) -> None:
    with pytest.raises(InputImageError, match=message):
        caecodec.encode(array)


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(InputImageError, match="no pixels"):
        from_image(Image.new("RGB", (0, 5)))


def test_a_picture_over_the_limit_is_refused_before_its_pixels_are_read() -> None:
    claim = png(100_000, 100_000, 8, 2, b"")
    with pytest.raises(LimitError, match="over the limit"):
        open_picture(claim)
    with pytest.raises(LimitError):
        open_picture(encoded(BASE), Limits(pixels=33 * 65 - 1))
    with pytest.raises(LimitError):
        from_array(COLOUR, Limits(pixels=33 * 65 - 1))
    assert open_picture(encoded(BASE), Limits(pixels=33 * 65)).width == 65


def test_the_limits_are_ours_and_not_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert open_picture(encoded(BASE)).width == 65
    assert Image.MAX_IMAGE_PIXELS == 10


KINDS = [("PNG", "RGBA"), ("PNG", "P"), ("GIF", "P"), ("JPEG", "RGB"), ("TIFF", "RGB"), ("WEBP", "RGBA"), ("BMP", "L")]


@pytest.mark.parametrize(("kind", "mode"), KINDS)
def test_a_damaged_picture_is_decoded_or_refused_and_nothing_else(kind: str, mode: str) -> None:
    random = np.random.default_rng(7)
    whole = encoded(BASE.convert(mode), kind)
    refused = 0
    for trial in range(120):
        data = bytearray(whole)
        if trial % 2:
            del data[random.integers(len(data)) :]
        else:
            for _ in range(1 + trial % 3):
                data[random.integers(min(len(data), 400))] ^= 1 << int(random.integers(8))
        try:
            open_picture(bytes(data), Limits(pixels=2**20))
        except (InputImageError, LimitError):
            refused += 1
    assert refused > 30


def test_a_truncated_image_object_is_refused_too() -> None:
    with pytest.raises(InputImageError, match="cannot be decoded"):
        caecodec.encode(Image.open(io.BytesIO(encoded(BASE)[:900])))


@pytest.mark.parametrize("suffix", sorted(SAVE_OPTIONS))
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_every_output_format_holds_every_mode_or_says_why_not(mode: str, suffix: str) -> None:
    picture = from_image(in_mode(mode))
    if mode.endswith("A") and suffix in NO_ALPHA:
        with pytest.raises(UsageError, match="has no transparency"):
            saved(picture, suffix)
        return
    back = open_picture(saved(picture, suffix.upper()))
    if suffix.startswith(".j"):
        assert psnr(back.colour, picture.colour) > 35
        return
    if suffix == ".webp" and picture.gray:
        np.testing.assert_array_equal(back.colour, np.repeat(picture.colour[..., None], 3, axis=2))
    else:
        np.testing.assert_array_equal(back.colour, picture.colour)
    np.testing.assert_array_equal(back.alpha, picture.alpha)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["", ".gif", ".cae", ".jpg2"])
def test_another_suffix_is_refused_and_the_possible_ones_are_named(suffix: str) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*choose one of \.png, \.webp"):
        check_suffix(suffix)


@pytest.mark.parametrize(
    ("suffix", "width", "metadata"),
    [(".webp", 16384, 0), (".jpg", 65501, 0), (".jpg", 8, 70_000)],
)
@pytest.mark.filterwarnings("ignore")
def test_what_a_format_cannot_hold_is_refused_and_png_is_named(suffix: str, width: int, metadata: int) -> None:
    picture = Picture(np.zeros((1, width), np.uint8), exif=b"MM\0*" + bytes(metadata) if metadata else b"")
    with pytest.raises(UsageError, match=r"choose \.png"):
        saved(picture, suffix)
    assert open_picture(saved(picture, ".png")).width == width


def test_a_cmyk_picture_with_a_profile_that_is_none_is_refused() -> None:
    image = BASE.convert("CMYK")
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with pytest.raises(InputImageError, match="CMYK profile"):
        from_image(image)


def test_heic_is_read_where_the_library_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is an optional extra: caecodec[heif]")
    file = tmp_path / "a.heic"
    heif.from_pillow(BASE).save(file, quality=90)
    for source in (file, file.read_bytes(), io.BytesIO(file.read_bytes())):
        read = open_picture(source)
        assert psnr(read.colour, COLOUR) > 30
    monkeypatch.setattr(Image, "open", refuse)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputImageError, match=r"HEIC picture: `pip install 'caecodec\[heif\]'`"):
        open_picture(file)


def refuse(*_: object) -> None:
    raise UnidentifiedImageError


def test_png_is_deflated_at_the_level_that_suits_decoded_photographs() -> None:
    smooth = np.asarray(caecodec.decode(caecodec.encode(photograph(256, 256), 50)))
    data = saved(Picture(smooth), ".png")
    assert data[data.index(b"IDAT") + 4 :][:2] == b"\x78\x01"  # zlib's mark of level 1
    np.testing.assert_array_equal(open_picture(data).colour, smooth)
