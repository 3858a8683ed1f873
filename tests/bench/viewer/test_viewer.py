from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import encoded, photograph

import caecodec
from caecodec.bench.compare.compare import compare_files, read_file
from caecodec.bench.compare.page import compare_page
from caecodec.bench.viewer import viewer
from caecodec.bench.viewer.viewer import Shown

CELLS = np.arange(12.0).reshape(3, 4)  # of 64x48 pixels


def shown(label: str, seed: int = 0, bits: Any = None, detail: str = "") -> Shown:
    return Shown(label, detail or f"detail of {label}", *viewer.lossless(photograph(48, 64, seed)), bits)


def three() -> list[Shown]:
    return [shown("original", 0), shown("first", 1, CELLS), shown("second", 2)]


def page(*fragments: str) -> str:
    return (
        f"<!doctype html><meta charset=utf-8><title>t</title><style>{viewer.css()}</style>"
        f"{''.join(fragments)}<script>{viewer.js()}</script>"
    )


def test_embedded_pictures_are_lossless() -> None:
    pixels = photograph(31, 17)
    data, mime = viewer.lossless(pixels)
    assert mime == "image/webp"
    assert (np.asarray(Image.open(io.BytesIO(data))) == pixels).all()


def test_a_side_that_webp_cannot_hold_is_a_png() -> None:
    pixels = np.zeros((1, 16384, 3), np.uint8)
    data, mime = viewer.lossless(pixels)
    assert mime == "image/png"
    assert Image.open(io.BytesIO(data)).format == "PNG"


def test_every_text_is_escaped() -> None:
    evil = "\"><script>alert(1)</script>&'"
    html = viewer.fragment(evil, [shown(evil, 0, None, evil), shown(evil, 1, CELLS, evil)])
    assert "<script" not in html
    assert "alert(1)" in html
    assert not re.search(r"&(?!\w+;|#)", html)


def test_a_fragment_loads_nothing() -> None:
    html = page(viewer.fragment("title", three()))
    pictures = r'src="data:image/(webp|png);base64,[A-Za-z0-9+/=]+"'
    assert len(re.findall(pictures, html)) == 4
    assert not re.search(r"src=|href=|https?:|//[a-z]|@import|url\(|fetch\(", re.sub(pictures, "", html))


def test_maps_share_one_scale_and_a_page_without_maps_has_no_switch() -> None:
    html = viewer.fragment("t", [shown("a", 0, CELLS), shown("b", 1, 10 * CELLS)])
    maps = re.findall(r'class="cae-map" src="data:image/png;base64,([^"]*)"', html)
    low, high = (np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in maps)
    assert low.shape == high.shape == (3, 4, 3)
    assert tuple(low[0, 0]) == tuple(high[0, 0]) == (0, 0, 4)
    assert tuple(high[2, 3]) == (252, 255, 164)
    assert int(low[2, 3].sum()) < 200
    assert "cae-map-on" in html
    assert "cae-map-on" not in viewer.fragment("t", [shown("a"), shown("b")])


def test_pictures_that_do_not_belong_together_are_refused() -> None:
    other = Shown("small", "", *viewer.lossless(photograph(16, 16)))
    with pytest.raises(ValueError, match="needs a picture"):
        viewer.fragment("t", [])
    with pytest.raises(ValueError, match="one size"):
        viewer.fragment("t", [shown("a"), other])
    with pytest.raises(ValueError, match="3 rows and 4 columns"):
        viewer.fragment("t", [shown("a"), shown("b", 1, CELLS.T)])


# -- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """A page with two viewers, from disk without a network; at the end it must have had no complaint."""
    file = tmp_path / "page.html"
    file.write_text(page(viewer.fragment("one", three()), viewer.fragment("two", three()[::-1])), "utf-8")
    context = browser.new_context(viewport={"width": 800, "height": 900}, offline=True)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(file.as_uri())
    yield tab
    context.close()
    assert complaints == []


def first(tab: Any, selector: str) -> Any:
    return tab.locator(selector).first


def colour_at(tab: Any, share_x: float, share_y: float = 0.3) -> Any:
    """What is seen of the first viewer at this share of its width and height: (R, G, B)."""
    tab.wait_for_function("[...document.images].every(i => i.hidden || i.complete)")
    image = Image.open(io.BytesIO(first(tab, ".cae-stage").screenshot())).convert("RGB")
    return np.array(image.getpixel((int(share_x * (image.width - 1)), int(share_y * (image.height - 1)))))


def flat(tmp_path: Path, tab: Any) -> None:
    """Open another page: red on the left, green on the right, and a blue one; the green one has a map."""
    colours = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
    pictures = [
        Shown(name, f"all {name}", *viewer.lossless(np.full((48, 64, 3), rgb, np.uint8)), CELLS if i == 1 else None)
        for i, (name, rgb) in enumerate(colours.items())
    ]
    file = tmp_path / "flat.html"
    file.write_text(page(viewer.fragment("flat", pictures)), "utf-8")
    tab.goto(file.as_uri())


RED, GREEN, BLUE = ([255, 0, 0], [0, 255, 0], [0, 0, 255])


def test_the_divider_moves_by_keys_and_shows_more_of_one_side(opened: Any, tmp_path: Path) -> None:
    flat(tmp_path, opened)
    assert colour_at(opened, 0.3).tolist() == RED
    assert colour_at(opened, 0.6).tolist() == GREEN
    first(opened, ".cae-range").focus()
    for _ in range(20):
        opened.keyboard.press("ArrowRight")
    assert first(opened, ".cae-range").input_value() == "70"
    assert first(opened, ".cae-range").get_attribute("aria-valuetext") == "70 % red"
    assert colour_at(opened, 0.6).tolist() == RED
    assert colour_at(opened, 0.9).tolist() == GREEN
    opened.keyboard.press("Home")
    assert colour_at(opened, 0.1).tolist() == GREEN


def test_the_divider_follows_the_pointer_and_nothing_else_moves(opened: Any) -> None:
    box = first(opened, ".cae-stage").bounding_box()
    middle = box["y"] + box["height"] / 2
    opened.mouse.move(box["x"] + box["width"] / 2, middle)
    opened.mouse.down()
    opened.mouse.move(box["x"] + box["width"] / 4, middle, steps=5)
    opened.mouse.up()
    opened.mouse.move(box["x"] + box["width"] * 0.9, middle)  # let go: no longer followed
    assert first(opened, ".cae-range").input_value() == "25"
    assert opened.locator(".cae-range").nth(1).input_value() == "50"
    divider = first(opened, ".cae-divider").bounding_box()
    assert divider["x"] + divider["width"] / 2 == pytest.approx(box["x"] + box["width"] / 4, abs=1)


def test_a_select_changes_the_picture_and_its_details(opened: Any, tmp_path: Path) -> None:
    flat(tmp_path, opened)
    opened.select_option(".cae-right", "blue")
    assert colour_at(opened, 0.6).tolist() == BLUE
    assert first(opened, ".cae-detail-right").inner_text() == "blue all blue"
    assert first(opened, ".cae-tag.is-right").inner_text() == "blue"
    opened.select_option(".cae-left", "green")
    assert colour_at(opened, 0.3).tolist() == GREEN
    opened.select_option(".cae-left", "blue")  # one picture on both sides
    assert colour_at(opened, 0.3).tolist() == BLUE


def test_the_map_lies_over_its_own_picture_when_switched_on(opened: Any, tmp_path: Path) -> None:
    flat(tmp_path, opened)
    assert not first(opened, ".cae-legend").is_visible()
    opened.check(".cae-map-on")
    assert first(opened, ".cae-legend").is_visible()
    assert colour_at(opened, 0.3).tolist() == RED
    brightest = colour_at(opened, 0.95, 0.9)  # the last cell has most bits
    assert brightest.min() > 80
    assert brightest[:2].min() > 150
    opened.uncheck(".cae-map-on")
    assert colour_at(opened, 0.95, 0.9).tolist() == GREEN


def test_zoom_shows_whole_pixels_and_the_pointer_moves_the_picture(opened: Any) -> None:
    opened.select_option(".cae-zoom >> nth=0", "1")
    assert first(opened, ".cae-canvas").bounding_box()["width"] == 64
    opened.set_viewport_size({"width": 200, "height": 900})
    opened.select_option(".cae-zoom >> nth=0", "4")
    assert first(opened, ".cae-canvas").bounding_box()["width"] == 256
    scrolled = "document.querySelector('.cae-scroll').scrollLeft"
    before = opened.evaluate(scrolled)
    box = first(opened, ".cae-stage").bounding_box()
    opened.mouse.move(box["x"] + box["width"] * 0.85, box["y"] + 60)
    opened.mouse.down()
    opened.mouse.move(box["x"] + box["width"] * 0.85 - 20, box["y"] + 60, steps=4)
    opened.mouse.up()
    assert opened.evaluate(scrolled) == before + 20
    assert first(opened, ".cae-range").input_value() == "50"


def test_a_phone_sees_it_all_without_scrolling_sideways(opened: Any) -> None:
    opened.set_viewport_size({"width": 360, "height": 700})
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_page_of_compare_works_under_its_own_policy(opened: Any, tmp_path: Path) -> None:
    pixels = photograph(48, 64)
    (tmp_path / "o.png").write_bytes(encoded(Image.fromarray(pixels)))
    (tmp_path / "o.cae").write_bytes(caecodec.encode(pixels, 50))
    original, other = (read_file(str(tmp_path / name), with_bits=True) for name in ("o.png", "o.cae"))
    file = tmp_path / "compared.html"
    file.write_bytes(compare_page(original, [(other, compare_files(original, other))]))
    opened.goto(file.as_uri())
    loaded = "[...document.images].map(i => [i.complete, i.naturalWidth])"
    assert opened.evaluate(loaded) == [[True, 64], [True, 64], [True, 4]]
    before = colour_at(opened, 0.9).tolist()
    opened.check(".cae-map-on")
    assert colour_at(opened, 0.9).tolist() != before
    first(opened, ".cae-range").focus()
    opened.keyboard.press("End")
    assert first(opened, ".cae-range").input_value() == "100"
    assert opened.locator("tbody tr").count() == 2
