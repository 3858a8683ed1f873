from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from page_files import EVIL, data_of, rd_results

from caecodec.bench.page.build import build_page
from caecodec.bench.page.data import collect
from caecodec.bench.rd.results import save_rd


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_text_from_files_cannot_leave_its_place(html: str) -> None:
    elements = Elements(html).found
    assert EVIL not in html
    assert html.count("</script") == html.count("<script") == 3  # an end tag may also go on with a space
    assert "b" not in {tag for tag, _ in elements}
    assert [attributes.get("type") for tag, attributes in elements if tag == "script"] == [
        "application/json", None, "module",
    ]  # fmt: skip
    assert EVIL in data_of(html)["rd"][0]["pictures"]


def test_a_placeholder_in_a_result_is_text(tmp_path: Path) -> None:
    tricky = rd_results("a", "{{js}}")
    save_rd(tricky, tmp_path / "r.json")
    assert "{{js}}" in data_of(build_page(collect([tmp_path / "r.json"])))["rd"][0]["pictures"]


def test_the_page_names_nothing_to_load(html: str) -> None:
    for tag, attributes in Elements(html).found:
        for name in ("src", "href", "srcset", "action"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), (tag, value)
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"url\(|@import", style)
    assert "default-src 'none'" in html
