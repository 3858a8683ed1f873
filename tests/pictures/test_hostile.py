"""Pictures made to harm: refused by their first bytes, before a decoder takes memory or time for them."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import encoded, photograph, png, run

from caecodec.errors import InputImageError, LimitError
from caecodec.limits import Limits
from caecodec.pictures import headers
from caecodec.pictures.pillow import from_image, open_picture

BASE = Image.fromarray(photograph(24, 32))
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n"


def peak_of(data: bytes, tmp_path: Path) -> tuple[str, int]:
    """What a process of its own says of a picture, and the memory in bytes that it took beside its libraries."""
    (tmp_path / "hostile").write_bytes(data)
    program = """
import sys
from pathlib import Path
from typing import Any
from caecodec.errors import CaecodecError
from caecodec.pictures.pillow import open_picture
from PIL import Image
def peak():
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
Image.init()
data = Path(sys.argv[1]).read_bytes()
before = peak()
try:
    open_picture(data)
    said = "read"
except CaecodecError as exc:
    said = type(exc).__name__
print(said, peak() - before)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "hostile")]
    said, taken = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return said, int(taken)


def icon(*nested: bytes) -> bytes:
    """An ICO of pictures as they are."""
    head, body, at = struct.pack("<HHH", 0, 1, len(nested)), b"", 6 + 16 * len(nested)
    for one in nested:
        head += struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(one), at + len(body))
        body += one
    return head + body


def canvas(width: int, height: int) -> bytes:
    """A WebP of a canvas that is mostly empty."""
    frame = encoded(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
    body = bytes(6) + bytes(6) + (100).to_bytes(3, "little") + b"\0" + frame
    chunks = [
        (b"VP8X", b"\x02\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")),
        (b"ANIM", bytes(6)),
        (b"ANMF", body),
    ]
    data = b"WEBP" + b"".join(
        name + len(part).to_bytes(4, "little") + part + bytes(len(part) % 2) for name, part in chunks
    )
    return b"RIFF" + len(data).to_bytes(4, "little") + data


@pytest.mark.parametrize("kind", ["EPS", "ICNS", "PCX", "SGI", "TGA", "PSD", "FLI", "XBM", "DDS", "PDF"])
def test_a_format_that_is_not_on_the_list_reaches_no_decoder(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    heads = {
        "EPS": EPS,
        "PSD": b"8BPS\0\1",
        "FLI": b"\x22\0\0\0\x11\xaf",
        "XBM": b"#define x_width 9\n",
        "PDF": b"%PDF-1.4",
    }
    data = heads[kind] if kind in heads else encoded(BASE, kind)
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail(f"a program was started: {a}"))
    monkeypatch.setattr(subprocess, "check_call", lambda *a, **k: pytest.fail(f"a program was started: {a}"))
    with pytest.raises(InputImageError, match=r"not a picture in a format that is read here \(PNG, JPEG"):
        open_picture(data + bytes(100))


def test_an_eps_named_png_is_3_and_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "img.png").write_bytes(EPS)
    result = run("encode", tmp_path / "img.png")
    assert result.code == 3
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "ICO"])
def test_every_format_on_the_list_is_read(kind: str) -> None:
    assert open_picture(encoded(BASE.resize((32, 32)), kind)).width == 32
    assert kind in {known.name for known in headers.FORMATS}


def test_no_other_thread_sees_pillows_bound_change() -> None:
    seen, done = set(), threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(Image.MAX_IMAGE_PIXELS)

    thread = threading.Thread(target=look)
    thread.start()
    before = Image.MAX_IMAGE_PIXELS
    data = encoded(Image.fromarray(photograph(400, 500)))
    for _ in range(5):
        open_picture(data)
    done.set()
    thread.join()
    assert seen == {before}


HUGE = png(40_000, 40_000, 8, 0, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="a process reads its peak memory in /proc, which only Linux has")
@pytest.mark.parametrize(
    "data", [canvas(16384, 16384), icon(HUGE), icon(encoded(BASE), HUGE)], ids=["canvas", "icon", "second in an icon"]
)
def test_a_nested_picture_is_refused_before_it_takes_memory(data: bytes, tmp_path: Path) -> None:
    said, taken = peak_of(data, tmp_path)
    assert said == "LimitError"
    assert taken < 64 << 20


def test_an_icon_of_small_pictures_is_read_and_the_others_are_named() -> None:
    picture = open_picture(icon(encoded(Image.new("RGBA", (256, 256))), encoded(Image.new("RGBA", (256, 256)))))
    assert picture.notes == ("only the largest of the icon's 2 pictures is kept",)


def test_memory_is_budgeted_by_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM", "JPEG2000")
    files = [encoded(BASE, kind) for kind in kinds]
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("pixels were read"))
    for data in files:
        with pytest.raises(LimitError, match="MiB of memory, over the limit of 0 MiB; raise it with limits=Limits"):
            open_picture(data, Limits(memory=32 * 24 * 8))


def test_out_of_memory_in_a_decoder_is_a_limit_and_not_a_bad_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (MemoryError(), OSError("out of memory error when reading image file")):

        def fail(self: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(Image.Image, "load", fail)
        with pytest.raises(LimitError, match="out of memory"):
            from_image(BASE)


def tiff_of_directories(count: int) -> bytes:
    """A TIFF of one pixel whose directories are a long chain."""
    first = encoded(Image.new("L", (1, 1)), "TIFF")
    data, last = bytearray(first + bytes(len(first) % 2)), int.from_bytes(first[4:8], "little")
    size = 2 + 12 * int.from_bytes(first[last : last + 2], "little")
    entry = first[last : last + size]
    for _ in range(count):
        data[last + size : last + size + 4] = len(data).to_bytes(4, "little")
        last = len(data)
        data += entry + bytes(4)
    return bytes(data)


def test_a_long_chain_of_frames_is_not_walked() -> None:
    data = tiff_of_directories(36_000)
    start = time.process_time()
    assert "only the first frame is kept" in open_picture(data).notes
    assert time.process_time() - start < 0.5


def jpeg_of_scans(count: int) -> bytes:
    """A progressive JPEG with its last scan again and again."""
    data = encoded(Image.fromarray(photograph(800, 800)), "JPEG", progressive=True, quality=10)
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start:-2] * count + b"\xff\xd9"


def test_scans_of_a_jpeg_are_capped() -> None:
    few = jpeg_of_scans(3)
    assert headers.jpeg_scans(few) == headers.jpeg_scans(encoded(BASE, "JPEG", progressive=True)) + 3
    assert headers.jpeg_scans(encoded(BASE, "JPEG", exif=b"Exif\0\0" + few[:60000])) == 1
    assert open_picture(few).width == 800
    many = jpeg_of_scans(400)
    start = time.process_time()
    with pytest.raises(LimitError, match=r"410 scans, over the limit of 64"):
        open_picture(many)
    assert time.process_time() - start < 0.5


def test_one_slow_picture_does_not_make_other_threads_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = encoded(BASE), encoded(Image.new("L", (8, 8)), "BMP")
    inside, go_on = threading.Event(), threading.Event()

    def wait(_image: object) -> None:
        inside.set()
        assert go_on.wait(10)

    def read(data: bytes) -> None:
        with contextlib.suppress(InputImageError):
            open_picture(data)

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load_prepare", wait)
    thread = threading.Thread(target=read, args=(slow,))
    thread.start()
    assert inside.wait(10)
    other = threading.Thread(target=open_picture, args=(quick,))
    other.start()
    other.join(5)
    stuck = other.is_alive()
    go_on.set()
    thread.join()
    other.join()
    assert not stuck


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (b"P5 2 1 65535\n\0\1\xff\xff", "16 bits per channel become 8"),
        (b"P6\n# a word\n1 1\n1023\n\0\1\2\3\1\1", "16 bits per channel become 8"),
        (encoded(Image.new("RGB", (2, 2)), "PPM"), None),
        (png(1, 1, 8, 2, b"\0abc", gAMA=(100_000).to_bytes(4, "big")), "colours of the PNG's own"),
        (png(1, 1, 8, 2, b"\0abc", gAMA=(45_455).to_bytes(4, "big")), None),
        (png(1, 1, 8, 2, b"\0abc", sRGB=b"\0", gAMA=(100_000).to_bytes(4, "big")), None),
        (
            png(1, 1, 8, 2, b"\0abc", cHRM=struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
            "colours of the PNG's own",
        ),
        (encoded(Image.fromarray(photograph(8, 8)[..., 0].astype("uint16") * 257), "JPEG2000"), "16 bits"),
    ],
)
def test_what_is_lost_on_reading_is_said_once(data: bytes, note: str | None) -> None:
    notes = open_picture(data).notes
    assert len(notes) == (note is not None)
    assert not note or note in notes[0]


@pytest.mark.parametrize("size", [(8, 8), (40, 16), (256, 256), (300, 200), (1920, 1080), (3000, 1), (1, 700)])
@pytest.mark.parametrize("options", [{}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}], ids=["bare", "boxes"])
def test_the_size_of_a_jpeg_xl_picture_is_known_before_it_is_opened(size: tuple[int, int], options: Any) -> None:
    pytest.importorskip("pillow_jxl", reason="pillow_jxl is not installed (caecodec[bench])")
    data = encoded(Image.new("RGB", size), "JXL", **options)
    with pytest.raises(LimitError):
        open_picture(data, Limits(pixels=size[0] * size[1] - 1))
    assert open_picture(data, Limits(pixels=size[0] * size[1])).colour.shape == (size[1], size[0], 3)


def test_a_box_that_holds_another_size_does_not_speak_for_a_jpeg_xl_picture() -> None:
    pytest.importorskip("pillow_jxl", reason="pillow_jxl is not installed (caecodec[bench])")
    data = encoded(Image.new("RGB", (300, 200)), "JXL", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    decoy = b"jxlc\xff\x0a\x01" + bytes(20)
    inside = data[:32] + struct.pack(">I", 8 + len(decoy)) + b"free" + decoy + data[32:]  # behind signature and ftyp
    assert list(headers.checked(data, Limits()).sizes(inside)) == [(300, 200)]
    with pytest.raises(LimitError):
        open_picture(inside, Limits(pixels=1000))
