"""Pillow's `Image.open` and `save`, and what Pillow's own tests ask of its AVIF and WebP plugins."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from support import photograph, profile_of_other_colours, soft_alpha

import caecodec
from caecodec.format import container
from caecodec.plugins import pillow

GOLDEN = Path(__file__).parent.parent / "golden" / "v2"
MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB", "I;16")
SIZES = ((1, 1), (3, 70), (16, 16), (65, 33), (130, 9))


@pytest.fixture(autouse=True)
def registered() -> None:
    caecodec.register_opener()


def picture(mode: str = "RGB", width: int = 64, height: int = 48) -> Image.Image:
    """Of any mode that can be encoded."""
    colour = Image.fromarray(photograph(height, width))
    if mode == "I;16":
        return Image.fromarray(np.asarray(colour)[..., 0].astype(np.uint16) * np.uint16(257))
    if mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        whole = "LA" if mode in ("LA", "La") else "RGBA"
        colour.putalpha(Image.fromarray(soft_alpha(height, width)))
        return colour.convert(whole).convert(mode)
    return colour.convert(mode)


def saved(image: Image.Image, **options: Any) -> io.BytesIO:
    stream = io.BytesIO()
    image.save(stream, "CAE", **options)
    stream.seek(0)
    return stream


def opened(image: Image.Image, **options: Any) -> ImageFile.ImageFile:
    return Image.open(saved(image, **options))


def test_importing_the_plugin_is_all_it_takes(tmp_path: Path) -> None:
    program = (
        "from PIL import Image\nimport caecodec.plugins.pillow\n"
        "Image.new('RGB', (9, 7), 'red').save('x.cae')\n"
        "image = Image.open('x.cae'); print(image.format, image.size, image.getpixel((3, 3))[0] > 200)\n"
        "print(Image.registered_extensions()['.cae'], Image.MIME['CAE'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "CAE (9, 7) True\nCAE image/x-cae\n"
    assert done.stderr == ""


def test_a_file_is_opened_and_is_what_decode_gives(tmp_path: Path) -> None:
    path = tmp_path / "a.cae"
    picture().save(path, quality=60)
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("CAE", "RGB", (64, 48))
        assert image.format_description == "caecodec image"
        assert image.get_format_mimetype() == "image/x-cae"
        assert image.info["quality"] == 60
        assert not image.info["lossless"]
        np.testing.assert_array_equal(np.asarray(image), np.asarray(caecodec.decode(path)))
    assert path.read_bytes() == caecodec.encode(picture(), 60)
    with Image.open(path, formats=["CAE"]) as image:
        image.load()


def test_the_head_alone_is_read_to_open_and_pixels_are_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(picture(), exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0").getvalue()
    calls = []
    real = caecodec.decode
    monkeypatch.setattr(caecodec, "decode", lambda *a, **k: calls.append(k) or real(*a, **k))
    cut = Image.open(io.BytesIO(data[: len(data) // 2]))  # what is behind does not matter yet
    assert cut.size == (64, 48)
    image = Image.open(io.BytesIO(data))
    assert image.size == (64, 48)
    assert not calls
    image.load()
    image.load()
    assert image.getpixel((1, 1)) is not None
    assert len(calls) == 1


def test_a_head_longer_than_the_first_read_is_read_to_its_end() -> None:
    icc = profile_of_other_colours() + bytes(300_000)
    image = Image.open(io.BytesIO(caecodec.encode(with_info(picture(), icc_profile=icc), 40)))
    assert image.info["icc_profile"] == icc
    image.load()


def with_info(image: Image.Image, **info: bytes) -> Image.Image:
    image.info.update(info)
    return image


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_saved(mode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # 16 bits become 8
        image = opened(picture(mode), quality=80)
    gray = mode in ("1", "L", "LA", "La", "I;16")
    alpha = mode in ("LA", "La", "PA", "RGBA", "RGBa")
    assert image.mode == ("LA" if alpha else "L") if gray else ("RGBA" if alpha else "RGB")
    if alpha:
        np.testing.assert_array_equal(np.asarray(image)[..., -1], soft_alpha(48, 64))
    image.load()


def test_what_cannot_be_saved_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.cae"
    for image, error, words in (
        (Image.new("F", (8, 8)), OSError, "cannot write mode F as CAE"),
        (Image.new("RGB", (0, 0)), ValueError, "without pixels"),
    ):
        with pytest.raises(error, match=words):
            image.save(path)
        assert not path.exists()
    for options in ({"quality": 0}, {"quality": 101}, {"quality": "high"}, {"effort": 0}, {"tune": "ear"}):
        with pytest.raises(ValueError, match="choose"):
            picture().save(path, **options)
        assert not path.exists()
    with pytest.raises(OSError, match="model nobody is not installed"):
        picture().save(path, model="nobody")


def test_options_of_encode_are_options_of_save() -> None:
    assert len(saved(picture(), target_size=900).getvalue()) <= 900
    assert len(saved(picture(), quality=20).getvalue()) < len(saved(picture(), quality=80).getvalue())
    assert saved(picture(), quality=50, effort=1).getvalue() == caecodec.encode(picture(), 50, effort=1)
    assert saved(picture(), quality=50, tune="psnr").getvalue() == caecodec.encode(picture(), 50, tune="psnr")
    tiny = opened(picture(), model="tiny")
    assert caecodec.info(saved(picture(), model="tiny")).model == "tiny"
    assert tiny.size == (64, 48)
    exact = opened(picture(), lossless=True)
    assert exact.info["lossless"]
    np.testing.assert_array_equal(np.asarray(exact), np.asarray(picture()))


def test_metadata_is_in_info_and_is_saved_again() -> None:
    exif = Image.Exif()
    exif[274], exif[271] = 6, "Maker"
    icc, xmp = profile_of_other_colours(), '<x:xmpmeta><tiff:Orientation="6"/></x:xmpmeta>'
    first = opened(picture(), exif=exif, icc_profile=icc, xmp=xmp)
    for image in (first, opened(first), opened(first, exif=exif.tobytes())):
        assert image.info["icc_profile"] == icc
        assert image.info["xmp"] == xmp.encode()
        assert image.info["exif"] == exif.tobytes()
        assert image.getexif()[274] == 6
    assert ImageOps.exif_transpose(first).size == (48, 64)
    bare = opened(first, exif=None, icc_profile=None, xmp=None)
    assert not {"exif", "icc_profile", "xmp"} & bare.info.keys()
    assert opened(first, exif=b"").info.keys() == {"quality", "lossless", "icc_profile", "xmp"}
    with pytest.raises(SyntaxError):
        saved(picture(), exif=b"invalid")


def test_metadata_of_other_formats_comes_along() -> None:
    exif = Image.Exif()
    exif[274] = 3
    stream = io.BytesIO()
    profile = profile_of_other_colours()  # which has the second of its making in it
    picture().save(stream, "PNG", exif=exif, icc_profile=profile)
    image = opened(Image.open(stream))
    assert image.getexif()[274] == 3
    assert image.info["icc_profile"] == profile


def test_draft_gives_a_smaller_picture() -> None:
    data = saved(picture("RGB", 200, 120)).getvalue()
    whole = Image.open(io.BytesIO(data))
    for size, divisor in (((200, 120), 1), ((101, 61), 1), ((100, 60), 2), ((25, 15), 8), ((13, 8), 16), ((1, 1), 16)):
        image = Image.open(io.BytesIO(data))
        got = image.draft(None, size)
        if divisor == 1 and size == (200, 120):
            assert got is None
            continue
        divisor = 2 if size == (101, 61) else divisor  # a hundredth below is near enough
        assert got == ("RGB", (0, 0, 200 / divisor, 120 / divisor))
        assert image.size == (-(-200 // divisor), -(-120 // divisor))
        expected = np.asarray(caecodec.decode(data, scale=1 / divisor))
        np.testing.assert_array_equal(np.asarray(image), expected)
        assert image.draft(None, size) is None  # it is loaded
    assert whole.draft("L", None) is None


def test_a_thumbnail_is_decoded_smaller_and_looks_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(picture("RGB", 640, 480), quality=70).getvalue()
    scales = []
    real = caecodec.decode
    monkeypatch.setattr(caecodec, "decode", lambda *a, **k: scales.append(k["scale"]) or real(*a, **k))
    quick, whole = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(data))
    whole.load()
    quick.thumbnail((40, 40))
    whole.thumbnail((40, 40))
    assert quick.size == whole.size == (40, 30)
    assert scales == [1, 1 / 8]
    assert np.abs(np.asarray(quick).astype(int) - np.asarray(whole)).mean() < 3


def test_there_is_one_frame() -> None:
    image = opened(picture())
    assert image.tell() == 0
    image.seek(0)
    with pytest.raises(EOFError):
        image.seek(1)
    assert image.n_frames == 1
    assert not image.is_animated
    stream = io.BytesIO()
    frames = [picture(), picture().rotate(90)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    with pytest.warns(UserWarning, match="only the first frame is kept"):
        assert opened(Image.open(stream)).n_frames == 1


def test_images_are_copied_and_pickled() -> None:
    image = opened(picture("RGBA"))
    whole = np.asarray(opened(picture("RGBA")))
    for other in (copy.copy(image), copy.deepcopy(image), image.copy(), pickle.loads(pickle.dumps(image))):
        assert (other.mode, other.size) == ("RGBA", (64, 48))
        np.testing.assert_array_equal(np.asarray(other), whole)
    assert image.crop((3, 4, 9, 9)).size == (6, 5)
    assert image.convert("L").mode == "L"


def test_files_are_closed_and_streams_are_left_open(tmp_path: Path) -> None:
    path = tmp_path / "a.cae"
    picture().save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Image.open(path) as image:
            image.load()
        path.unlink()
    stream = saved(picture())
    for _ in range(2):
        with Image.open(stream) as image:
            image.load()
        assert not stream.closed
        stream.seek(0)
    image = Image.open(stream)
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        image.load()


def test_what_is_no_file_of_ours_is_left_to_others() -> None:
    png = io.BytesIO()
    picture().save(png, "PNG")
    with pytest.raises(SyntaxError):
        pillow.CaeImageFile(png)
    assert Image.open(png).format == "PNG"
    good = saved(picture()).getvalue()
    for bad in (b"", b"\xca\xec", good[:9], good[:3] + b"\x09" + good[4:], b"\xca\xec\x0d" + bytes(40)):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(bad))


def test_a_damaged_file_fails_when_it_is_loaded() -> None:
    good = saved(picture()).getvalue()
    middle = len(good) // 2
    for bad in (good[:-1], good[:middle], good[:middle] + bytes((good[middle] ^ 1,)) + good[middle + 1 :]):
        image = Image.open(io.BytesIO(bad))
        with pytest.raises(OSError, match=r"cannot read this \.cae file: the checksum does not match"):
            image.load()
        with pytest.raises(OSError, match="not a whole"):
            Image.open(io.BytesIO(bad)).verify()
    Image.open(io.BytesIO(good)).verify()
    unknown = container.serialize(container.Container(16, 16, 50, b"\1\2\3\4", (b"\0\0\1",)))
    with pytest.raises(OSError, match="model"):
        Image.open(io.BytesIO(unknown)).load()


def test_pillows_own_bound_on_pixels_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(picture())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(data)


def corpus() -> list[tuple[str, bytes]]:
    """Golden files of every kind, and one of every mode that is saved in every size."""
    files = [(path.stem, path.read_bytes()) for path in sorted(GOLDEN.glob("*.cae"))]
    for mode in ("L", "LA", "RGB", "RGBA"):
        for width, height in SIZES:
            for options in ({"quality": 30}, {"lossless": True}):
                data = saved(picture(mode, width, height), **options).getvalue()
                files.append((f"{mode}-{width}x{height}-{next(iter(options))}", data))
    return files


def test_a_corpus_of_fifty_files_is_opened_as_decode_gives_them() -> None:
    files = corpus()
    assert len(files) >= 50
    for name, data in files:
        with Image.open(io.BytesIO(data)) as image:
            facts = caecodec.info(data)
            assert (image.mode, image.size) == (facts.mode, (facts.width, facts.height)), name
            expected = caecodec.decode(data)
            np.testing.assert_array_equal(np.asarray(image), np.asarray(expected), err_msg=name)
            assert image.info.items() >= expected.info.items(), name
        Image.open(io.BytesIO(data)).verify()
        again = pickle.loads(pickle.dumps(image))
        assert again.size == image.size
