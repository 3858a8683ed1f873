"""PPM and PGM, written row by row."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from caecodec.errors import UsageError
from caecodec.pictures.rows import Rows

_ROWS = 64  # at a time


def write(rows: Rows, stream: BinaryIO) -> None:
    """P6, or P5 for gray, of 8 or 16 bits; there is no place for metadata. Raises UsageError for alpha."""
    if rows.channels in (2, 4):
        raise UsageError(".ppm has no transparency and this picture does; choose .png or .tif")
    kind, most = "P5" if rows.channels == 1 else "P6", (1 << rows.depth) - 1
    stream.write(f"{kind}\n{rows.width} {rows.height}\n{most}\n".encode())
    for band in rows.bands:
        for start in range(0, len(band), _ROWS):
            part = np.ascontiguousarray(band[start : start + _ROWS], ">u2" if rows.depth == 16 else np.uint8)
            stream.write(part.data)
        del band, part
