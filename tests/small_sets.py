"""Sets of tiny pictures, made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def folders(root: Path, classes: tuple[str, ...] = ("cat", "dog"), shape: tuple[int, ...] = (6, 5, 3)) -> Path:
    """Three pictures of a class for training, named 1, 2 and 10, and one for the test; all of one class are flat."""
    for split, files in (("train", ("10", "1", "2")), ("test", ("1",))):
        for label, name in enumerate(classes):
            for file in files:
                save(root / split / name / f"{file}.png", np.full(shape, 10 * label + int(file), np.uint8))
    return root
