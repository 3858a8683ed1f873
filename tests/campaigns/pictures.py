"""C3: hostile pictures: mutants of small ones of every format, and corpora in folders or git directories."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from harness import MIB, Bounds, Report, run
from mutants import mutant, png
from PIL import Image, TiffImagePlugin

from caecodec.errors import InputImageError, LimitError
from caecodec.limits import DEFAULT_LIMITS
from caecodec.pictures import headers
from caecodec.pictures.pillow import open_picture

BOUNDS = Bounds(5.0, 1536 * MIB)
LARGEST = 1 << 24  # bytes of a file of a corpus


def seeds() -> list[bytes]:
    """Small pictures of every format and kind that is read."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    colour = Image.fromarray(noise)
    deep = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    icon = colour.resize((32, 32)).convert("RGBA")
    tags = Image.Exif()
    tags[274] = 6
    tags.get_ifd(0x8769)[33434] = TiffImagePlugin.IFDRational(1, 50)
    kinds: list[tuple[Image.Image, str, dict[str, object]]] = [
        *((colour.convert(mode), "PNG", {"exif": tags}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
        (deep, "PNG", {}),
        *((colour, "JPEG", {"progressive": progressive, "exif": tags}) for progressive in (False, True)),
        (colour.convert("CMYK"), "JPEG", {}),
        *((colour.convert("RGBA"), "WEBP", {"lossless": lossless, "exif": tags}) for lossless in (False, True)),
        (colour, "WEBP", {"save_all": True, "append_images": [colour.rotate(180)]}),
        (colour, "AVIF", {"speed": 10}),
        *((colour, "TIFF", {"compression": name}) for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg")),
        (colour, "TIFF", {"save_all": True, "append_images": [colour]}),
        *((colour.convert(mode), "BMP", {}) for mode in ("1", "P", "RGB", "RGBA")),
        (colour.convert("P"), "GIF", {"save_all": True, "append_images": [colour.rotate(90)]}),
        *((colour.convert(mode), "PPM", {}) for mode in ("1", "L", "RGB")),
        (colour, "JPEG2000", {}),
        *((icon, "ICO", {"bitmap_format": form, "sizes": [(32, 32), (16, 16)]}) for form in ("bmp", "png")),
    ]
    files = []
    for image, kind, options in kinds:
        stream = io.BytesIO()
        image.save(stream, kind, **options)  # type: ignore[arg-type]
        files.append(stream.getvalue())
    return files


def tried(data: bytes) -> str:
    """Read, or one of two errors: exit status 3 or 6."""
    try:
        picture = open_picture(data)
    except (InputImageError, LimitError) as exc:
        return type(exc).__name__
    assert picture.colour.dtype == np.uint8
    return "read"


def is_picture(data: bytes) -> bool:
    """Whether its first bytes pass as those of a picture: a corpus of a fuzzer has files of every kind."""
    try:
        headers.checked(data, DEFAULT_LIMITS)
    except (InputImageError, LimitError):
        return False
    return True


def of_corpus(place: Path) -> Iterator[bytes]:
    """Every file of a folder, or of the newest commit of a git directory."""
    if not (place / "objects").is_dir():
        for path in sorted(p for p in place.rglob("*") if p.is_file() and p.stat().st_size <= LARGEST):
            yield path.read_bytes()
        return
    git = ["git", "-C", str(place)]
    listed = subprocess.run([*git, "ls-tree", "-r", "-l", "HEAD"], capture_output=True, check=True, text=True).stdout
    rows = [line.split(None, 4)[:4] for line in listed.splitlines()]
    names = [name for _, kind, name, size in rows if kind == "blob" and size.isdecimal() and int(size) <= LARGEST]
    asked = "".join(f"{name}\n" for name in names)
    told = subprocess.run([*git, "cat-file", "--batch"], input=asked.encode(), capture_output=True, check=True).stdout
    at = 0
    while at < len(told):  # "name blob size", a line feed, the bytes, a line feed; or "name missing"
        head, _, _ = told[at : at + 200].partition(b"\n")
        at += len(head) + 1
        if head.endswith(b" missing"):
            continue
        size = int(head.split()[-1])
        yield told[at : at + size]
        at += size + 1


def pictures(count: int, corpora: list[Path] | None = None) -> Report:
    """Mutants of our own seeds; with corpora their files as they are, and mutants of pictures of up to 64 KiB."""
    own = seeds()
    tried(own[0])
    whole = [data for place in corpora or [] for data in of_corpus(place)]
    small = own + [data for data in whole if len(data) <= 1 << 16 and is_picture(data)]

    def made(number: int) -> bytes:
        return whole[number] if number < len(whole) else mutant(small, number, png)

    return run(len(whole) + count, made, tried, BOUNDS)
