"""A small picture of a picture."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from caecodec.pictures.picture import Picture
from caecodec.pictures.saving import to_image


def png(picture: Picture, side: int) -> bytes:
    """A PNG of at most `side` pixels a side, turned as its EXIF says, with its profile; never larger than it was."""
    image = ImageOps.exif_transpose(to_image(picture))
    icc = image.info.get("icc_profile")
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "PNG", **({"icc_profile": icc} if icc else {}))
    return stream.getvalue()
