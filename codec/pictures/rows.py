"""A picture that comes in rows: what a decoder gives when nobody should hold all of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from caecodec.pictures.picture import Picture
from caecodec.pictures.view import Samples


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """`bands`: (h, width[, channels]) from top to bottom, taken once; of 1 to 4 channels, where even numbers have alpha
    last. uint8 or, with a depth of 16, uint16. The rest is as of `Picture`.
    """

    width: int
    height: int
    channels: int
    depth: int
    bands: Iterator[Samples]
    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""

    def array(self) -> Samples:
        """All of it: (H, W) of one channel, else (H, W, C)."""
        shape = (self.height, self.width) if self.channels == 1 else (self.height, self.width, self.channels)
        whole: Samples = np.empty(shape, np.uint8 if self.depth == 8 else np.uint16)
        at = 0
        for band in self.bands:
            whole[at : at + len(band)] = band
            at += len(band)
        return whole

    def picture(self) -> Picture:
        """All of it, where its depth is 8."""
        array, metadata = self.array(), {"exif": self.exif, "icc": self.icc, "xmp": self.xmp}
        if self.channels in (1, 3):
            return Picture(array, None, **metadata)  # type: ignore[arg-type]
        colour = array[..., 0] if self.channels == 2 else array[..., :3]
        return Picture(colour, np.ascontiguousarray(array[..., -1]), **metadata)  # type: ignore[arg-type]


def joined(bands: Iterator[Samples], alpha: Samples | None) -> Iterator[Samples]:
    """Bands of colour with the rows of alpha (H, W) beside them."""
    at = 0
    for band in bands:
        if alpha is None:
            yield band
        else:
            at += len(band)
            colour = band if band.ndim == 3 else band[..., None]
            yield np.concatenate((colour, alpha[at - len(band) : at, :, None]), axis=2)
            del colour
        del band  # a band is held by nobody while the next one is made


def rows_of(picture: Picture) -> Rows:
    """A picture as one band."""
    channels = (1 if picture.gray else 3) + (picture.alpha is not None)
    bands = joined(iter((picture.pixels,)), picture.alpha)
    beside = {"exif": picture.exif, "icc": picture.icc, "xmp": picture.xmp}
    return Rows(picture.width, picture.height, channels, 8, bands, **beside)
