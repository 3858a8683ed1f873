"""Large pictures that are read as they are coded."""

from __future__ import annotations

import gc
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import caecodec
from caecodec.batch.reading import read_picture
from caecodec.errors import InputImageError, LimitError
from caecodec.limits import Limits
from caecodec.pictures import lazy
from caecodec.pictures.lazy import LazyPixels
from caecodec.pictures.picture import Picture

TIFFS: dict[str, dict[str, object]] = {
    "raw": {},
    "lzw": {"compression": "tiff_lzw"},
    "packbits": {"compression": "packbits"},
    "deflate, small strips": {"compression": "tiff_adobe_deflate", "strip_size": 2000},
    "predicted": {"compression": "tiff_adobe_deflate", "tiffinfo": {}, "strip_size": 40000},
    "jpeg": {"compression": "jpeg", "quality": 90, "strip_size": 3000},
    "big": {"compression": "tiff_lzw", "big_tiff": True},
}


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy, "LAZY_FROM", 1)


def pixels(*shape: int) -> NDArray[np.uint8]:
    """Waves and noise."""
    random = np.random.default_rng(sum(shape))
    y, x = np.mgrid[: shape[0], : shape[1]]
    waves = 128 + 90 * np.sin(x / 9) * np.cos(y / 7)
    channels = waves[..., None] * np.linspace(0.6, 1, shape[2]) if len(shape) == 3 else waves
    return (channels + random.normal(0, 4, channels.shape)).clip(0, 255).astype(np.uint8)


def both(path: Path) -> tuple[Picture, Picture]:
    """A file read lazily, and at once."""
    with path.open("rb") as stream:
        late = read_picture(stream, lazily=True)
    return late, read_picture(path.read_bytes())


def check(path: Path) -> Picture:
    late, held = both(path)
    assert isinstance(late.colour, LazyPixels)
    assert np.array_equal(late.pixels, held.pixels)
    height, width = late.height, late.width
    for rows, columns in (((0, 5), (0, width)), ((3, height), (7, width - 1)), ((height - 1, height), (0, 1))):
        part = slice(*rows), slice(*columns)
        assert np.array_equal(late.colour[part], held.colour[part])
    assert np.array_equal(late.colour[3:60:8], held.colour[3:60:8])
    assert (late.exif, late.icc, late.xmp, late.alpha) == (held.exif, held.icc, held.xmp, None)
    return late


@pytest.mark.parametrize("shape", [(150, 203), (150, 203, 3)], ids=str)
def test_netpbm(shape: tuple[int, ...], tmp_path: Path) -> None:
    Image.fromarray(pixels(*shape)).save(tmp_path / "a.ppm")
    check(tmp_path / "a.ppm")


@pytest.mark.parametrize("shape", [(150, 203), (150, 203, 3)], ids=str)
@pytest.mark.parametrize("kind", TIFFS)
def test_strips_of_tiff(kind: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    exif = Image.Exif()
    exif[0x010E] = "waves"
    options = {"exif": exif} | TIFFS[kind]
    if "tiffinfo" in options:
        options["tiffinfo"] = {0x010E: "waves", 317: 2}
    Image.fromarray(pixels(*shape)).save(path, **options)  # type: ignore[arg-type]
    late = check(path)
    assert b"waves" in late.exif


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_of_tiff(channels: int, order: str, tmp_path: Path) -> None:
    """Which Pillow reads and does not write."""
    shape = (150, 203) if channels == 1 else (150, 203, 3)
    (tmp_path / "a.tif").write_bytes(tiled_tiff(pixels(*shape), (32, 48), order))
    check(tmp_path / "a.tif")


def tiled_tiff(samples: NDArray[np.uint8], tile: tuple[int, int], order: str, deflated: bool = True) -> bytes:
    """A TIFF of deflated tiles, or of tiles as they are, whose sizes it does not tell."""
    height, width, channels = (*samples.shape, 1)[:3]
    data, offsets, sizes = b"", [], []
    for top in range(0, height, tile[0]):
        for left in range(0, width, tile[1]):
            part = samples[top : top + tile[0], left : left + tile[1]]
            edges = ((0, tile[0] - part.shape[0]), (0, tile[1] - part.shape[1]), *((0, 0),) * (part.ndim - 2))
            raw = np.pad(part, edges).tobytes()
            packed = zlib.compress(raw) if deflated else raw
            offsets.append(8 + len(data))
            sizes.append(len(packed) if deflated else 0)
            data += packed
    fields = {
        256: [width],
        257: [height],
        258: [8] * channels,
        259: [8 if deflated else 1],
        262: [2 if channels == 3 else 1],
        277: [channels],
        322: [tile[1]],
        323: [tile[0]],
        324: offsets,
        325: sizes,
    }
    entries = b""
    for tag, values in fields.items():
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            data += packed
            packed = struct.pack(order + "I", 8 + len(data) - len(packed))
        entries += struct.pack(order + "HHI", tag, 4, len(values)) + packed
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(data))
    return head + data + struct.pack(order + "H", len(fields)) + entries + bytes(4)


@pytest.mark.parametrize("name", ["a.png", "alpha.tif", "deep.tif", "cmyk.tif"])
def test_what_is_read_at_once(name: str, tmp_path: Path) -> None:
    image = Image.fromarray(pixels(40, 50, 3))
    if name == "alpha.tif":
        image.putalpha(90)
    if name == "deep.tif":
        image = Image.fromarray(pixels(40, 50).astype(np.uint16) * 200)
    if name == "cmyk.tif":
        image = image.convert("CMYK")
    image.save(tmp_path / name)
    late, held = both(tmp_path / name)
    assert isinstance(late.colour, np.ndarray) and np.array_equal(late.colour, held.colour)


def test_files_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(pixels(150, 1203, 3))
    image.save(tmp_path / "a.ppm")
    image.save(tmp_path / "a.tif", compression="tiff_lzw")
    found = {caecodec.encode(tmp_path / name, model=model) for name in ("a.ppm", "a.tif") for model in ("photo",)}
    exact = {caecodec.encode(tmp_path / name, model="lossless") for name in ("a.ppm", "a.tif")}
    monkeypatch.setattr(lazy, "LAZY_FROM", 1 << 24)
    assert found == {caecodec.encode(tmp_path / "a.ppm")}
    assert exact == {caecodec.encode(tmp_path / "a.ppm", model="lossless")}


@pytest.mark.parametrize("name", ["a.ppm", "raw.tif", "lzw.tif"])
@pytest.mark.parametrize("before", [True, False])
def test_a_file_that_is_cut_short(name: str, before: bool, tmp_path: Path) -> None:
    """Before it is opened, or while it is being read."""
    path = tmp_path / name
    Image.fromarray(pixels(150, 203, 3)).save(path, **({"compression": "tiff_lzw"} if name == "lzw.tif" else {}))
    short = path.stat().st_size // 3
    with path.open("rb") as stream:
        if before and name == "a.ppm":
            os.truncate(path, short)
            with pytest.raises(InputImageError, match="ends before its picture does"):
                read_picture(stream, lazily=True)
            return
        late = read_picture(stream, lazily=True)
        os.truncate(path, short)
        with pytest.raises(InputImageError):
            _ = late.pixels


@pytest.mark.parametrize("offset", [1 << 20, 1 << 62, (1 << 64) - 1])
def test_offsets_that_lie_outside_are_refused(offset: int, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(pixels(150, 203)).save(path, big_tiff=True)
    with Image.open(path) as image:
        (start,) = image.tag_v2[273]  # type: ignore[attr-defined]
    entry = struct.pack("<HHQQ", 273, 16, 1, start)
    data = path.read_bytes()
    if entry not in data:
        entry = struct.pack("<HHQQ", 273, 4, 1, start)
    assert data.count(entry) == 1
    path.write_bytes(data.replace(entry, struct.pack("<HHQQ", 273, 16, 1, offset)))
    with path.open("rb") as stream, pytest.raises(InputImageError):
        _ = read_picture(stream, lazily=True).pixels


def test_tiles_without_sizes_and_tiles_wider_than_the_picture(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiled_tiff(pixels(150, 203, 3), (32, 48), "<", deflated=False))
    late, _ = both_lazy(tmp_path / "a.tif")
    assert np.array_equal(late, pixels(150, 203, 3))
    (tmp_path / "b.tif").write_bytes(tiled_tiff(pixels(150, 20), (16, 65536), "<"))
    with (tmp_path / "b.tif").open("rb") as stream:
        colour = read_picture(stream, lazily=True).colour
    assert isinstance(colour, LazyPixels)
    tracemalloc.start()
    assert np.array_equal(colour[:150], pixels(150, 20))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < colour.held and held < 1 << 20  # the tiles are 10 MiB


def both_lazy(path: Path) -> tuple[NDArray[np.uint8], LazyPixels]:
    with path.open("rb") as stream:
        late = read_picture(stream, lazily=True)
    assert isinstance(late.colour, LazyPixels)
    return late.pixels, late.colour


def test_a_low_limit_still_reads_at_once_what_fits(tmp_path: Path) -> None:
    """Blocks may ask for more than the picture itself."""
    (tmp_path / "a.tif").write_bytes(tiled_tiff(pixels(40, 100), (16, 16384), "<"))
    with (tmp_path / "a.tif").open("rb") as stream:
        picture = read_picture(stream, Limits(memory=16 * 16384 * 16), lazily=True)
    assert np.array_equal(picture.pixels, pixels(40, 100))


def test_what_lies_in_a_file_is_not_pickled(tmp_path: Path) -> None:
    Image.fromarray(pixels(15, 20)).save(tmp_path / "a.ppm")
    with (tmp_path / "a.ppm").open("rb") as stream:
        picture = read_picture(stream, lazily=True)
    with pytest.raises(TypeError):
        pickle.dumps(picture)


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    Image.fromarray(pixels(15, 20)).save(tmp_path / "a.ppm")
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(20):
        with (tmp_path / "a.ppm").open("rb") as stream:
            read_picture(stream, lazily=True)
    gc.collect()
    assert not before or len(os.listdir("/proc/self/fd")) <= before


def test_a_block_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(pixels(150, 203, 3)).save(path, compression="tiff_adobe_deflate")
    data = bytearray(path.read_bytes())
    with Image.open(path) as image:
        start, size = image.tag_v2[273][0], image.tag_v2[279][0]  # type: ignore[attr-defined]
    data[start : start + size] = bytes(size)
    path.write_bytes(data)
    late = None
    with path.open("rb") as stream:
        late = read_picture(stream, lazily=True)
    with pytest.raises(InputImageError):
        _ = late.pixels


def test_the_limit_counts_what_is_held(tmp_path: Path) -> None:
    Image.fromarray(pixels(300, 203, 3)).save(tmp_path / "a.tif", compression="tiff_lzw")
    with (tmp_path / "a.tif").open("rb") as stream, pytest.raises(LimitError, match="reading 203x300 pixels of TIFF"):
        read_picture(stream, Limits(memory=100_000), lazily=True)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell the peak of a process so")
def test_a_large_picture_takes_little_memory(tmp_path: Path) -> None:
    width, height = 24576, 4096
    with (tmp_path / "large.ppm").open("wb") as file:
        file.write(b"P6 %d %d 255\n" % (width, height))
        for _ in range(height // 256):
            file.write(np.tile(pixels(256, 512, 3), (1, width // 512, 1)).tobytes())
    program = (
        "import caecodec, sys; caecodec.encode(sys.argv[1], 40);"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "large.ppm"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 280 * 1024  # the pixels alone are 288 MiB, and the program takes 90
