from __future__ import annotations

from dataclasses import replace

import pytest
from rd_rows import PSNRS, made, of_metrics, row, without

from caecodec.bench.metrics import published
from caecodec.bench.metrics.metrics import MS_SSIM, PSNR, SSIM, SSIMULACRA2
from caecodec.bench.metrics.published import Published
from caecodec.bench.rd import bd_tables
from caecodec.bench.rd.results import Results
from caecodec.errors import UsageError

COMPARED = (PSNR, MS_SSIM, SSIMULACRA2)
IN_DB = "BD-rates by MS-SSIM are over dB: -10 log10(1 - MS-SSIM)"


def test_comparison_has_the_known_bd_rate_for_the_mean_and_each_picture() -> None:
    c = bd_tables.compare(made(jpeg=1.0, caecodec=0.8), "caecodec")
    assert c.bd_rate == pytest.approx(-20, abs=0.1)
    assert c.median == pytest.approx(-20, abs=0.1)
    assert c.worst is not None
    assert c.worst[1] == pytest.approx(-20, abs=0.1)
    assert c.span == (26.0, 38.0)
    assert c.pictures == 2


def test_a_picture_that_failed_once_is_left_out_of_both_means() -> None:
    whole = made(jpeg=1.0, caecodec=0.8)
    rows = [
        row(r.codec, r.quality, r.picture, None, None)
        if (r.codec, r.quality, r.picture) == ("caecodec", 40, "b")
        else r
        for r in whole.rows
    ]
    c = bd_tables.compare(Results(rows=rows), "caecodec")
    assert c.pictures == 1
    assert c.bd_rate == pytest.approx(-20, abs=0.1)
    assert list(c.by_picture) == ["a"]


def test_the_best_codec_is_first_and_one_without_a_bd_rate_last() -> None:
    whole = made(jpeg=1.0, webp=0.8, avif=0.5)
    failed = [row("vvc", 40, picture, None, None) for picture in ("a", "b")]
    table = bd_tables.comparison_table(Results(rows=[*failed, *whole.rows]), "webp")
    assert [cells[0] for cells in table.rows] == ["avif", "webp", "jpeg", "vvc"]
    assert [cells[1] for cells in table.rows] == ["-37.5 %", "+0.0 %", "+25.0 %", "-"]
    assert table.rows[-1][-1] == "0"
    assert table.notes == (
        "vvc failed on a at quality 40: RuntimeError: broken",
        "vvc failed on b at quality 40: RuntimeError: broken",
    )


def test_an_anchor_that_was_not_measured_leaves_dashes() -> None:
    table = bd_tables.comparison_table(made(caecodec=0.8))
    assert table.rows == (("caecodec", "-", "-", "-", "-", "-", "0"),)


def test_the_table_of_one_metric_names_it_and_ranges_are_of_its_levels() -> None:
    measured = of_metrics(jpeg=(1.0, 1.0, 1.0), avif=(1.0, 0.5, 2.0))
    table = bd_tables.comparison_table(measured, "jpeg", metric=MS_SSIM)
    assert table.columns[:4] == ("codec", "BD-rate vs jpeg", "BD-MS-SSIM", "MS-SSIM range")
    # 10 log10(2) = 3.01 dB more at the same rate; 10 to 22 dB is jpeg's range, 13 to 25 avif's
    assert table.rows[0] == ("avif", "-50.0 %", "+3.01 dB", "13.0 to 22.0 dB", "-50.0 %", "-50.0 % (a)", "2")
    assert table.notes == (IN_DB,)
    table = bd_tables.comparison_table(measured, "jpeg", metric=SSIMULACRA2)
    assert table.rows[1][:4] == ("avif", "+100.0 %", "-15.05", "10.0 to 54.9")
    assert table.notes == ()


def test_a_codec_has_one_row_with_its_bd_rate_by_each_metric_and_the_range_of_each() -> None:
    measured = of_metrics(jpeg=(1.0, 1.0, 1.0), webp=(0.8, 0.8, 0.8), avif=(0.5, 0.25, 1.25))
    table = bd_tables.metrics_table(measured, COMPARED)
    assert table.columns == ("BD-rate vs jpeg", "PSNR", "over", "MS-SSIM", "over", "SSIMULACRA2", "over", "pictures")
    assert table.rows == (
        ("avif", "-50.0 %", "26.0 to 38.0 dB", "-75.0 %", "13.0 to 22.0 dB", "+25.0 %", "10.0 to 50.1", "2"),
        ("webp", "-20.0 %", "26.0 to 38.0 dB", "-20.0 %", "10.0 to 22.0 dB", "-20.0 %", "10.0 to 70.0", "2"),
        ("jpeg", "+0.0 %", "26.0 to 38.0 dB", "+0.0 %", "10.0 to 22.0 dB", "+0.0 %", "10.0 to 70.0", "2"),
    )
    assert table.notes == (IN_DB,)
    by_eye = bd_tables.metrics_table(measured, (SSIMULACRA2, PSNR))
    assert [cells[:2] for cells in by_eye.rows] == [("webp", "-20.0 %"), ("jpeg", "+0.0 %"), ("avif", "+25.0 %")]


def test_a_metric_that_a_codec_lacks_is_a_dash_and_said_below() -> None:
    measured = without(of_metrics(jpeg=(1.0, 1.0, 1.0), avif=(0.5, 0.5, 0.5)), "avif", SSIMULACRA2)
    table = bd_tables.metrics_table(measured, (PSNR, SSIMULACRA2))
    assert table.rows[0] == ("avif", "-50.0 %", "26.0 to 38.0 dB", "-", "-", "2")
    assert table.notes == ("SSIMULACRA2 is not measured, or not of every picture: avif",)
    assert bd_tables.metrics_table(measured, (SSIM,)).rows[0][1:3] == ("-", "-")


def test_a_metric_measured_on_some_pictures_only_has_no_mean_and_no_median() -> None:
    whole = of_metrics(jpeg=(1.0, 1.0, 1.0), avif=(0.5, 0.5, 0.5))
    rows = [replace(r, ssimulacra2=None) if (r.codec, r.picture) == ("avif", "b") else r for r in whole.rows]
    table = bd_tables.comparison_table(Results(rows=rows), metric=SSIMULACRA2)
    assert table.rows[-1] == ("avif", "-", "-", "-", "-", "-", "2")
    assert table.notes == ("SSIMULACRA2 is not measured, or not of every picture: avif",)


def test_direct_rows_are_each_over_what_the_two_share_and_plus_is_behind() -> None:
    whole = made(jpeg=1.0, webp=0.5, avif=0.4, caecodec=0.5)
    ours = [r for r in whole.rows if r.codec == "caecodec" and r.quality in (20, 40, 60, 80)]
    jpeg = [r for r in whole.rows if r.codec == "jpeg" and r.quality in (1, 20, 40)]
    measured = Results(rows=[*ours, *jpeg, *(r for r in whole.rows if r.codec in ("webp", "avif"))])
    table = bd_tables.direct_table(measured, "caecodec", [PSNR])
    assert table.columns == ("BD-rate of caecodec vs", "PSNR", "over", "pictures")
    assert table.rows == (
        ("avif", "+25.0 %", "29.0 to 38.0 dB", "2"),
        ("webp", "+0.0 %", "29.0 to 38.0 dB", "2"),
        ("jpeg", "-50.0 %", "29.0 to 32.0 dB", "2"),
    )
    assert table.notes == (
        "-20 %: caecodec needs 20 % fewer bits than the other for the same quality; +20 %: 20 % more",
    )
    # and the other way round: avif needs a fifth less
    assert bd_tables.direct_table(measured, "avif", [PSNR], ["caecodec"]).rows == (
        ("caecodec", "-20.0 %", "29.0 to 38.0 dB", "2"),
    )


def test_direct_rows_are_of_the_codecs_named_and_of_none_that_was_not_measured() -> None:
    whole = made(jpeg=1.0, webp=0.8, caecodec=0.5)
    failed = [row("vvc", 40, "a", None, None)]
    measured = Results(unavailable={"avif": "no library"}, rows=[*whole.rows, *failed])
    table = bd_tables.direct_table(measured, "caecodec", [PSNR], ["webp", "caecodec"])
    assert [cells[0] for cells in table.rows] == ["webp"]
    assert len(table.notes) == 1
    every = bd_tables.direct_table(measured, "caecodec", [PSNR])
    assert [cells[:2] for cells in every.rows] == [("webp", "-37.5 %"), ("jpeg", "-50.0 %"), ("vvc", "-")]
    assert every.notes[1:] == (
        "avif could not be measured: no library",
        "vvc failed on a at quality 40: RuntimeError: broken",
    )
    for ours, named, missing in (("caecodec@9", None, "caecodec@9"), ("caecodec", ["gif"], "gif")):
        with pytest.raises(UsageError, match=f"no rows of {missing}; there are jpeg, webp, caecodec, vvc"):
            bd_tables.direct_table(measured, ours, [PSNR], named)


def test_direct_against_a_published_curve_is_by_the_metrics_that_it_has_and_names_its_source() -> None:
    measured = of_metrics(sorted(published.KODAK), caecodec=(0.5, 0.5, 0.5))
    levels = (28.0, 30.0, 33.0, 40.0)
    bpp = tuple(0.5 * 10 ** ((psnr - 26) / 10) for psnr in levels)  # what `made` and `of_metrics` call jpeg
    ms_ssim = tuple(1 - 10 ** (-(psnr - 16) / 10) for psnr in levels)
    whole, bare = Published("hm", "a paper", bpp, levels, ms_ssim), Published("ntc", "a repository", bpp, levels)
    table = bd_tables.direct_table(measured, "caecodec", COMPARED, beside=[whole, bare])
    assert table.rows == (
        ("hm (published)", "-50.0 %", "28.0 to 38.0 dB", "-50.0 %", "12.0 to 22.0 dB", "-", "-", "-"),
        ("ntc (published)", "-50.0 %", "28.0 to 38.0 dB", "-", "-", "-", "-", "-"),
    )
    assert table.notes[-2:] == ("hm (published): a paper", "ntc (published): a repository")
    anchored = bd_tables.metrics_table(measured, COMPARED, "caecodec", [whole])
    assert anchored.rows[-1][:4] == ("hm (published)", "+100.0 %", "28.0 to 38.0 dB", "+100.0 %")
    # of other pictures it may not stand beside them, whatever the file says
    other = bd_tables.direct_table(of_metrics(caecodec=(0.5, 0.5, 0.5)), "caecodec", COMPARED, beside=[whole])
    assert other.rows == (("hm (published)", *("-",) * 7),)


def test_a_direct_bd_rate_is_that_of_the_comparison() -> None:
    measured = of_metrics(jpeg=(1.0, 1.0, 1.0), caecodec=(0.5, 0.4, 0.3))
    (cells,) = bd_tables.direct_table(measured, "caecodec", COMPARED).rows
    for metric, rate in zip(COMPARED, cells[1::2], strict=False):
        assert rate == f"{bd_tables.compare(measured, 'caecodec', 'jpeg', metric).bd_rate:+.1f} %"
    assert set(PSNRS) == {r.quality for r in measured.rows}
