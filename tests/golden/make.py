"""Add golden files for the current format version and default model; existing ones are never replaced."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import caecodec

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from support import photograph, soft_alpha  # noqa: E402


def pictures() -> dict[str, tuple[Image.Image, int]]:
    """Name -> picture and quality: each room of the format at least once."""
    colour = Image.fromarray(photograph(40, 56))
    with_alpha = Image.fromarray(photograph(16, 24, seed=1))
    with_alpha.putalpha(Image.fromarray(soft_alpha(16, 24)))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a tag, never applied
    tagged = Image.fromarray(photograph(20, 30, seed=2))
    tagged.info["exif"] = exif.tobytes()
    tagged.info["xmp"] = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    return {
        "small": (Image.fromarray(photograph(8, 9, seed=3)), 20),
        "one-pixel": (Image.fromarray(np.full((1, 1, 3), (200, 30, 90), np.uint8)), 50),
        "colour": (colour, 60),
        "gray": (colour.convert("L"), 35),
        "alpha": (with_alpha, 80),
        "metadata": (tagged, 1),
        "two-tiles": (Image.fromarray(photograph(24, 1048, seed=4)), 100),
    }


if __name__ == "__main__":
    folder = HERE / f"v{1}"
    for name, (image, quality) in pictures().items():
        path = folder / f"{name}.cae"
        if path.exists():
            print(f"{path.name} is there already; golden files are never replaced")
            continue
        data = caecodec.encode(image, quality, precision="float32")
        path.write_bytes(data)
        caecodec.decode(data, precision="float32").save(path.with_suffix(".png"))
