"""`caecodec view`: a page of one file."""

from __future__ import annotations

import base64
import io
import re
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import photograph, run, soft_alpha

import caecodec
from caecodec.bench.viewer import single

NAME = "a <photo> & more.cae"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.write_bytes(caecodec.encode(photograph(100, 150), 60, model="photo"))
    return path


def picture_of(page: bytes) -> Image.Image:
    found = re.search(rb'alt="[^"]*"', page)
    assert found
    data = re.search(rb'<img src="data:image/(?:webp|png);base64,([^"]*)" alt=', page)
    assert data
    return Image.open(io.BytesIO(base64.b64decode(data[1])))


def test_a_page_shows_exactly_the_pixels_and_the_facts(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert run("view", file, "-o", out).code == 0
    page = out.read_bytes()
    np.testing.assert_array_equal(np.asarray(picture_of(page)), np.asarray(caecodec.decode(file)))
    text = page.decode()
    assert "a &lt;photo&gt; &amp; more.cae" in text
    assert "<photo>" not in text
    for part in ("150 x 100 pixels, RGB", "60", "photo (", "latents", "cae-map-on"):
        assert part in text
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert run("view", file, "-o", out).code == 7  # it exists
    assert run("view", file, "-o", out, "-f").code == 0


@pytest.mark.parametrize("kind", ["gray", "alpha", "lossless", "tiny"])
def test_every_kind_of_file_has_a_page(kind: str) -> None:
    pixels = photograph(40, 50)
    image = {"gray": pixels[..., 0], "alpha": np.dstack((pixels, soft_alpha(40, 50)))}.get(kind, pixels)
    data = caecodec.encode(image, 60, model=kind if kind in ("lossless", "tiny") else "photo")
    shown = picture_of(single.page(data, "x.cae"))
    expected = caecodec.decode(data).convert(shown.mode)
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(expected))


def test_a_picture_is_turned_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[274] = 6
    image = Image.fromarray(photograph(40, 50))
    image.info["exif"] = exif.tobytes()
    data = caecodec.encode(image, 60)
    shown = picture_of(single.page(data, "x.cae"))
    np.testing.assert_array_equal(np.asarray(shown), np.rot90(np.asarray(caecodec.decode(data)), -1))


def test_a_picture_too_large_for_a_page_is_shown_smaller(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setattr(single, "PAGE_PIXELS", 1000)
    page = single.page(file.read_bytes(), "x.cae")
    assert picture_of(page).size == (38, 25)
    assert b"shown at 1/4" in page


def test_the_browser_is_opened_on_the_page_or_its_path_is_printed(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("BROWSER", "mine")
    done = run("view", file)
    assert (done.code, done.out) == (0, b"")
    assert opened[0].startswith("file:///")
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    done = run("view", file)
    assert len(opened) == 1
    assert Path(done.out.decode().strip()).read_bytes().startswith(b"<!doctype html>")


def test_a_damaged_file_has_no_page(file: Path, tmp_path: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])
    done = run("view", file, "-o", tmp_path / "page.html")
    assert done.code == 4
    assert not (tmp_path / "page.html").exists()


def test_in_a_browser_the_page_shows_the_picture_and_its_map(browser: Any, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    out.write_bytes(single.page(file.read_bytes(), NAME))
    for width, scheme in ((1280, "light"), (390, "dark")):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))  # noqa: B023
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)  # noqa: B023
        page.goto(out.as_uri())
        assert page.evaluate("document.querySelector('.cae-layer img').naturalWidth") == 150
        assert not page.is_visible(".cae-divider")
        assert not page.is_visible(".cae-left")
        page.check(".cae-map-on")
        assert page.is_visible(".cae-map")
        page.select_option(".cae-zoom", "2")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not problems
        context.close()
