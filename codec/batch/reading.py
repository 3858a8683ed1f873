"""Whatever a caller has of a picture -> `Picture`."""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caecodec.errors import InputImageError, Remedy
from caecodec.files.sources import Source, stream_of
from caecodec.format.container import MAGIC
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.pictures import pillow
from caecodec.pictures.picture import Picture, from_array


def read_picture(
    source: bytes | BinaryIO, limits: Limits = DEFAULT_LIMITS, *, keep_metadata: bool = True, lazily: bool = False
) -> Picture:
    """A file of a picture in any format but our own, as bytes or a stream that can seek.

    lazily: colour of a large one may stay in its file; what then fails does so where it is used.
    Raises InputImageError, LimitError.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    start = stream.read(len(MAGIC))
    stream.seek(0)
    if start == MAGIC:
        remedy = Remedy("`decode` gives its picture back", "`caecodec decode` gives its picture back")
        raise InputImageError("this is a .cae file already", remedy)
    return pillow.open_picture(stream, limits, keep_metadata=keep_metadata, lazily=lazily)


def picture_from(
    image: Image.Image | NDArray[np.uint8] | Source,
    limits: Limits = DEFAULT_LIMITS,
    *,
    keep_metadata: bool = True,
    lazily: bool = False,
) -> Picture:
    """A Pillow image, an array as of `from_array`, or a file. Raises as `read_picture`; OSError of a path."""
    if isinstance(image, Image.Image):
        return pillow.from_image(image, limits, keep_metadata=keep_metadata)
    if hasattr(image, "__array__") or hasattr(image, "__array_interface__"):
        return from_array(np.asarray(image), limits)
    try:
        stream = stream_of(image)
    except TypeError as exc:
        raise InputImageError(f"not a picture: {exc}") from exc
    with stream:
        return read_picture(stream, limits, keep_metadata=keep_metadata, lazily=lazily)
