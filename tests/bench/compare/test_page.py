from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from support import Result, encoded, photograph, run

import caecodec
from caecodec.bench.compare.compare import compare_files, read_file
from caecodec.bench.compare.page import compare_page
from caecodec.errors import LimitError


def compared(*arguments: str | Path) -> Result:
    return run("compare", *arguments)


def test_the_page_loads_nothing_and_shows_every_file(tmp_path: Path, picture_file: Path) -> None:
    cae, jpeg, page = tmp_path / "img.cae", tmp_path / "img.jpg", tmp_path / "page.html"
    cae.write_bytes(caecodec.encode(Image.open(picture_file), 60))
    Image.open(picture_file).save(jpeg)
    result = compared(picture_file, cae, jpeg, "--html", page)
    assert (result.code, result.err) == (0, "")
    html = page.read_text("utf-8")
    pictures = r'src="data:image/(webp|png);base64,[A-Za-z0-9+/=]+"'
    assert len(re.findall(pictures, html)) == 4  # three pictures, one map
    assert not re.search(r"src=|href=|https?:|//[a-z]|@import|url\(|fetch\(", re.sub(pictures, "", html))
    assert "default-src 'none'" in html
    rows = [re.findall("<td>([^<]*)</td>", row) for row in re.findall("<tr><td>.*?</tr>", html)]
    assert [row[0] for row in rows] == ["img.png", "img.cae", "img.jpg"]
    assert [row[1] for row in rows] == [f"{path.stat().st_size:,}" for path in (picture_file, cae, jpeg)]
    shown = [re.sub(" dB", "", line).split()[1:] for line in result.out.decode().splitlines()[-2:]]
    assert [[re.sub(" dB", "", cell) for cell in row[1:]] for row in rows[1:]] == shown


def test_file_names_are_escaped_and_kept_apart(tmp_path: Path) -> None:
    names = [tmp_path / folder / "<b>&.png" for folder in ("one", "two", "three")]
    for seed, name in enumerate(names):
        name.parent.mkdir()
        name.write_bytes(encoded(Image.fromarray(photograph(16, 24, seed))))
    page = tmp_path / "page.html"
    assert compared(*names, "--html", page).code == 0
    html = page.read_text("utf-8")
    assert "<b>&" not in html
    assert len(set(re.findall("<option[^>]*>([^<]*)</option>", html)) - {"fit", "1:1", "2:1", "4:1"}) == 3


def test_a_page_is_not_replaced_unless_told_and_an_input_never(pair: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    refused = compared(*pair, "--html", page)
    assert (refused.code, refused.out) == (7, b"")
    assert "-f overwrites it" in refused.err
    assert page.read_text() == "mine"
    assert compared(*pair, "--html", page, "-f").code == 0
    assert page.read_text("utf-8").startswith("<!doctype html>")
    before = pair[1].read_bytes()
    assert compared(*pair, "--html", pair[1], "-f").code == 2
    assert pair[1].read_bytes() == before


def test_a_page_on_standard_output_leaves_the_table_to_standard_error(pair: tuple[Path, Path]) -> None:
    result = compared(*pair, "--html", "-")
    assert result.out.startswith(b"<!doctype html>")
    assert result.out.rstrip().endswith(b"</html>")
    assert "52.90 dB" in result.err


def test_a_model_without_a_bit_map_is_named(tmp_path: Path) -> None:
    pixels = photograph(32, 32)
    original, cae, page = tmp_path / "o.png", tmp_path / "o.cae", tmp_path / "page.html"
    Image.fromarray(pixels).save(original)
    cae.write_bytes(caecodec.encode(pixels, model="tiny"))
    result = compared(original, cae, "--html", page)
    assert result.code == 0
    assert "no map of its bits" in result.err
    assert 'class="cae-map-on"' not in page.read_text("utf-8")
    assert "no map of its bits" in page.read_text("utf-8")


def test_a_picture_no_browser_shows_is_refused_for_the_page(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caecodec.bench.compare.page.PAGE_PIXELS", 100)
    original, other = (read_file(str(path)) for path in pair)
    with pytest.raises(LimitError, match="1536 pixels"):
        compare_page(original, [(other, compare_files(original, other))])
