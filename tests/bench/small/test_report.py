from __future__ import annotations

import math
from pathlib import Path

import pytest
from small_pictures import made

from caecodec.bench.metrics import bdrate
from caecodec.bench.small.report import bytes_at, psnr_at, small_tables
from caecodec.bench.small.results import load_small, save_small
from caecodec.bench.table import markdown_of


def test_bytes_and_psnr_are_interpolated_in_the_logarithm_and_not_beyond_the_curve() -> None:
    curve = bdrate.curve([(100, 30.0), (400, 36.0), (1600, 40.0)])
    assert bytes_at(curve, 33.0) == pytest.approx(200)
    assert bytes_at(curve, 38.0) == pytest.approx(800)
    assert psnr_at(curve, 200) == pytest.approx(33.0)
    assert psnr_at(curve, 1600) == pytest.approx(40.0)
    assert [bytes_at(curve, p) for p in (29.9, 40.1)] == [None, None]
    assert [psnr_at(curve, b) for b in (99, 1601)] == [None, None]
    assert bytes_at(bdrate.curve([]), 30.0) is None


def test_tables_of_results_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    save_small(made(), path)
    assert '"rmse":0.04' in path.read_text(encoding="utf-8")
    loaded = load_small(path)
    assert loaded.rows == made().rows
    (first, sources), (_, drawn), (_, models), (_, rivals), (_, asked) = small_tables(loaded)
    assert first.startswith("Test pictures: cifar10 10 (curves: 5). ")
    assert sources.rows[0][3:] == ("28.00 dB, 32,768 bytes", "27.00 dB, 153.6 bytes", "95.00 %")
    cells = dict(zip(drawn.columns, drawn.rows[0], strict=True))
    assert (cells["PSNR"], cells["MSE"], cells["RMSE"], cells["SSIM"]) == ("28.00 dB", "0.001600", "0.0400", "0.9000")
    assert cells["latents as floats"] == "32,768 bytes"
    cells = dict(zip(models.columns, models.rows[0], strict=True))
    assert cells["PSNR"] == "27.00 dB, below 27.70"
    assert (cells["RMSE"], cells["bytes"], cells["real rate"]) == ("0.0400", "153.6", "95.00 %")
    cells = dict(zip(rivals.columns, rivals.rows[0], strict=True))
    assert cells["tiny, same PSNR"] == f"{50 * 2**0.5:.1f}"
    assert cells["JPEG, same PSNR"] == f"{600 * 2**0.5:.1f} ({100 * 2**0.5:.1f})"
    assert cells["JPEG, same bytes"] == f"cannot: smallest is 600 bytes ({24 + 6 * math.log2(1.536):.2f} dB)"
    assert cells["WebP, same PSNR"] == "- (-)"
    assert asked.rows[0] == ("at most 100 bytes", "tiny", "33", "29.90 dB", "0.9000", "99.5", "96.76 %")
    assert asked.rows[1][0] == "at least 38.0 dB: not reached"


def test_without_a_run_as_drawn_the_table_says_so() -> None:
    results = made()
    results.rows = [r for r in results.rows if r.kind != "drawn"]
    assert small_tables(results)[0][1].rows[0][3] == "not at hand"
    cells = small_tables(results)[1][1].rows[0]
    assert cells[4:] == ("not at hand", *["-"] * 4)


def test_markdown_has_a_text_before_each_table() -> None:
    blocks = markdown_of(small_tables(made())).split("\n\n")
    assert [block.startswith("| ") for block in blocks] == [False, True] * 5
