"""The thumbnail inside the file of a large picture."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import caecodec
from caecodec.batch import thumbnails
from caecodec.errors import CorruptFileError
from caecodec.format import container
from caecodec.format.container import TAG_PREVIEW
from caecodec.pictures import thumbnail
from caecodec.pictures.picture import Picture
from caecodec.search import preview

SIZE = 1500, 700


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "FROM", 1 << 20)
    monkeypatch.setattr(preview, "_SHARE", 0.2)


def pixels() -> NDArray[np.uint8]:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    waves = np.stack([np.sin(x / 90) + np.cos(y / 70), np.sin(y / 40), np.cos((x + y) / 60)], axis=-1)
    return (128 + 50 * waves + np.random.default_rng(1).normal(0, 20, waves.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def file() -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preview, "FROM", 1 << 20)
        patch.setattr(preview, "_SHARE", 0.2)
        image = Image.fromarray(pixels())
        exif = Image.Exif()
        exif[0x0112] = 6  # turned by a quarter
        image.info["exif"] = exif.tobytes()
        return caecodec.encode(image, 60)


def test_it_is_the_picture_made_small(file: bytes) -> None:
    inner = container.parse(container.parse(file).sections[TAG_PREVIEW])
    assert (inner.width, inner.height) == (250, 117) and not inner.sections
    shown = np.asarray(caecodec.decode(container.parse(file).sections[TAG_PREVIEW])).astype(int)
    whole = np.asarray(caecodec.decode(file).resize((250, 117), Image.Resampling.BOX)).astype(int)
    assert np.abs(shown - whole).mean() < 4


def test_the_picture_is_the_same_without_it(file: bytes) -> None:
    image = Image.fromarray(pixels())
    without = caecodec.encode(image, 60, preview=False)
    assert TAG_PREVIEW not in container.parse(without).sections
    assert container.parse(without).tiles == container.parse(file).tiles
    assert caecodec.info(file).sections["preview"] == len(container.parse(file).sections[TAG_PREVIEW])


def test_thumbnails_are_made_of_it_alone(file: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """And turned as the file says. Larger ones are made of the picture."""
    parsed = container.parse(file)
    broken = container.serialize(replace(parsed, tiles=tuple(tile[:2] for tile in parsed.tiles)))
    with Image.open(io.BytesIO(thumbnails.made(broken, 250))) as shown:
        assert shown.size == (117, 250)
        assert np.array_equal(np.asarray(shown.rotate(90, expand=True)), _shown(parsed.sections[TAG_PREVIEW]))
    with pytest.raises(CorruptFileError):
        thumbnails.made(broken, 512)
    with Image.open(io.BytesIO(thumbnails.made(file, 512))) as shown:
        assert max(shown.size) == 512


def _shown(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(caecodec.decode(data))


@pytest.mark.parametrize("hostile", [b"p", b"\xca\xec\x0d", bytes(300)])
def test_one_that_is_damaged_is_not_used(file: bytes, hostile: bytes) -> None:
    parsed = container.parse(file)
    data = container.serialize(replace(parsed, sections={**parsed.sections, TAG_PREVIEW: hostile}))
    assert np.array_equal(_shown(data), _shown(file))
    with Image.open(io.BytesIO(thumbnails.made(data, 128))) as shown:
        assert max(shown.size) == 128


def test_who_gets_none(file: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def has(image: Image.Image, **options: object) -> bool:
        return TAG_PREVIEW in container.parse(caecodec.encode(image, **options)).sections  # type: ignore[call-overload]

    image = Image.fromarray(pixels())
    assert has(image, quality=50) and has(image, model="lossless")
    assert not has(image, target_bpp=0.5)
    clear = image.copy()
    clear.putalpha(128)
    assert not has(clear, quality=50)
    assert not has(image.crop((0, 0, 900, 700)), quality=50)
    monkeypatch.setattr(preview, "_SHARE", 0.0001)
    assert not has(image, quality=50)


def test_pillow_leaves_it_out_too(file: bytes) -> None:
    caecodec.register_opener()
    for options, there in (({}, True), ({"preview": False}, False)):
        stream = io.BytesIO()
        Image.fromarray(pixels()).save(stream, "CAE", quality=60, **options)
        assert (TAG_PREVIEW in container.parse(stream.getvalue()).sections) == there


def test_exif_that_is_none_turns_nothing() -> None:
    data = caecodec.encode(Image.fromarray(pixels()[:40, :50]), 60)
    parsed = container.parse(data)
    broken = container.serialize(replace(parsed, sections={container.TAG_EXIF: b"rubbish"}))
    with Image.open(io.BytesIO(thumbnails.made(broken, 128))) as shown:
        assert shown.size == (50, 40)


@pytest.mark.parametrize("gray", [False, True])
def test_shrinking_by_bands_is_shrinking(gray: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    colour = pixels()[..., 0] if gray else pixels()
    whole = thumbnail.shrunk(Picture(colour), 256)
    monkeypatch.setattr(thumbnail, "_AT_ONCE", 1)
    assert np.array_equal(thumbnail.shrunk(Picture(colour), 256).pixels, whole.pixels)


def test_the_command_leaves_it_out(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from caecodec.command.main import caecodec as command

    Image.fromarray(pixels()).save(tmp_path / "a.png")
    for options, there in (((), True), (("--no-preview",), False)):
        done = CliRunner().invoke(command, ["encode", str(tmp_path / "a.png"), "-f", *options])
        assert done.exit_code == 0, done.output
        assert (TAG_PREVIEW in container.parse((tmp_path / "a.cae").read_bytes()).sections) == there
