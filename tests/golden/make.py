"""Add golden files for the current format version and the models that ship; existing ones are not replaced.

python tests/golden/make.py          # what is missing
python tests/golden/make.py --anew   # everything: before 1.0 only, where a model was replaced
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import caecodec
from caecodec.batch.reading import picture_from
from caecodec.codecs.opening import open_codec
from caecodec.engines.native import library
from caecodec.format import container
from caecodec.limits import DEFAULT_LIMITS
from caecodec.search.choice import encode, lossy
from caecodec.search.effort import Effort
from caecodec.tune import quality_of, tune_of

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from support import photograph, soft_alpha  # noqa: E402

FOLDER = HERE / f"v{container.VERSION}"
HASHES = FOLDER / "pixels.sha256"
EXACT = ("photo", "tiny", "lossless")  # models whose pixels are the same everywhere


def pictures() -> dict[str, tuple[Image.Image, int, str]]:
    """Name -> picture, quality and model: each room of the format. A quality above 100 is one for PSNR."""
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
        "for-psnr": (Image.fromarray(photograph(24, 40, seed=8)), 150, "photo"),
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


def engine_of(model: str) -> str:
    """An exact one; of an autoencoder numpy's, which needs nothing else and computes in float32."""
    return "native" if model in EXACT and library.available() else "numpy"


def encoded(image: Image.Image, quality: int, model: str, engine: str) -> bytes:
    """By the model that is named, also where the picture as it is would be smaller."""
    codec, picture = open_codec(model, engine=engine), picture_from(image, DEFAULT_LIMITS)
    if model == "lossless":
        return encode(codec, picture, quality)
    return lossy(codec, picture, quality_of(quality), effort=Effort(tune=tune_of(quality)))


def hashed(image: Image.Image) -> str:
    """SHA-256 of the samples in raster order, channels innermost, alpha last."""
    return hashlib.sha256(np.asarray(image).tobytes()).hexdigest()


def main(arguments: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*") if "--anew" in arguments else ():
        old.unlink()
    lines = HASHES.read_text().splitlines() if HASHES.exists() else []
    for name, (image, quality, model) in pictures().items():
        path, engine = FOLDER / f"{name}.cae", engine_of(model)
        if path.exists():
            print(f"{path.name} is there already; golden files are never replaced")
            continue
        path.write_bytes(encoded(image, quality, model, engine))
        decoded = caecodec.decode(path, engine=engine)
        decoded.save(path.with_suffix(".png"))
        if model in EXACT:
            lines.append(f"{hashed(decoded)}  {name}")
    HASHES.write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main(sys.argv[1:])
