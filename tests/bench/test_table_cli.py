"""`caecodec bench rd` and `caecodec bench table` as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import run

from caecodec.bench import report, results
from caecodec.bench.results import Results, Row


@pytest.fixture(autouse=True)
def keep_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """Results of two codecs, one of which failed once and one of which was not there."""
    rows = [
        Row(codec, "1", quality, picture, 100, 80, factor * 100 * quality, 24.0 + 3 * quality, 4.0, parts=known)
        for codec, factor, known in (("jpeg", 2, None), ("webp", 1, None))
        for picture in ("a", "b")
        for quality in (1, 2, 3, 4)
    ]
    rows[-1] = Row("webp", "1", 4, "b", 100, 80, error="RuntimeError: broken")
    path = tmp_path / "rd.json"
    results.save(Results(pictures={"a": "1", "b": "2"}, unavailable={"vvc": "no binary"}, rows=rows), path)
    return path


def test_bd_prints_the_table_with_what_failed_and_why(measured: Path) -> None:
    done = run("bench", "table", measured, "--bd", "--anchor", "jpeg", "--markdown")
    assert (done.code, done.err) == (0, "")
    assert done.out.decode() == report.comparison_table(results.load(measured), "jpeg").markdown() + "\n"
    assert "| webp | -50.0 % |" in done.out.decode()
    plain = run("bench", "table", measured, "--bd", "--anchor", "webp").out.decode()
    assert "+100.0 %" in plain
    assert "webp failed on b at quality 4: RuntimeError: broken" in plain
    assert "vvc could not be measured: no binary" in plain


def test_metrics_and_overhead_take_the_codecs_that_are_named(measured: Path) -> None:
    done = run("bench", "table", measured, "--metrics", "--codecs", "jpeg", "--markdown")
    assert done.code == 0
    assert "| jpeg, 1 |" in done.out.decode()
    assert "| webp, " not in done.out.decode()
    refused = run("bench", "table", measured, "--overhead")
    assert refused.code == 2
    assert "measure them again" in refused.err


def test_published_curves_are_refused_beside_other_pictures(measured: Path) -> None:
    refused = run("bench", "table", measured, "--bd", "--published", "vtm")
    assert refused.code == 2
    assert "these are other pictures" in refused.err


def test_rd_keeps_files_and_measures_the_metrics_asked_for(picture_file: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "r.json", tmp_path / "kept"
    arguments = ("bench", "rd", picture_file, "--codecs", "jpeg,webp", "--qualities", "20,60", "-o", file)
    assert run(*arguments, "--metrics", "psnr").code == 0
    assert all(row.ssim is None for row in results.load(file).rows)
    assert run(*arguments, "--metrics", "all", "--keep", folder).code == 0
    rows = results.load(file).rows
    assert all(row.ssim is not None and row.ssimulacra2 is not None for row in rows)
    kept = {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*.*")}
    assert kept == {f"{r.codec}/img-q{r.quality}.{'jpg' if r.codec == 'jpeg' else 'webp'}": r.bytes for r in rows}


def test_an_unknown_metric_is_refused_before_anything_is_measured(picture_file: Path, tmp_path: Path) -> None:
    refused = run("bench", "rd", picture_file, "--metrics", "vmaf", "-o", tmp_path / "r.json")
    assert refused.code == 2
    assert "no metric 'vmaf'" in refused.err
    assert not (tmp_path / "r.json").exists()
