from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from page_files import (
    ENVIRONMENT,
    EVIL,
    FACTORS,
    data_of,
    growth_results,
    rd_results,
    speed_results,
    text_of,
    written,
)
from PIL import Image
from support import photograph

from caecodec.bench.command.bench import bench
from caecodec.bench.metrics import published
from caecodec.bench.metrics.metrics import MS_SSIM
from caecodec.bench.page.build import build_page
from caecodec.bench.page.view import make_views
from caecodec.bench.rd import bd_tables
from caecodec.bench.rd.results import Row, save_rd
from caecodec.bench.timing import report
from caecodec.errors import FileSystemError, UsageError


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_page(written(tmp_path_factory.mktemp("results")))


@pytest.fixture(scope="module")
def rd(html: str) -> Any:
    (found,) = data_of(html)["rd"]
    return found


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_every_point_of_a_picture_is_a_row(rd: Any) -> None:
    rows = {row.key: row for row in rd_results().rows if row.error is None}
    shown = {}
    for series in rd["series"]:
        for picture, curve in series["curves"].items():
            for place, quality in enumerate(curve["quality"]):
                if picture:
                    shown[series["name"], quality, picture] = [
                        curve[k][place] for k in ("bpp", "psnr", "ssim", "ms_ssim")
                    ]
    assert shown == {key: [row.bpp, row.psnr, row.ssim, row.ms_ssim] for key, row in rows.items()}
    assert [metric["key"] for metric in rd["metrics"]] == ["psnr", "ssim", "ms_ssim"]


def test_a_mean_is_of_the_pictures_that_the_codec_measured_in_full(rd: Any) -> None:
    measured = rd_results()
    for series in rd["series"]:
        whole = measured.complete(series["name"])
        points = measured.mean_points(series["name"], whole)
        assert series["pictures"] == len(whole) == (2 if series["name"] == "webp" else 3)
        mean = series["curves"][""]
        assert mean["bpp"] == pytest.approx([p.bpp for p in points])
        assert mean["psnr"] == pytest.approx([p.psnr for p in points])


def test_bd_tables_are_those_of_the_report_for_every_anchor(rd: Any) -> None:
    measured = rd_results()
    assert [anchor["name"] for anchor in rd["anchors"]] == list(FACTORS)
    for anchor in rd["anchors"]:
        assert {row[0] for row in anchor["tables"]["psnr"]["rows"]} == FACTORS.keys() - {anchor["name"]}
        for codec, rate, gain, span, median, worst, pictures in anchor["tables"]["psnr"]["rows"]:
            c = bd_tables.compare(measured, codec, anchor["name"])
            assert (rate["v"], gain["v"], median["v"], pictures["v"]) == (c.bd_rate, c.bd_level, c.median, c.pictures)
            assert rate["t"] == f"{c.bd_rate:+.1f} %"
            assert c.worst is not None
            assert c.span is not None
            assert worst["t"] == f"{c.worst[1]:+.1f} % ({c.worst[0]})"
            assert span["t"] == f"{c.span[0]:.1f} to {c.span[1]:.1f} dB"
            assert rate["v"] == pytest.approx(100 * (FACTORS[codec] / FACTORS[anchor["name"]] - 1), abs=0.2)


def test_bd_tables_are_there_by_every_metric_measured_and_say_what_levels_in_db_are(rd: Any) -> None:
    measured = rd_results()
    assert {metric["key"]: metric["note"] for metric in rd["metrics"]} == {
        "psnr": "",
        "ssim": "BD-rates by SSIM are over dB: -10 log10(1 - SSIM)",
        "ms_ssim": "BD-rates by MS-SSIM are over dB: -10 log10(1 - MS-SSIM)",
    }
    for anchor in rd["anchors"]:
        assert list(anchor["tables"]) == ["psnr", "ssim", "ms_ssim"]
        table = anchor["tables"]["ms_ssim"]
        assert table["columns"][:4] == ["codec", "BD-rate", "BD-MS-SSIM", "over"]
        for codec, rate, gain, span, *_ in table["rows"]:
            c = bd_tables.compare(measured, codec, anchor["name"], MS_SSIM)
            assert c.span is not None
            assert (rate["v"], gain["v"], span["v"]) == (c.bd_rate, c.bd_level, c.span[0])
            # 26 dB of PSNR are 1 - 1 / 26 ** 1.6 of MS-SSIM, 22.6 dB
            assert span["t"] == "22.6 to 25.3 dB"


def test_failures_and_missing_codecs_are_in_the_page_with_their_reasons(html: str, rd: Any) -> None:
    assert rd["failures"] == [["webp", "40", EVIL, f"OSError: {EVIL}"]]
    assert rd["unavailable"] == [["vvc", f"ImportError: {EVIL}"]]
    assert data_of(html)["speed"][0]["failures"] == [["heic-444", f"OSError: {EVIL}"]]
    assert ["failures", "1"] in data_of(html)["headline"]["facts"]


def test_overhead_is_the_mean_of_parts_at_low_middle_and_high_quality(rd: Any) -> None:
    assert [(o["codec"], o["quality"]) for o in rd["overhead"]] == [("caecodec", 1), ("caecodec", 40), ("caecodec", 80)]
    for shown in rd["overhead"]:
        rows = [r for r in rd_results().rows if r.codec == "caecodec" and r.quality == shown["quality"]]
        sizes = {part["name"]: part["bytes"] for part in shown["parts"]}
        assert sizes["header"] == 20
        assert sum(sizes.values()) == pytest.approx(sum(r.bytes or 0 for r in rows) / len(rows))


def test_speed_and_growth_tables_are_those_of_the_terminal(html: str) -> None:
    data = data_of(html)
    for shown, tables in (
        (data["speed"][0]["tables"], report.speed_tables(speed_results())),
        (data["growth"][0]["tables"], report.growth_tables(growth_results())),
    ):
        assert [(t["columns"], t["rows"]) for t in shown] == [
            (list(t.columns), [list(row) for row in t.rows]) for _, t in tables
        ]


def test_bars_and_growth_curves_are_medians_of_rounds(html: str) -> None:
    data = data_of(html)
    first = data["speed"][0]["panels"][0]["bars"][0]
    assert (first["codec"], first["median"], first["low"], first["high"]) == ("caecodec", 1.1, 1.0, 1.2)
    assert first["t"] == "1.10 (1.00 to 1.20)"
    growth = {panel["title"]: panel["series"][0]["points"] for panel in data["growth"][0]["panels"]}
    assert growth["Encode time"][-1]["y"] == pytest.approx(1.05 * 24)
    assert [point["y"] for point in growth["Encode time of a batch"]] == [1.4, 5.0]
    assert growth["Peak memory of encode"][-1]["t"].endswith("1,200 MiB")


def test_headline_says_what_when_where_and_of_which_commit(html: str, rd: Any) -> None:
    facts = dict(data_of(html)["headline"]["facts"])
    assert facts["rate and distortion"] == "3 codecs on 3 pictures (rd)"
    assert (facts["date"], facts["machine"], facts["commit"]) == ("2026-01-02", ENVIRONMENT["cpu"], "abc1234")
    assert rd["tiles"][0]["value"] == "-50.0 %"


def test_an_environment_without_commit_leaves_a_dash(tmp_path: Path) -> None:
    old = rd_results()
    old.environment = {key: value for key, value in ENVIRONMENT.items() if key != "commit"}
    save_rd(old, tmp_path / "r.json")
    assert ["commit", "-"] in data_of(build_page([tmp_path / "r.json"]))["headline"]["facts"]


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
    assert "{{js}}" in data_of(build_page([tmp_path / "r.json"]))["rd"][0]["pictures"]


def test_the_page_names_nothing_to_load(html: str) -> None:
    for tag, attributes in Elements(html).found:
        for name in ("src", "href", "srcset", "action"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), (tag, value)
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"url\(|@import", style)
    assert "default-src 'none'" in html


def test_published_curves_stand_beside_kodak_only_and_are_never_compared(tmp_path: Path, rd: Any) -> None:
    assert rd["published"] == []
    save_rd(rd_results(*sorted(published.KODAK)), tmp_path / "kodak.json")
    (kodak,) = data_of(build_page([tmp_path / "kodak.json"]))["rd"]
    curves = published.load_curves()
    assert {one["name"]: one["curves"][""]["psnr"] for one in kodak["published"]} == {
        name: list(curve.psnr) for name, curve in curves.items()
    }
    assert all(one["about"] for one in kodak["published"])
    assert 0 < sum(one["shown"] for one in kodak["published"]) < 5
    assert [series["name"] for series in kodak["series"]] == list(FACTORS)
    ids = [one["id"] for one in (*kodak["series"], *kodak["published"])]
    assert len(set(ids)) == len(ids)
    assert len(kodak["anchors"]) == len(FACTORS)


def test_a_lossless_quality_has_no_psnr_to_draw(tmp_path: Path) -> None:
    flat = rd_results("a")
    flat.rows.append(Row("caecodec", "caecodec 1", 100, "a", 100, 80, 20000, float("inf"), 0.0, None, 1.0, 1.0))
    save_rd(flat, tmp_path / "r.json")
    data = data_of(build_page([tmp_path / "r.json"]))
    ours = next(s for s in data["rd"][0]["series"] if s["name"] == "caecodec")
    assert ours["curves"]["a"]["psnr"][-1] is None
    assert ours["curves"][""]["psnr"][-1] is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 2, "kind": "other", "environment": {}}', '{"rows": [], "environment": 3}']
)
def test_another_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError, match=r"x\.json: not a results file"):
        build_page([tmp_path / "x.json"])


@pytest.mark.parametrize("kind", ["rd", "speed", "growth"])
def test_a_file_that_lacks_what_its_kind_needs_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"format": 2, "kind": kind, "environment": {}}))
    with pytest.raises(UsageError, match=r"x\.json"):
        build_page([tmp_path / "x.json"])


def test_a_missing_file_is_a_file_system_error(tmp_path: Path) -> None:
    with pytest.raises(FileSystemError, match=r"none\.json"):
        build_page([tmp_path / "none.json"])


def test_pictures_are_shown_at_about_equal_bytes_with_a_map_of_bits(tmp_path: Path) -> None:
    Image.fromarray(photograph(72, 104)).save(tmp_path / "one.png")
    views = make_views([tmp_path], None, ["caecodec", "webp"], 0.8)
    ours, theirs = views.shown
    assert (ours["codec"], theirs["codec"], ours["picture"]) == ("caecodec", "webp", "one")
    assert theirs["bytes"] <= ours["bytes"] <= 0.8 * 72 * 104 / 8
    assert f"{ours['bytes']:,} bytes" in views.html
    assert f"{theirs['bytes']:,} bytes" in views.html
    (bits,) = views.maps
    assert (len(bits["cells"]), len(bits["cells"][0])) == (5, 7)
    # what the file spends on pixels is nearly all of it
    assert 0.6 * ours["bytes"] < sum(map(sum, bits["cells"])) / 8 < ours["bytes"]


def test_a_picture_that_is_not_there_is_refused(tmp_path: Path) -> None:
    Image.fromarray(photograph(32, 32)).save(tmp_path / "one.png")
    with pytest.raises(UsageError, match="--view 'two': no such picture in --pictures; there are one"):
        make_views([tmp_path], ["two"], ["jpeg"], 1.0)


def test_command_writes_the_page_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "report.html"
    Image.fromarray(photograph(32, 48)).save(tmp_path / "one.png")
    paths = [str(path) for path in written(tmp_path)]
    options = [
        "--pictures",
        str(tmp_path / "one.png"),
        "--view",
        "one",
        "--view-codecs",
        "jpeg,webp",
        "--view-bpp",
        "2",
    ]
    done = CliRunner().invoke(bench, ["report", *paths, "-o", str(target), *options])
    assert done.exit_code == 0, done.output
    assert str(target) in done.output
    data = data_of(target.read_text(encoding="utf-8"))
    assert [view["codec"] for view in data["view"]] == ["jpeg", "webp"]
    assert data["bits"] == []
    assert [text_of(row[0]) for row in data["rd"][0]["anchors"][0]["tables"]["psnr"]["rows"]] == ["caecodec", "webp"]


def test_command_refuses_a_view_without_pictures(tmp_path: Path) -> None:
    done = CliRunner().invoke(bench, ["report", *map(str, written(tmp_path)), "--view", "a"])
    assert isinstance(done.exception, UsageError)
    assert "--pictures" in str(done.exception)
