"""Pictures, bytes and an in-process command, for the tests."""

from __future__ import annotations

import contextlib
import io
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from caecodec.command import main


def photograph(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """(H, W, 3): soft light, a hard edge, a texture and a little noise, as in a photograph."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    light = 120 + 70 * np.sin(x / 19 + seed) * np.cos(y / 23)
    colour = np.stack([light, light * 0.8 + 30, 200 - light * 0.6], axis=2)
    colour[(x + 2 * y) > (width + height) * 0.9] *= 0.45
    colour += 12 * np.sin(x / 1.7)[..., None] * (y[..., None] > height / 2)
    colour += random.normal(0, 3, colour.shape)
    return np.clip(colour, 0, 255).astype(np.uint8)


def soft_alpha(height: int, width: int) -> NDArray[np.uint8]:
    """(H, W), every value from 0 to 255 where there is room for it."""
    return (np.arange(height * width) * 7 % 256).astype(np.uint8).reshape(height, width)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """An image as the bytes of a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def opened(path: Path) -> Image.Image:
    """A picture file, read whole and closed."""
    return Image.open(io.BytesIO(path.read_bytes()))


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes, **extra: bytes) -> bytes:
    """A PNG by hand; `extra` are chunks before the pixels, or after them where the name begins with `after_`."""

    def chunk(name: str, data: bytes) -> bytes:
        tag = name.encode() + data
        return len(data).to_bytes(4, "big") + tag + zlib.crc32(tag).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((depth, colour_type, 0, 0, 0))
    before = b"".join(chunk(name, data) for name, data in extra.items() if not name.startswith("after_"))
    after = b"".join(chunk(name[6:], data) for name, data in extra.items() if name.startswith("after_"))
    pixels = chunk("IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk("IHDR", head) + before + pixels + after + chunk("IEND", b"")


def profile_of_other_colours() -> bytes:
    """An ICC profile of RGB pixels that are not sRGB: red and blue have changed places."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"swap").replace(b"bXYZ", b"rXYZ").replace(b"swap", b"bXYZ")


def sealed(body: bytes) -> bytes:
    """A .cae body with its checksum."""
    return body + zlib.crc32(body).to_bytes(4, "little")


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """dB."""
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@dataclass(frozen=True, slots=True)
class Result:
    """What one command returned and said."""

    code: object
    out: bytes
    err: str

    @property
    def error_lines(self) -> list[str]:
        return self.err.splitlines()


def run(*arguments: str | Path, stdin: bytes = b"") -> Result:
    """The command, in this process."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace", write_through=True)
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as status:
            main.main([str(a) for a in arguments])
    finally:
        sys.stdin = before
    return Result(status.value.code, out.buffer.getvalue(), err.buffer.getvalue().decode())  # type: ignore[attr-defined]
