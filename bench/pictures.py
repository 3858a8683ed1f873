"""Pictures to measure on: found in folders, read as stored, known by a hash of their pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caecodec.errors import InputImageError, UsageError

Pixels = NDArray[np.uint8]  # (H, W, 3) RGB

SUFFIXES = frozenset((".bmp", ".png", ".ppm", ".tif", ".tiff"))  # in folders; others must be named


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to measure on: its name in the results, where it is, its size, and a hash of its pixels.

    crop: side in pixels of the square in its middle that is measured; None is all of it.
    """

    name: str
    path: Path
    width: int
    height: int
    sha256: str
    crop: int | None = None


def load_pixels(path: Path, crop: int | None = None) -> Pixels:
    """A picture file -> (H, W, 3) RGB, as stored: no rotation, no colour management. Raises InputImageError.

    crop: only the square of that side in its middle.
    """
    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise InputImageError(f"{path}: {exc}") from exc
    if crop is None:
        return pixels
    top, left = ((side - crop) // 2 for side in pixels.shape[:2])
    if min(top, left) < 0:
        raise InputImageError(f"{path}: smaller than the {crop}x{crop} pixels to cut out of it")
    return pixels[top : top + crop, left : left + crop].copy()


def find_pictures(paths: Iterable[Path], crop: int | None = None) -> list[Picture]:
    """Files, and the lossless pictures in folders, by their stems. Raises InputImageError, UsageError."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        else:
            files.append(path)
    found: dict[str, Picture] = {}
    for path in files:
        if path.stem in found:
            raise UsageError(f"{found[path.stem].path} and {path} would both be called {path.stem} in the results")
        pixels = load_pixels(path, crop)
        height, width, _ = pixels.shape
        found[path.stem] = Picture(path.stem, path, width, height, digest(pixels), crop)
    if not found:
        raise UsageError("no pictures there")
    return list(found.values())


def digest(pixels: Pixels) -> str:
    """Start of the SHA-256 of a picture's size and pixels: what results files know it by."""
    height, width, _ = pixels.shape
    return hashlib.sha256(f"{width}x{height}".encode() + pixels.tobytes()).hexdigest()[:16]
