"""A small picture of a picture."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

from caecodec.pictures.picture import Picture
from caecodec.pictures.saving import to_image

_AT_ONCE = 1 << 22  # pixels


def shrunk(picture: Picture, side: int) -> Picture:
    """Means of squares, of at most `side` pixels a side; colour alone."""
    divisor = -(-max(picture.width, picture.height) // side)
    rows = max(1, _AT_ONCE // (picture.width * divisor)) * divisor
    bands = [
        np.asarray(Image.fromarray(np.ascontiguousarray(picture.colour[top : top + rows])).reduce(divisor))
        for top in range(0, picture.height, rows)
    ]
    return Picture(np.concatenate(bands))


def png(picture: Picture, side: int) -> bytes:
    """A PNG of at most `side` pixels a side, turned as its EXIF says, with its profile; never larger than it was."""
    image = ImageOps.exif_transpose(to_image(picture))
    icc = image.info.get("icc_profile")
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "PNG", **({"icc_profile": icc} if icc else {}))
    return stream.getvalue()
