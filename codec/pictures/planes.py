"""Pixels kept exactly: colour of a lossless file, and alpha. WebP or PNG, whichever is smaller."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caecodec.errors import CorruptFileError, InputImageError
from caecodec.pictures import nested
from caecodec.pictures.pillow import decoding, open_as
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
    """The inverse; raises CorruptFileError, naming `what`, for all that FORMAT.md does not allow there; LimitError."""
    name = nested.check(data, width, height, gray, what)
    try:
        with decoding(), open_as(name, io.BytesIO(data)) as image:
            image.load()
            samples = np.array(image)
    except InputImageError as exc:
        raise CorruptFileError(f"{what}: {exc}") from exc
    shape = (height, width, 3) if name == "WEBP" else (height, width)
    if samples.shape != shape:
        raise CorruptFileError(f"{what} is not one 8-bit {'gray' if gray else 'colour'} picture")
    if not gray or name == "PNG":
        return samples
    if not all(np.array_equal(samples[..., 0], samples[..., other]) for other in (1, 2)):
        raise CorruptFileError(f"{what} is coloured where it must be gray")
    return np.ascontiguousarray(samples[..., 0])
