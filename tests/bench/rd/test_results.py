from __future__ import annotations

import json
from pathlib import Path

import pytest

from caecodec.bench.rd.results import Results, Row, load_rd
from caecodec.errors import FileSystemError, UsageError


def test_means_are_of_every_picture_or_none() -> None:
    small = Row("c", "1", 5, "a", 10, 10, 30, 30.0, 4.0, ssim=0.8, ms_ssim=0.9)
    large = Row("c", "1", 5, "b", 20, 20, 60, 40.0, 16.0, ssim=0.6, parts={"headers": 20, "scans": 40})
    (point,) = Results(rows=[small, large]).mean_points("c", {"a", "b"})
    assert (point.bytes, point.psnr, point.rmse) == (45, 35, 3)
    assert point.bpp == pytest.approx((2.4 + 1.2) / 2)
    assert point.ratio == pytest.approx(1500 / 90)
    assert point.compression_rate == pytest.approx(0.94)
    assert point.ssim == pytest.approx(0.7)
    assert (point.ms_ssim, point.ssimulacra2, point.parts) == (None, None, None)
    (alone,) = Results(rows=[small, large]).mean_points("c", {"b"})
    assert alone.parts == {"headers": 20, "scans": 40}


def test_results_of_the_first_format_are_read_and_of_another_kind_refused(tmp_path: Path) -> None:
    row = {"codec": "jpeg", "version": "1", "quality": 5, "picture": "a", "width": 8, "height": 8}
    row |= {"bytes": 9, "psnr": 30.0, "mse": 65.0}
    head = {"format": 1, "environment": {}, "pictures": {}, "unavailable": {}}
    path = tmp_path / "r.json"
    path.write_text(json.dumps(head | {"rows": [row]}))
    (read,) = load_rd(path).rows
    assert (read.psnr, read.ssim, read.parts) == (30.0, None, None)
    assert not read.lacks(("ms_ssim", "ssim"))
    path.write_text(json.dumps(head | {"format": 2, "kind": "speed", "codecs": []}))
    with pytest.raises(UsageError, match="results of speed format 2, not rd format 2"):
        load_rd(path)
    path.write_text(json.dumps(head | {"format": 3, "rows": []}))
    with pytest.raises(UsageError, match="results of format 3"):
        load_rd(path)


def test_what_is_no_results_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("[]")
    with pytest.raises(UsageError, match="not a results file"):
        load_rd(tmp_path / "r.json")
    with pytest.raises(FileSystemError):
        load_rd(tmp_path / "none.json")
