"""Measure a picture against JPEG, at equal quality and at equal bytes: python examples/against_jpeg.py img.png

Quality is SSIMULACRA2: 90 cannot be told from the original, 70 is good, 50 fair.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import caecodec
from caecodec.pictures.ssimulacra2 import score

Pixels = NDArray[np.uint8]


def jpeg(image: Image.Image, quality: int) -> bytes:
    """An optimised, progressive JPEG at Pillow's quality 1..95."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, optimize=True, progressive=True)
    return stream.getvalue()


def pixels(data: bytes) -> Pixels:
    """A JPEG file -> (H, W, 3)."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def lowest(holds: Callable[[int], bool]) -> int:
    """The lowest JPEG quality in 1..95 for which something holds that holds for all above it; 96 where none does."""
    low, high = 1, 96
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def main(path: Path, quality: int = 60) -> None:
    """Two lines: the smallest JPEG that looks as good, and the best JPEG that is no larger."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    original = np.asarray(image)
    data = caecodec.encode(image, quality)
    ours = score(original, np.asarray(caecodec.decode(data)))
    print(f"caecodec, quality {quality}: {len(data)} bytes, SSIMULACRA2 {ours:.1f}")

    as_good = lowest(lambda q: score(original, pixels(jpeg(image, q))) >= ours)
    if as_good > 95:
        print("no JPEG looks as good")
    else:
        size_bytes = len(jpeg(image, as_good))
        print(f"JPEG that looks as good: quality {as_good}, {size_bytes} bytes ({size_bytes / len(data):.2f} times)")

    as_small = lowest(lambda q: len(jpeg(image, q)) > len(data)) - 1
    if as_small < 1:
        print(f"no JPEG is so small: the smallest takes {len(jpeg(image, 1))} bytes")
    else:
        theirs = jpeg(image, as_small)
        shown = score(original, pixels(theirs))
        print(f"JPEG of no more bytes: quality {as_small}, {len(theirs)} bytes, SSIMULACRA2 {shown:.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
