"""Train an autoencoder on small pictures and measure it: python examples/small_autoencoder.py pictures/ out/ [minutes]

On pictures scaled to 32x32, every tenth kept for the table: first as drawn, then as a codec that pays for its bits.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import caecodec
from caecodec.models.export.model_file import export
from caecodec.models.training.run import run_recipe


def read(folder: Path) -> NDArray[np.uint8]:
    """All PNG pictures below a folder, (P, 32, 32, 3)."""
    return np.stack([np.asarray(Image.open(f).convert("RGB").resize((32, 32))) for f in sorted(folder.rglob("*.png"))])


def jpeg(picture: NDArray[np.uint8], quality: int) -> bytes:
    """A JPEG file."""
    Image.fromarray(picture).save(stream := io.BytesIO(), "JPEG", quality=quality, optimize=True)
    return stream.getvalue()


def row(name: str, pictures: NDArray[np.uint8], files: list[bytes], opened: Any) -> None:
    """Print mean bytes and PSNR of files; `opened` makes a picture of one that is open."""
    back = [np.asarray(opened(io.BytesIO(file)), np.float64) for file in files]
    mse = np.square(pictures - np.stack(back)).mean((1, 2, 3))
    size, psnr = np.mean([len(file) for file in files]), np.mean(10 * np.log10(255**2 / np.maximum(mse, 1e-3)))
    print(f"{name:>14} {size:8.1f} bytes {psnr:6.2f} dB")


def main(folder: Path, out: Path, minutes: float = 10) -> None:
    """Train for so many minutes, then the table: the codec at five qualities, and JPEG at five."""
    pictures = read(folder)
    test = np.arange(len(pictures)) % 10 == 0
    out.mkdir(parents=True, exist_ok=True)
    np.savez(data := out / "pictures.npz", x_train=pictures[~test], x_test=pictures[test])
    run_recipe("cifar10-dense", out / "drawn", [str(data)], minutes=minutes / 2, drawn=True)
    run_recipe("cifar10-dense", out / "codec", [str(data)], minutes=minutes / 2, start=out / "drawn" / "weights.pt")
    export(out / "codec" / "weights.pt", out, "mine", overwrite=True)
    os.environ["CAECODEC_MODEL_PATH"] = str(out)
    for quality in (1, 25, 50, 75, 100):
        files = [caecodec.encode(picture, quality, model="mine") for picture in pictures[test]]
        row(f"quality {quality}", pictures[test], files, caecodec.decode)
    for quality in (1, 10, 25, 50, 75):
        row(f"JPEG {quality}", pictures[test], [jpeg(picture, quality) for picture in pictures[test]], Image.open)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:]))
