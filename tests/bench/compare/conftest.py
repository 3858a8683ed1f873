from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """48x32 pixels, and the same with one channel of one pixel in 16 four brighter: an MSE of 1/3."""
    pixels = np.full((32, 48, 3), 100, np.uint8)
    original, other = tmp_path / "original.png", tmp_path / "other.png"
    Image.fromarray(pixels).save(original)
    pixels[::4, ::4, 1] += 4
    Image.fromarray(pixels).save(other)
    return original, other
