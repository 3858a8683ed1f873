from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from page_files import FACTORS, data_of, rd_results

from caecodec.bench.metrics import published
from caecodec.bench.metrics.metrics import MS_SSIM
from caecodec.bench.page.build import build_page
from caecodec.bench.page.data import collect
from caecodec.bench.rd import bd_tables
from caecodec.bench.rd.results import Row, save_rd


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


def test_overhead_is_the_mean_of_parts_at_low_middle_and_high_quality(rd: Any) -> None:
    assert [(o["codec"], o["quality"]) for o in rd["overhead"]] == [("caecodec", 1), ("caecodec", 40), ("caecodec", 80)]
    for shown in rd["overhead"]:
        rows = [r for r in rd_results().rows if r.codec == "caecodec" and r.quality == shown["quality"]]
        sizes = {part["name"]: part["bytes"] for part in shown["parts"]}
        assert sizes["header"] == 20
        assert sum(sizes.values()) == pytest.approx(sum(r.bytes or 0 for r in rows) / len(rows))


def test_published_curves_stand_beside_kodak_only_and_are_never_compared(tmp_path: Path, rd: Any) -> None:
    assert rd["published"] == []
    save_rd(rd_results(*sorted(published.KODAK)), tmp_path / "kodak.json")
    (kodak,) = data_of(build_page(collect([tmp_path / "kodak.json"])))["rd"]
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
    data = data_of(build_page(collect([tmp_path / "r.json"])))
    ours = next(s for s in data["rd"][0]["series"] if s["name"] == "caecodec")
    assert ours["curves"]["a"]["psnr"][-1] is None
    assert ours["curves"][""]["psnr"][-1] is None
