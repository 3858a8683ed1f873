"""The report page in headless Chromium."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_files import EVIL, data_of, rd_results, text_of, written
from PIL import Image
from support import photograph

from caecodec.bench.metrics import published
from caecodec.bench.page.build import build_page
from caecodec.bench.page.data import collect
from caecodec.bench.page.view import make_views
from caecodec.bench.rd import bd_tables
from caecodec.bench.rd.results import save_rd

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome is installed")

MEASURED = "#rd-legend button"
CURVES = "#rd-chart .curve"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    Image.fromarray(photograph(64, 96)).save(folder / "photo.png")
    views = make_views([folder / "photo.png"], None, ["caecodec", "webp"], 0.8)
    save_rd(rd_results(*sorted(published.KODAK)), folder / "kodak.json")
    (folder / "report.html").write_text(
        build_page(collect([*written(folder), folder / "kodak.json"]), views), encoding="utf-8"
    )
    return folder / "report.html"


class Watched:
    """A page of the file, and what the browser complained about or asked for."""

    def __init__(self, browser: Any, file: Path, **options: Any) -> None:
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}} | options)
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_selector(CURVES)


@pytest.fixture
def watched(browser: Any, file: Path) -> Iterator[Watched]:
    made = Watched(browser, file, reduced_motion="reduce")  # what a pointer aims at has to stand still
    yield made
    made.page.close()
    assert made.troubles == []


@pytest.fixture
def shown(watched: Watched) -> Any:
    return watched.page


def cells(page: Any, table: str) -> list[list[str]]:
    found: list[list[str]] = page.eval_on_selector_all(
        f"{table} tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return found


def test_opens_from_disk_without_errors_and_asks_for_nothing(watched: Watched, file: Path) -> None:
    asked = [url for url in watched.requests if not url.startswith("data:")]
    assert asked == [file.as_uri()]
    ids = watched.page.eval_on_selector_all("main > section", "all => all.filter(s => !s.hidden).map(s => s.id)")
    assert ids == ["rd", "bd", "failed", "means", "overhead", "view", "bits", "speed", "growth", "environment"]


def test_every_measured_codec_has_a_curve_and_a_legend_entry(shown: Any) -> None:
    assert shown.locator(CURVES).count() == shown.locator(MEASURED).count() == 3
    assert shown.locator(MEASURED).first.text_content() == "caecodec"
    # of a picture, or of a codec that failed on one, the entry says of how many the mean is
    assert shown.locator(MEASURED).nth(2).text_content() == "webp (2 pictures)"


def test_a_legend_button_switches_its_curve_by_keyboard_and_pointer(shown: Any) -> None:
    button = shown.locator(MEASURED, has_text="jpeg")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert shown.locator(f'{CURVES}[data-id="jpeg"]').count() == 0
    button.focus()
    shown.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    assert shown.locator(f'{CURVES}[data-id="jpeg"]').count() == 1
    shown.click("#show-none")
    assert shown.locator(CURVES).count() == 0
    shown.click("#show-all")
    assert shown.locator(CURVES).count() == 3


def test_metric_picture_and_axis_redraw_the_plot(shown: Any) -> None:
    def drawn() -> str:
        return str(shown.locator(f'{CURVES}[data-id="caecodec"] .line').get_attribute("d"))

    seen = [drawn()]
    for act in (
        lambda: shown.select_option("#metric", "ms_ssim"),
        lambda: shown.select_option("#picture", "b"),
        lambda: shown.click("#log"),
    ):
        act()
        seen.append(drawn())
    assert len(set(seen)) == 4
    assert "MS-SSIM" in shown.locator("#rd-chart svg").get_attribute("aria-label")


def test_pointer_and_arrow_keys_read_points_as_in_the_rows(shown: Any) -> None:
    measured = rd_results()
    point = measured.mean_points("caecodec", measured.complete("caecodec"))[1]
    expected = f"caecodecquality {point.quality}, {point.bpp:.3f} bpp, PSNR {point.psnr:.2f} dB"
    shown.locator("#rd-chart svg").focus()
    shown.keyboard.press("ArrowRight")
    shown.keyboard.press("ArrowRight")
    assert shown.locator("#rd-chart .tip").text_content() == expected
    shown.keyboard.press("Escape")
    assert shown.locator("#rd-chart .tip").is_hidden()
    line = shown.locator(f'{CURVES}[data-id="caecodec"] .line').get_attribute("d")
    x, y = map(float, line.removeprefix("M").split("L")[1].split(","))
    box = shown.locator("#rd-chart svg").bounding_box()
    shown.mouse.move(box["x"] + x + 1, box["y"] + y + 1)
    assert shown.locator("#rd-chart .tip").text_content() == expected


def test_a_plot_of_another_width_keeps_the_focus(shown: Any) -> None:
    shown.locator("#rd-chart svg").focus()
    shown.set_viewport_size({"width": 700, "height": 900})
    playwright.expect(shown.locator("#rd-chart svg")).to_have_attribute("viewBox", re.compile(r"0 0 6\d\d "))
    assert shown.evaluate("document.activeElement === document.querySelector('#rd-chart svg')")
    assert shown.locator(CURVES).count() == 3


def test_the_anchor_changes_the_table_and_its_text_is_that_of_the_comparison(shown: Any, file: Path) -> None:
    rd = data_of(file.read_text(encoding="utf-8"))["rd"][0]
    measured = rd_results()
    tables = []
    for anchor in rd["anchors"]:
        shown.select_option("#anchor", anchor["name"])
        tables.append(cells(shown, "#bd-table"))
        assert tables[-1] == [[text_of(cell) for cell in row] for row in anchor["tables"]["psnr"]["rows"]]
        for row in tables[-1]:
            c = bd_tables.compare(measured, row[0], anchor["name"])
            assert row[1:3] == [f"{c.bd_rate:+.1f} %", f"{c.bd_level:+.2f} dB"]
    assert len({str(table) for table in tables}) == 3


def test_the_metric_changes_the_table_and_says_what_its_decibels_are(shown: Any, file: Path) -> None:
    tables = data_of(file.read_text(encoding="utf-8"))["rd"][0]["anchors"][0]["tables"]
    for key, said in (("ms_ssim", "over dB: -10 log10(1 - MS-SSIM)"), ("psnr", "")):
        shown.select_option("#anchor", "jpeg")
        shown.select_option("#bd-metric", key)
        assert cells(shown, "#bd-table") == [[text_of(cell) for cell in row] for row in tables[key]["rows"]]
        assert (shown.locator("#bd-note").text_content() or "").endswith(said)


def test_a_head_of_the_table_sorts_by_number(shown: Any) -> None:
    shown.select_option("#anchor", "webp")
    head = shown.locator("#bd-table thead button", has_text="BD-rate")
    for direction, first in (("ascending", "caecodec"), ("descending", "jpeg")):
        head.click()
        assert shown.locator("#bd-table th[aria-sort]").get_attribute("aria-sort") == direction
        assert cells(shown, "#bd-table")[0][0] == first


def test_every_table_of_the_page_shows_its_json(shown: Any, file: Path) -> None:
    data = data_of(file.read_text(encoding="utf-8"))
    for host, runs in (("#speed-panels", data["speed"]), ("#growth-panels", data["growth"])):
        expected = [row for run in runs for table in run["tables"] for row in table["rows"]]
        expected += [row for run in runs for row in run["failures"]]
        assert cells(shown, host) == [[text_of(cell) for cell in row] for row in expected]
    texts = shown.locator(".track .value").all_text_contents()
    assert texts == [bar["t"] for panel in data["speed"][0]["panels"] for bar in panel["bars"]]
    for part in data["rd"][0]["overhead"][0]["parts"]:
        assert f"{part['name']} {part['t']}" in shown.locator("#overhead-bars").text_content()
    assert shown.locator("#growth-panels .chart .curve").count() == 6


def test_failures_are_listed_with_hostile_text_as_text(shown: Any) -> None:
    assert cells(shown, "#failed-tables") == [
        ["webp", "40", EVIL, f"OSError: {EVIL}"],
        ["vvc", f"ImportError: {EVIL}"],
    ]


def test_another_set_of_pictures_changes_everything_below(shown: Any) -> None:
    shown.select_option("#set", "1")
    assert "kodak" in shown.locator("#rd-note").text_content()
    assert shown.locator("#rd-chart .curve.published").count() == 2
    shown.click("#published summary")
    button = shown.locator("#published-legend button", has_text="jpeg2000")
    assert button.first.get_attribute("aria-pressed") == "false"
    button.first.click()
    assert shown.locator("#rd-chart .curve.published").count() == 3
    # one of the same name that was measured is another curve
    assert shown.locator(f"{CURVES}:not(.published)").count() == 3
    dashes = shown.locator("#rd-chart .curve.published .line").first.evaluate(
        "e => getComputedStyle(e).strokeDasharray"
    )
    assert dashes != "none"
    shown.select_option("#picture", "kodim01")
    assert shown.locator("#rd-chart .curve.published").count() == 0


def test_the_slider_moves_by_keyboard_and_pointer(shown: Any) -> None:
    slider = shown.locator(".cae-range")
    slider.focus()
    before = float(slider.input_value())
    shown.keyboard.press("ArrowRight")
    assert float(slider.input_value()) > before
    stage = shown.locator(".cae-stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    shown.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    assert float(slider.input_value()) == pytest.approx(25, abs=2)


def test_a_map_reads_the_bits_of_a_block(shown: Any, file: Path) -> None:
    (bits,) = data_of(file.read_text(encoding="utf-8"))["bits"]
    shown.locator(".map").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):  # the first one starts at the corner
        shown.keyboard.press(key)
    assert shown.locator(".reading-line").text_content().startswith(f"{bits['cells'][1][1]:.1f} bits")
    box = shown.locator(".map").bounding_box()
    shown.mouse.move(box["x"] + 0.99 * box["width"], box["y"] + 0.01 * box["height"])
    assert shown.locator(".reading-line").text_content().startswith(f"{bits['cells'][0][-1]:.1f} bits")


def test_the_button_and_the_system_choose_dark(browser: Any, file: Path) -> None:
    background = "getComputedStyle(document.documentElement).backgroundColor"
    colours = {}
    for scheme in ("light", "dark"):
        watched = Watched(browser, file, color_scheme=scheme)
        button = watched.page.locator("#theme")
        assert button.get_attribute("aria-pressed") == str(scheme == "dark").lower()
        colours[scheme] = watched.page.evaluate(background)
        button.click()
        colours[f"{scheme} after"] = watched.page.evaluate(background)
        watched.page.close()
    assert colours["light"] == colours["dark after"] != colours["dark"] == colours["light after"]


@pytest.mark.parametrize("width", [360, 768])
def test_nothing_reaches_over_the_side_of_a_narrow_page(browser: Any, file: Path, width: int) -> None:
    watched = Watched(browser, file, viewport={"width": width, "height": 800})
    watched.page.select_option("#set", "1")
    watched.page.eval_on_selector_all("details", "all => all.forEach(one => (one.open = true))")
    assert watched.page.evaluate("document.documentElement.scrollWidth") == width
    watched.page.close()


def test_tab_reaches_every_control_and_focus_is_seen(shown: Any) -> None:
    reached = []
    for _ in range(60):
        shown.keyboard.press("Tab")
        state = shown.evaluate(
            """() => { const e = document.activeElement; const style = getComputedStyle(e);
            return [e.id || e.getAttribute('class') || e.textContent, style.outlineStyle]; }"""
        )
        reached.append(state[0])
        assert state[1] != "none", state
        if state[0] == "map":
            break
    wanted = [
        "theme",
        "set",
        "metric",
        "picture",
        "log",
        "show-all",
        "show-none",
        "anchor",
        "bd-metric",
        "cae-left",
        "cae-range",
        "map",
    ]
    assert [name for name in reached if name in wanted] == wanted
    assert any("webp" in name for name in reached)


def test_motion_is_left_out_for_those_who_ask(browser: Any, file: Path) -> None:
    watched = Watched(browser, file, reduced_motion="reduce")
    duration = watched.page.locator(CURVES).first.evaluate("e => getComputedStyle(e).transitionDuration")
    assert duration == "0s"
    watched.page.close()
