from __future__ import annotations

from pathlib import Path

import pytest
from rd_rows import GRIDS, PSNRS, made, of_metrics, row, without

from caecodec.bench.metrics import bdrate
from caecodec.bench.metrics.metrics import MS_SSIM, SSIMULACRA2
from caecodec.bench.rd import report
from caecodec.bench.rd.results import Results, load_rd, save_rd
from caecodec.errors import UsageError


def test_table_numbers_equal_the_json(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    save_rd(made(jpeg=1.0, webp=0.8, avif=0.5, caecodec=0.4), path)
    loaded = load_rd(path)
    table = report.rate_table(loaded, ["jpeg", "webp", "avif"])
    measured = {r.quality: [] for r in loaded.rows}  # type: dict[int, list[Row]]
    for r in loaded.rows:
        if r.codec == "caecodec":
            measured[r.quality].append(r)
    curves = {name: loaded.mean_curve(name, {"a", "b"}) for name in GRIDS}
    for cells in table.rows[:-2]:
        quality = int(cells[0].removeprefix("quality "))
        bpp = sum(8 * (r.bytes or 0) / 8000 for r in measured[quality]) / 2
        assert cells[1] == f"{PSNRS[quality]:.2f} dB"
        assert cells[2] == f"{bpp:.3f} bpp"
        for cell, name in zip(cells[3:], GRIDS, strict=True):
            assert cell == f"{bdrate.rate_at(curves[name], PSNRS[quality]):.3f} bpp"
    assert table.rows[-2][3:] == ("-60.0 %", "-50.0 %", "-20.0 %")
    assert table.rows[-1][3:] == ("26.0 to 38.0 dB",) * 3
    assert table.columns[0] == "2 pictures"


def test_table_takes_the_measured_quality_nearest_to_each_rate_once() -> None:
    table = report.rate_table(made(jpeg=1.0, caecodec=1.0), ["jpeg"])
    # mean bpp of the qualities: 0.75, 1.5, 3, 6, 12
    assert [cells[0] for cells in table.rows] == ["quality 1", "quality 20", "BD-rate of caecodec", "over"]


def test_table_says_where_the_other_codec_has_no_such_psnr() -> None:
    both = made(jpeg=1.0, caecodec=0.2)
    jpeg = [r for r in both.rows if r.codec == "jpeg" and r.quality in (40, 60)]
    table = report.rate_table(Results(rows=[*jpeg, *(r for r in both.rows if r.codec == "caecodec")]), ["jpeg"])
    cells = {r[0]: r[3] for r in table.rows}
    assert cells["quality 1"].startswith("at most ")
    assert cells["quality 80"].startswith("over ")


def test_table_by_a_metric_has_its_values_and_the_rates_at_the_same_of_it() -> None:
    measured = of_metrics(jpeg=(10.0, 10.0, 10.0), caecodec=(1.0, 0.5, 2.0))  # 0.5 bpp at 26 dB
    table = report.rate_table(measured, ["jpeg"], metric=MS_SSIM)
    assert table.columns == ("2 pictures", "MS-SSIM", "caecodec", "jpeg, same MS-SSIM")
    # 26 dB are 10 dB of MS-SSIM for jpeg, 13 for caecodec, for which jpeg needs 20 times as much
    assert table.rows[0] == ("quality 1", "0.9500", "0.500 bpp", "10.000 bpp")
    assert table.rows[-2:] == (("BD-rate of caecodec", "", "", "-95.0 %"), ("over", "", "", "13.0 to 22.0 dB"))
    assert table.notes == ("BD-rates by MS-SSIM are over dB: -10 log10(1 - MS-SSIM)",)
    table = report.rate_table(measured, ["jpeg"], metric=SSIMULACRA2)
    assert table.rows[0][1] == "-5.1"
    assert table.rows[-2:] == (("BD-rate of caecodec", "", "", "-80.0 %"), ("over", "", "", "10.0 to 54.9"))
    assert table.notes == ()


def test_table_by_a_metric_that_was_not_measured_is_refused_and_of_another_codec_a_dash() -> None:
    measured = of_metrics(jpeg=(10.0, 10.0, 10.0), caecodec=(1.0, 0.5, 2.0))
    with pytest.raises(UsageError, match="SSIMULACRA2 of caecodec is not measured: caecodec bench rd"):
        report.rate_table(without(measured, "caecodec", SSIMULACRA2), ["jpeg"], metric=SSIMULACRA2)
    table = report.rate_table(without(measured, "jpeg", SSIMULACRA2), ["jpeg"], metric=SSIMULACRA2)
    assert {cells[3] for cells in table.rows} == {"-"}


def test_table_without_a_shared_picture_is_refused() -> None:
    with pytest.raises(UsageError, match="no picture is measured in full by all of caecodec, jpeg"):
        report.rate_table(made(jpeg=1.0), ["jpeg"])


def test_beats_counts_wins_losses_and_what_is_not_reached() -> None:
    rows = []
    for picture in ("win", "lose", "short", "tiny"):
        for quality, size, psnr in ((25, 1000, 28.0), (50, 2000, 32.0), (90, 6000, 40.0)):
            rows.append(row("jpeg-progressive", quality, picture, size, psnr))
    ours = {
        "win": [(1, 500, 27.0), (50, 1500, 32.0), (100, 5500, 41.0)],
        "lose": [(1, 1200, 27.0), (50, 2400, 32.0), (100, 9000, 41.0)],
        "short": [(1, 500, 27.0), (50, 1500, 32.0), (100, 3000, 39.9)],
        "tiny": [(1, 700, 29.0), (50, 2010, 32.0), (100, 5990, 40.0)],
    }
    for picture, points in ours.items():
        rows += [row("caecodec", quality, picture, size, psnr) for quality, size, psnr in points]
    found = {(d.picture, d.quality): d for d in report.duels(Results(rows=rows))}
    assert [found["win", q].won for q in (25, 50, 90)] == [True, True, True]
    assert [found["lose", q].won for q in (25, 50, 90)] == [False, False, False]
    assert [found["short", q].won for q in (25, 50, 90)] == [True, True, False]
    assert found["short", 90].our_bytes is None
    # its smallest file is better than asked for, and smaller
    assert [found["tiny", q].won for q in (25, 50, 90)] == [True, False, True]
    table = report.duel_table(Results(rows=rows))
    assert table.rows[-1] == ("caecodec is smaller", "3 of 4", "2 of 4", "2 of 4")
    cells = {r[0]: r[1:] for r in table.rows}
    assert cells["short"][2] == "40.0 dB not reached"
    assert cells["tiny"] == ("-30.0 %", "+0.5 %", "-0.2 %")


def test_beats_without_common_pictures_is_refused() -> None:
    with pytest.raises(UsageError, match="no picture has rows of both"):
        report.duel_table(made(jpeg=1.0))
