"""`Picture` -> a Pillow image, or the bytes of a file in a format that holds it."""

from __future__ import annotations

import importlib
import io
import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import Image

from caecodec.errors import UsageError
from caecodec.pictures import metadata
from caecodec.pictures.metadata import EXIF_PREFIX
from caecodec.pictures.picture import Picture
from caecodec.pictures.rows import Rows, rows_of

WEBP_MAX_SIDE = 16383


def to_image(picture: Picture) -> Image.Image:
    """Picture -> Pillow image of mode L, LA, RGB or RGBA; metadata in `info` under Pillow's names."""
    colour, alpha = picture.pixels, picture.alpha
    if alpha is None:
        image = Image.fromarray(colour)
    else:
        planes = [colour, alpha] if picture.gray else [*np.moveaxis(colour, 2, 0), alpha]
        image = Image.merge(
            "LA" if picture.gray else "RGBA", [Image.fromarray(np.ascontiguousarray(p)) for p in planes]
        )
    if picture.exif:
        image.info["exif"] = EXIF_PREFIX + picture.exif
    if picture.icc:
        image.info["icc_profile"] = picture.icc
    if picture.xmp:
        image.info["xmp"] = picture.xmp
    return image


# PNG at level 1: of decoded photographs files are smaller than at Pillow's 6 and made in a third of the time
SAVE_OPTIONS: dict[str, dict[str, object]] = {
    ".png": {"format": "PNG", "compress_level": 1},
    ".webp": {"format": "WEBP", "lossless": True, "exact": True},  # exact: colour below transparency too
    ".tif": {"format": "TIFF"},  # written here
    ".tiff": {"format": "TIFF"},
    ".bmp": {"format": "BMP"},
    ".ppm": {"format": "PPM"},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}
TIFF = (".tif", ".tiff")
NO_METADATA = (".bmp", ".ppm")
NO_ALPHA = (".jpg", ".jpeg", ".bmp", ".ppm")


# what is written row by row, whatever the size, and in 16 bits
ROWS_WRITERS = {".png": "png", ".ppm": "ppm", ".tif": "tiff", ".tiff": "tiff"}


def check_depth(suffix: str, depth: int) -> None:
    """Raise UsageError for a suffix whose format does not hold so many bits."""
    if depth > 8 and suffix.lower() not in ROWS_WRITERS:
        raise UsageError(f"{suffix} is not written with {depth} bits; choose one of {', '.join(ROWS_WRITERS)}")


def rows_writer(suffix: str) -> Callable[[Rows, BinaryIO], None] | None:
    """What writes rows as they come into a file that can seek, where a format has it; it raises UsageError."""
    name = ROWS_WRITERS.get(suffix.lower())
    if name is None:
        return None
    writer: Callable[[Rows, BinaryIO], None] = importlib.import_module(f"caecodec.pictures.{name}").write
    return writer


def check_suffix(suffix: str) -> None:
    """Raise UsageError for a suffix whose format `saved` does not write."""
    if suffix.lower() not in SAVE_OPTIONS:
        raise UsageError(f"cannot write {suffix or 'a file without a suffix'}; choose one of {', '.join(SAVE_OPTIONS)}")


def saved(picture: Picture, suffix: str) -> bytes:
    """The bytes of a file in the format of `suffix`, lossless but for JPEG. Raises UsageError."""
    check_suffix(suffix)
    suffix = suffix.lower()
    if picture.alpha is not None and suffix in NO_ALPHA:
        raise UsageError(f"{suffix} has no transparency and this picture does; choose .png or .webp")
    if suffix == ".webp" and max(picture.width, picture.height) > WEBP_MAX_SIDE:
        raise UsageError(f"WebP holds at most {WEBP_MAX_SIDE} pixels a side; choose .png")
    if suffix in TIFF:
        from caecodec.pictures import tiff

        whole = io.BytesIO()
        tiff.write(rows_of(picture), whole)
        return whole.getvalue()
    image = to_image(picture)
    if suffix == ".webp" and image.mode == "L":
        image = image.convert("RGB")
    beside: dict[str, object] = {k: image.info[k] for k in ("exif", "icc_profile", "xmp") if k in image.info}
    if suffix == ".png" and "xmp" in beside:
        beside["pnginfo"] = _png_xmp(picture.xmp)
        del beside["xmp"]
    elif suffix in NO_METADATA:
        beside = {}
    stream = io.BytesIO()
    try:
        image.save(stream, **SAVE_OPTIONS[suffix], **beside)  # type: ignore[arg-type]
    # a side or metadata over what the format holds
    except (OSError, ValueError, SyntaxError, TypeError, struct.error) as exc:
        raise UsageError(f"{suffix} cannot hold this picture or its metadata ({exc}); choose .png") from exc
    return stream.getvalue()


def dropped(picture: Picture | Rows, suffix: str) -> tuple[str, ...]:
    """What the format of `suffix` does not keep of a picture, in words for the user."""
    suffix = suffix.lower()
    if suffix in NO_METADATA:
        names = [name.upper() for name in ("exif", "icc", "xmp") if getattr(picture, name)]
        return (f"{suffix} holds no {', '.join(names)}",) if names else ()
    if suffix not in TIFF or not picture.exif:
        return ()
    return tuple(f"{suffix} cannot hold {what}" for what in metadata.tags_of(picture.exif)[1])


def _png_xmp(xmp: bytes) -> object:
    """As it stands, also where it is no UTF-8."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    return info
