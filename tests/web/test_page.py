"""The page, the element and the service worker in Chromium."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import photograph

import caecodec

PATIENCE = 60_000  # milliseconds: machines that test do other things beside


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "photo.png"
    Image.fromarray(photograph(200, 300)).save(path)
    return path


@pytest.fixture(scope="module")
def cae(picture: Path) -> Path:
    path = picture.with_suffix(".cae")
    path.write_bytes(caecodec.encode(picture, 60))
    return path


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that fails the test on any error it reports; `asked` are the addresses it asked for."""
    opened = browser.new_page(viewport={"width": 390, "height": 800})
    errors: list[str] = []
    opened.asked = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda request: opened.asked.append(request.url))
    yield opened
    opened.close()
    assert errors == []


def show(page: Any, address: str, file: Path, says: str) -> None:
    page.goto(address)
    page.set_input_files("#choose", file)
    page.wait_for_selector(f"#status:has-text('{says}')", timeout=PATIENCE)


def addresses(site: Path, server: str) -> list[str]:
    return [(site / "dist" / "caecodec.html").as_uri(), f"{server}/index.html"]


@pytest.mark.long
def test_a_file_is_shown_with_its_facts_and_its_bits(page: Any, site: Path, server: str, cae: Path) -> None:
    for address in addresses(site, server):
        show(page, address, cae, " ms")
        page.wait_for_selector("#map canvas", timeout=PATIENCE)
        assert "300\u00d7200" in page.inner_text("#facts")
        assert f"{cae.stat().st_size:,} bytes" in page.inner_text("#facts")
        page.focus("#map")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        assert re.fullmatch(r"[\d.]+ bits in the block at x 16, y 16", page.inner_text("#reading"))
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.long
def test_a_file_is_made_of_a_picture_with_the_keyboard_alone(
    page: Any, site: Path, picture: Path, tmp_path: Path
) -> None:
    show(page, (site / "dist" / "caecodec.html").as_uri(), picture, "coded in")
    rows = page.locator("#sizes tr")
    assert [rows.nth(i).locator("th").inner_text() for i in range(4)] == [
        "caecodec",
        "JPEG",
        "WebP",
        "original: photo.png",
    ]
    page.focus("#quality")
    page.keyboard.press("Home")
    page.wait_for_selector("#sizes tr.ours:has-text('quality 1')", timeout=PATIENCE)
    page.focus("#save-cae")
    with page.expect_download() as saving:
        page.keyboard.press("Enter")
    made = tmp_path / saving.value.suggested_filename
    saving.value.save_as(made)
    assert made.name == "photo.cae"
    assert made.read_bytes() == caecodec.encode(picture, 1)


def test_the_single_page_asks_nobody_for_anything(page: Any, site: Path, cae: Path) -> None:
    show(page, (site / "dist" / "caecodec.html").as_uri(), cae, " ms")
    assert {address.split(":")[0] for address in page.asked} <= {"file", "blob", "data"}
    assert sum(address.startswith("file:") for address in page.asked) == 1
    policy = page.get_attribute("meta[http-equiv]", "content")
    assert "default-src 'none'" in policy and "connect-src 'none'" in policy


def test_what_is_no_picture_is_said_to_be_none(page: Any, site: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.cae"
    bad.write_bytes(b"\xca\xec\x0d\x02" + bytes(30))
    show(page, (site / "dist" / "caecodec.html").as_uri(), bad, "checksum does not match")
    other = tmp_path / "notes.txt"
    other.write_text("no picture")
    page.set_input_files("#choose", other)
    page.wait_for_selector("#status:has-text('neither a .cae file nor a picture')", timeout=PATIENCE)
    assert not page.is_visible("#look") and not page.is_visible("#facts-of")


HASH_OF_IMAGE = """async (image) => {
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}"""


def hash_of(cae: Path) -> str:
    return hashlib.sha256(caecodec.decode(cae.read_bytes()).convert("RGBA").tobytes()).hexdigest()


def test_the_element_shows_the_command_s_pixels(page: Any, site: Path, server: str, cae: Path) -> None:
    (site / "element.html").write_text(
        '<link rel="icon" href="data:,"><script type="module" src="cae-img.js"></script>'
    )
    (site / "element.cae").write_bytes(cae.read_bytes())
    page.goto(f"{server}/element.html")
    shown = """async () => {
        await customElements.whenDefined("cae-img");
        const element = Object.assign(document.createElement("cae-img"), { src: "element.cae" });
        element.setAttribute("alt", "a photograph");
        const loaded = new Promise((resolve, reject) => {
            element.addEventListener("load", resolve);
            element.addEventListener("error", ({ detail }) => reject(new Error(detail)));
        });
        document.body.append(element);
        await loaded;
        return element.shadowRoot.querySelector("img").alt;
    }"""
    assert page.evaluate(shown) == "a photograph"
    image = page.evaluate_handle('document.querySelector("cae-img").shadowRoot.querySelector("img")')
    assert page.evaluate(HASH_OF_IMAGE, image) == hash_of(cae)


def test_the_service_worker_makes_img_work(page: Any, site: Path, server: str, cae: Path) -> None:
    (site / "dist" / "plain.html").write_text('<link rel="icon" href="data:,"><p>plain</p>')
    (site / "dist" / "plain.cae").write_bytes(cae.read_bytes())
    page.goto(f"{server}/dist/plain.html")
    registered = """async () => {
        await navigator.serviceWorker.register("service-worker.js");
        await navigator.serviceWorker.ready;
        if (!navigator.serviceWorker.controller) {
            await new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve));
        }
        const image = new Image();
        image.id = "shown";
        image.src = "plain.cae";
        document.body.append(image);
        await image.decode();
    }"""
    page.evaluate(registered)
    image = page.evaluate_handle('document.getElementById("shown")')
    assert page.evaluate(HASH_OF_IMAGE, image) == hash_of(cae)
