"""`caecodec bench rd` as it is typed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image
from support import photograph, run

from caecodec.bench.codecs import registry
from caecodec.bench.codecs.pillow import PillowCodec
from caecodec.bench.codecs.protocol import BenchCodec
from caecodec.bench.metrics import metrics
from caecodec.bench.pictures import Pixels
from caecodec.bench.rd.results import load_rd


def test_rd_then_table_and_beats(picture_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    codecs = ("--codecs", "caecodec,jpeg,jpeg-progressive", "--qualities", "5,25,50,90")
    done = run("bench", "rd", picture_file, *codecs, "-o", file)
    assert (done.code, done.err) == (0, "")
    assert b"BD-rate vs jpeg" in done.out
    assert len(load_rd(file).rows) == 12
    done = run("bench", "table", file, "--against", "jpeg", "--markdown")
    assert done.code == 0
    assert done.out.startswith(b"| 1 pictures | PSNR | caecodec | jpeg, same PSNR |\n")
    done = run("bench", "beats", file)
    assert done.code == 0
    assert b"caecodec is smaller" in done.out


def test_failures_and_missing_codecs_are_reported_at_the_end(
    picture_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(PillowCodec):
        """Works on the small picture that tries it and on no other."""

        __slots__ = ()

        def encode(self, array: Pixels, quality: int) -> bytes:
            if array.shape[0] != array.shape[1]:
                raise RuntimeError("cannot do this one")
            return super().encode(array, quality)

    def failing(name: str) -> BenchCodec:
        return Failing(name, "1", (10, 20), "PNG", {}, lambda quality: {})

    def broken(name: str) -> BenchCodec:
        raise ImportError("no library for it")

    monkeypatch.setattr(registry, "CODECS", {"jpeg": registry.CODECS["jpeg"], "failing": failing, "new": broken})
    file = tmp_path / "r.json"
    done = run("bench", "rd", picture_file, "--codecs", "all", "-o", file)
    assert done.code == 8
    assert "caecodec: warning: new does not work here: ImportError: no library for it" in done.err
    assert "img, failing at quality 10: RuntimeError: cannot do this one" in done.err
    assert "2 of 16 measurements failed" in done.err
    assert b"jpeg" in done.out


def test_one_line_says_what_to_install(picture_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bjontegaard", None)
    done = run("bench", "rd", picture_file, "--codecs", "jpeg", "-o", tmp_path / "r.json")
    assert (done.code, done.out) == (2, b"")
    assert len(done.error_lines) == 1
    assert "pip install caecodec[bench]" in done.err
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("qualities", ["a", "1,,2", ""])
def test_qualities_that_are_no_numbers_are_refused(qualities: str, picture_file: Path) -> None:
    done = run("bench", "rd", picture_file, "--codecs", "jpeg", "--qualities", qualities)
    assert done.code == 2
    assert "--qualities" in done.err


def test_the_table_is_against_the_first_codec_where_jpeg_was_not_measured(picture_file: Path, tmp_path: Path) -> None:
    codecs = ("--codecs", "webp,jpeg2000", "--metrics", "psnr")
    done = run("bench", "rd", picture_file, *codecs, "-o", tmp_path / "r.json")
    assert (done.code, done.err) == (0, "")
    assert b"BD-rate vs webp" in done.out


def test_results_are_named_after_the_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "birds").mkdir()
    Image.fromarray(photograph(24, 32)).save(tmp_path / "birds" / "a.png")
    assert run("bench", "rd", "birds", "--codecs", "jpeg", "--qualities", "50", "--metrics", "psnr").code == 0
    assert (tmp_path / "results" / "rd-birds.json").is_file()


def test_rd_measures_every_metric_unless_told_otherwise(picture_file: Path, tmp_path: Path) -> None:
    done = run("bench", "rd", picture_file, "--codecs", "jpeg", "--qualities", "50", "-o", tmp_path / "r.json")
    assert done.code == 0
    (row,) = load_rd(tmp_path / "r.json").rows
    assert not row.lacks(metrics.ASKABLE)
    assert row.ssimulacra2 is not None


def test_rd_keeps_files_and_measures_the_metrics_asked_for(picture_file: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "r.json", tmp_path / "kept"
    arguments = ("bench", "rd", picture_file, "--codecs", "jpeg,webp", "--qualities", "20,60", "-o", file)
    assert run(*arguments, "--metrics", "psnr").code == 0
    assert all(row.ssim is None for row in load_rd(file).rows)
    assert run(*arguments, "--metrics", "all", "--keep", folder).code == 0
    rows = load_rd(file).rows
    assert all(row.ssim is not None and row.ssimulacra2 is not None for row in rows)
    kept = {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*.*")}
    assert kept == {f"{r.codec}/img-q{r.quality}.{'jpg' if r.codec == 'jpeg' else 'webp'}": r.bytes for r in rows}


def test_an_unknown_metric_is_refused_before_anything_is_measured(picture_file: Path, tmp_path: Path) -> None:
    refused = run("bench", "rd", picture_file, "--metrics", "vmaf", "-o", tmp_path / "r.json")
    assert refused.code == 2
    assert "no metric 'vmaf'" in refused.err
    assert not (tmp_path / "r.json").exists()
