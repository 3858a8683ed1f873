"""Shared fixtures: a picture file and its .cae file, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from support import photograph

import caecodec


@pytest.fixture(scope="session")
def small_cae() -> bytes:
    """A whole, small .cae file of 24x16 pixels with alpha and metadata-free."""
    image = Image.fromarray(photograph(16, 24))
    image.putalpha(128)
    return caecodec.encode(image, 30)


@pytest.fixture
def picture_file(tmp_path: Path) -> Path:
    """A PNG of 48x32 pixels, alone in its folder."""
    path = tmp_path / "img.png"
    Image.fromarray(photograph(32, 48)).save(path)
    return path


@pytest.fixture
def cae_file(tmp_path: Path, small_cae: bytes) -> Path:
    """A .cae file, alone in its folder."""
    path = tmp_path / "img.cae"
    path.write_bytes(small_cae)
    return path
