"""Pixels kept exactly: colour of a lossless file, and alpha. WebP or PNG, whichever is smaller."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caecodec.errors import CorruptFileError, InputImageError
from caecodec.pictures.pillow import decoding, own_limits
from caecodec.pictures.saving import WEBP_MAX_SIDE


def compress(samples: NDArray[np.uint8]) -> bytes:
    """(H, W) -> the smaller of lossless WebP and PNG; (H, W, 3) -> lossless WebP. Colour: sides up to 16383."""
    image = Image.fromarray(np.ascontiguousarray(samples))
    files = []
    if image.mode == "L":
        png = io.BytesIO()
        image.save(png, "PNG", optimize=True)
        files.append(png.getvalue())
    if max(image.size) <= WEBP_MAX_SIDE:
        webp = io.BytesIO()
        image.convert("RGB").save(webp, "WEBP", lossless=True, method=4)
        files.append(webp.getvalue())
    return min(files, key=len)


def decompress(data: bytes, width: int, height: int, gray: bool, what: str) -> NDArray[np.uint8]:
    """The inverse; raises CorruptFileError, naming `what`, unless it is WebP or PNG of exactly this size and kind."""
    modes = {"PNG": "L", "WEBP": "RGB"} if gray else {"WEBP": "RGB"}
    try:
        with decoding(), own_limits(), Image.open(io.BytesIO(data), formats=tuple(modes)) as image:
            if getattr(image, "n_frames", 1) != 1 or image.mode != modes[str(image.format)]:
                raise CorruptFileError(f"{what} is not one 8-bit {'gray' if gray else 'colour'} picture")
            if image.size != (width, height):
                raise CorruptFileError(f"{what} is {image.width}x{image.height}, not {width}x{height}")
            return np.array(image.convert("L") if gray else image)
    except InputImageError as exc:
        raise CorruptFileError(f"{what}: {exc}") from exc
