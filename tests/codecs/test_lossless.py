from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reference_decoder
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from support import photograph

import caecodec
from caecodec.codecs.lossless import LosslessCodec
from caecodec.codecs.opening import open_codec
from caecodec.errors import CorruptFileError
from caecodec.format import container
from caecodec.format.container import CHECK_BYTES, LOSSLESS_ID, TILE, Container
from caecodec.pictures import picture as pixels
from caecodec.pictures import planes
from caecodec.search import choice

Pixels = NDArray[np.uint8]
RNG = np.random.default_rng(7)
with Image.open(Path(__file__).parents[1] / "data" / "photo.png") as _image:
    PHOTO = np.asarray(_image.convert("RGB"))[:160, :240]


def text() -> Pixels:
    image = Image.new("RGB", (320, 240), "white")
    draw = ImageDraw.Draw(image)
    for line in range(12):
        draw.text(
            (5, 20 * line), "The quick brown fox, 0123456789", fill=(0, 0, line * 20), font=ImageFont.load_default()
        )
    return np.asarray(image)


def line_art() -> Pixels:
    image = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        ends = [(int(x), int(y)) for x, y in RNG.integers(0, 300, (2, 2))]
        draw.line(ends, fill=tuple(int(v) for v in RNG.integers(0, 256, 3)), width=2)
    return np.asarray(image)


def screenshot() -> Pixels:
    page = np.full((400, 500, 3), 240, np.uint8)
    page[:240, :320] = text()
    page[280:380, 350:480] = PHOTO[:100, :130]
    page[:, 498:] = (50, 90, 160)
    return page


def gradient() -> Pixels:
    across, down = np.meshgrid(np.linspace(0, 255, 256), np.linspace(0, 255, 200))
    return np.stack((across, 255 - across, down), axis=2).astype(np.uint8)


def jpeg_again() -> Pixels:
    import io

    stream = io.BytesIO()
    Image.fromarray(PHOTO).save(stream, "JPEG", quality=30)
    return np.asarray(Image.open(stream).convert("RGB"))


CONTENT: dict[str, Pixels] = {
    "text": text(),
    "line art": line_art(),
    "screenshot": screenshot(),
    "gradient": gradient(),
    "noise": RNG.integers(0, 256, (200, 300, 3), np.uint8),
    "gray noise": RNG.integers(0, 256, (200, 300), np.uint8),
    "flat": np.full((300, 200, 3), (200, 30, 90), np.uint8),
    "checkerboard": np.repeat((np.indices((128, 128)).sum(0) % 2 * 255)[..., None], 3, 2).astype(np.uint8),
    "saturated": (RNG.integers(0, 2, (32, 32, 3)) * 255).astype(np.uint8).repeat(6, 0).repeat(6, 1),
    "photograph": PHOTO,
    "gray photograph": PHOTO[..., 1],
    "JPEG, decoded": jpeg_again(),
    "one pixel": np.array([[[1, 2, 3]]], np.uint8),
    "tiny noise": RNG.integers(0, 256, (5, 7, 3), np.uint8),
    "thin noise": RNG.integers(0, 256, (3, 500, 3), np.uint8),
}


def decoded(data: bytes) -> Pixels:
    return np.asarray(caecodec.decode(data))


def psnr(a: Pixels, b: Pixels) -> float:
    error = pixels.mse(a, b)
    return np.inf if error == 0 else 10 * np.log10(255**2 / error)


@pytest.mark.parametrize("content", CONTENT)
def test_whatever_it_shows_a_picture_comes_back_well_and_never_larger_than_raw(content: str) -> None:
    picture = CONTENT[content]
    sizes, levels = [], []
    for quality in (10, 50, 100):
        data = caecodec.encode(picture, quality)
        sizes.append(len(data))
        levels.append(psnr(picture, decoded(data)))
    assert max(sizes) <= picture.nbytes + 64
    assert levels[-1] >= 40
    assert sizes == sorted(sizes)
    assert levels == sorted(levels)


@pytest.mark.parametrize("content", ["text", "line art", "screenshot", "flat", "checkerboard", "saturated"])
def test_drawings_are_kept_exactly_where_that_is_smaller(content: str) -> None:
    picture = CONTENT[content]
    data = caecodec.encode(picture, 60)
    assert container.parse(data).model_id == LOSSLESS_ID
    np.testing.assert_array_equal(decoded(data), picture)


def test_photographs_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LosslessCodec, "encode", None)  # not even tried
    for quality in (20, 50, 80):
        assert container.parse(caecodec.encode(photograph(256, 384), quality)).model_id != LOSSLESS_ID


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7), (30, 40, 3), (TILE + 3, TILE + 5), (9, 2 * TILE + 1, 3)])
@pytest.mark.parametrize("kind", ["flat", "noise", "photograph"])
def test_lossless_files_give_every_pixel_back(shape: tuple[int, ...], kind: str) -> None:
    picture = {
        "flat": np.full(shape, 77, np.uint8),
        "noise": RNG.integers(0, 256, shape, np.uint8),
        "photograph": photograph(*shape[:2]) if len(shape) == 3 else photograph(*shape[:2])[..., 0],
    }[kind]
    data = caecodec.encode(picture, model="lossless")
    np.testing.assert_array_equal(decoded(data), picture)
    assert len(data) <= picture.nbytes + 28 + 6 * len(container.parse(data).tiles)


def test_alpha_and_metadata_are_kept_beside() -> None:
    image = Image.fromarray(CONTENT["text"])
    image.putalpha(Image.fromarray(photograph(240, 320)[..., 0]))
    image.info["xmp"] = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    back = caecodec.decode(caecodec.encode(image))
    np.testing.assert_array_equal(np.asarray(back), np.asarray(image))
    assert back.info["xmp"] == image.info["xmp"]


def test_info_says_so() -> None:
    data = caecodec.encode(CONTENT["text"])
    facts = caecodec.info(data)
    assert facts.model == "lossless"
    assert set(facts.sections) == {"header", "pixels"}
    assert sum(facts.sections.values()) == len(data) == facts.size_bytes


def file_of(stream: bytes, width: int = 4, height: int = 3, gray: bool = False) -> bytes:
    return container.serialize(Container(width, height, 100, LOSSLESS_ID, (stream,), gray))


def stored(samples: Pixels) -> bytes:
    return LosslessCodec().code_tile(samples)[0]


SAMPLES = RNG.integers(0, 256, (3, 4, 3), np.uint8)


@pytest.mark.parametrize(
    "stream",
    [
        b"\x01\x02",
        stored(SAMPLES)[:CHECK_BYTES] + b"\x01",
        stored(SAMPLES)[:-2] + b"\x01",
        stored(SAMPLES)[:-1] + b"\x02",
        stored(SAMPLES)[:-1] + b"\x03",
        bytes([stored(SAMPLES)[0] ^ 1]) + stored(SAMPLES)[1:],
        stored(SAMPLES)[:CHECK_BYTES] + planes.compress(SAMPLES[:2]) + b"\x02",
        stored(SAMPLES)[:CHECK_BYTES] + planes.compress(SAMPLES[..., 0]) + b"\x02",
    ],
    ids=["empty", "no samples", "too few", "no picture", "unknown kind", "wrong check", "other size", "gray PNG"],
)
def test_a_malformed_tile_is_a_corrupt_file(stream: bytes) -> None:
    assert caecodec.decode(file_of(stored(SAMPLES))).size == (4, 3)
    with pytest.raises(CorruptFileError):
        caecodec.decode(file_of(stream))


def test_stored_tiles_are_what_the_specification_says() -> None:
    noise = RNG.integers(0, 256, (6, TILE + 8, 3), np.uint8)
    for picture in (noise, noise[..., 0]):
        data = caecodec.encode(picture, model="lossless")
        gray = picture.ndim == 2
        expected = [block.tobytes() for block in (picture[:, :TILE], picture[:, TILE:])]
        assert reference_decoder.exact(data) == expected
        assert caecodec.info(data).mode == ("L" if gray else "RGB")


def test_lossless_files_are_decoded_and_verified_without_torch() -> None:
    data = caecodec.encode(CONTENT["text"])
    code = (
        "import sys, caecodec; from caecodec.codecs import opening\n"
        "data = sys.stdin.buffer.read(); caecodec.decode(data); opening.verify(data)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout.split() == [b"False"]


def test_it_has_no_latents_and_no_map() -> None:
    with pytest.raises(caecodec.UsageError, match="lossless"):
        open_codec("lossless").features([])
    with pytest.raises(caecodec.UsageError, match="lossless"):
        caecodec.bit_allocation(caecodec.encode(CONTENT["text"]))


def test_a_look_is_enough_to_leave_photographs_alone() -> None:
    picture = pixels.from_array(photograph(256, 384))
    assert not choice.promising(picture, 256 * 384 // 8)
    assert choice.promising(pixels.from_array(CONTENT["text"]), 320 * 240 // 8)
    assert choice.promising(pixels.from_array(CONTENT["noise"]), 320 * 240 // 8)
