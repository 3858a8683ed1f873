"""A small picture of a picture."""

from __future__ import annotations

import contextlib
import io

import numpy as np
from PIL import Image, ImageOps

from caecodec.pictures.picture import Picture
from caecodec.pictures.saving import to_image

_AT_ONCE = 1 << 22  # pixels


def shrunk(picture: Picture, side: int) -> Picture:
    """Means of squares, of at most `side` pixels a side; colour alone."""
    divisor = -(-max(picture.width, picture.height) // side)
    across, at_once = -(-picture.width // divisor), max(1, _AT_ONCE // divisor**2)  # pixels of the small one
    wide, high = min(across, at_once) * divisor, max(1, at_once // across) * divisor
    rows = []
    for top in range(0, picture.height, high):
        parts = (picture.colour[top : top + high, left : left + wide] for left in range(0, picture.width, wide))
        small = [np.asarray(Image.fromarray(np.ascontiguousarray(part)).reduce(divisor)) for part in parts]
        rows.append(np.concatenate(small, axis=1))
    return Picture(np.concatenate(rows))


def png(picture: Picture, side: int) -> bytes:
    """A PNG of at most `side` pixels a side, turned as its EXIF says, with its profile; never larger than it was."""
    image = to_image(picture)
    with contextlib.suppress(Exception):  # EXIF may be anything, and Pillow raises nearly anything
        image = ImageOps.exif_transpose(image)
    icc = image.info.get("icc_profile")
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "PNG", **({"icc_profile": icc} if icc else {}))
    return stream.getvalue()
