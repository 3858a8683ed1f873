"""Shared fixtures: a picture file and its .cae file, made once; and one thread for each of several test processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:
    # One process a core (pytest -n): more threads in each would only wait for one another. The libraries read this
    # when they are loaded, so it stands before the imports below, and holds in what a test starts too.
    for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VIPS_CONCURRENCY"):
        os.environ.setdefault(_variable, "1")

import pytest
from PIL import Image
from support import photograph

import caecodec


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that no process is left alone with one while the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window, by Playwright: one for all tests of a process, which can have no second."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium or Chrome is installed")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()
