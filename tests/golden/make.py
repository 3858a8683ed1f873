"""Add golden files for the current format version and the models that ship; existing ones are never replaced."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import caecodec

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from support import photograph, soft_alpha  # noqa: E402


def pictures() -> dict[str, tuple[Image.Image, int, str]]:
    """Name -> picture, quality and model: each room of the format at least once."""
    colour = Image.fromarray(photograph(40, 56))
    with_alpha = Image.fromarray(photograph(16, 24, seed=1))
    with_alpha.putalpha(Image.fromarray(soft_alpha(16, 24)))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a tag, never applied
    tagged = Image.fromarray(photograph(20, 30, seed=2))
    tagged.info["exif"] = exif.tobytes()
    tagged.info["xmp"] = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    tile = Image.fromarray(photograph(32, 32, seed=5))
    stroke = Image.fromarray(photograph(28, 28, seed=6)).convert("L")
    return {
        "small": (Image.fromarray(photograph(8, 9, seed=3)), 20, "photo"),
        "one-pixel": (Image.fromarray(np.full((1, 1, 3), (200, 30, 90), np.uint8)), 50, "photo"),
        "colour": (colour, 60, "photo"),
        "gray": (colour.convert("L"), 35, "photo"),
        "alpha": (with_alpha, 80, "photo"),
        "metadata": (tagged, 1, "photo"),
        "two-tiles": (Image.fromarray(photograph(24, 1048, seed=4)), 100, "photo"),
        "lossless": (
            Image.fromarray(np.tile(np.arange(9, dtype=np.uint8)[:, None, None] * 20, (4, 50, 3))),
            100,
            "lossless",
        ),
        "lossless-stored": (Image.fromarray(photograph(7, 1030, seed=7)).convert("L"), 100, "lossless"),
        "tiny": (tile, 40, "tiny"),
        "tiny-gray-odd": (stroke.crop((0, 0, 17, 28)), 90, "tiny"),
        "cifar10": (tile, 50, "cifar10"),
        "cifar100": (tile, 50, "cifar100"),
        "cifar10-dense": (tile, 100, "cifar10-dense"),
        "fashion-mnist": (stroke, 50, "fashion-mnist"),
        "mnist": (stroke, 50, "mnist"),
        "mnist-fixed": (stroke, 1, "mnist-fixed"),
    }


if __name__ == "__main__":
    folder = HERE / f"v{1}"
    for name, (image, quality, model) in pictures().items():
        path = folder / f"{name}.cae"
        if path.exists():
            print(f"{path.name} is there already; golden files are never replaced")
            continue
        data = caecodec.encode(image, quality, model=model, precision="float32")
        path.write_bytes(data)
        caecodec.decode(data, precision="float32").save(path.with_suffix(".png"))
