from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import contents, run

from caecodec.bench.pictures import Picture, Pixels, find_pictures
from caecodec.bench.words.reader import Tesseract, Word
from caecodec.bench.words.run import WordResults, load_words, measure_words
from caecodec.errors import FileSystemError, UsageError

TEXTS = ("alpha", "beta", "gamma", "delta")
needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract (tesseract-ocr) is missing")


@dataclass(frozen=True, slots=True)
class Pretender(Tesseract):
    program: str = "none"
    version: str = "pretender 1"
    reads: list[float] = field(default_factory=list)

    def read(self, pixels: Pixels) -> list[Word]:
        self.reads.append(float(pixels.mean()))
        bright = round(float(pixels.mean()) / 50)
        return [Word(text, 60 * place, 0, 40, 10, 90) for place, text in enumerate(TEXTS[:bright])]


@dataclass(frozen=True, slots=True)
class Dimming:
    """A codec of qualities 1 to 40 with a byte each that gives a picture as bright as its quality times 5."""

    name: str = "dimming"
    version: str = "1"
    qualities: tuple[int, ...] = (1, 40)
    extension: str = "dim"
    calls: list[int] = field(default_factory=list)
    fails: bool = False

    def encode(self, array: Pixels, quality: int) -> bytes:
        self.calls.append(quality)
        if self.fails:
            raise RuntimeError("no light")
        return bytes([quality]) * quality

    def decode(self, data: bytes) -> Pixels:
        return np.full((8, 10, 3), 5 * data[0], np.uint8)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    for name, light in (("a", 200), ("b", 100), ("dark", 0)):
        Image.new("RGB", (10, 8), (light,) * 3).save(tmp_path / f"{name}.png")
    return find_pictures([tmp_path])


def measured(codecs: Sequence[Any], pictures: Sequence[Picture], path: Path, tesseract: Tesseract) -> WordResults:
    return measure_words(codecs, pictures, path, targets=[1.0, 3.0], tesseract=tesseract)


def test_each_codec_takes_the_quality_nearest_to_the_rate_and_its_words_are_counted(
    pictures: list[Picture], tmp_path: Path
) -> None:
    made = measured([Dimming()], pictures, tmp_path / "r.json", Pretender())
    assert made.words == {"a": list(TEXTS), "b": ["alpha", "beta"], "dark": []}
    assert [(row.picture, row.target_bpp, row.quality, row.bpp) for row in made.rows] == [
        ("a", 1.0, 10, 1.0), ("b", 1.0, 10, 1.0), ("a", 3.0, 30, 3.0), ("b", 3.0, 30, 3.0),
    ]  # fmt: skip
    assert [(row.found, row.words) for row in made.rows] == [(1, 4), (1, 2), (3, 4), (2, 2)]
    assert made.rows[0].psnr == pytest.approx(20 * np.log10(255 / 150), abs=1e-3)
    assert load_words(tmp_path / "r.json") == made


def test_a_run_goes_on_where_it_ended_and_measures_again_what_changed(pictures: list[Picture], tmp_path: Path) -> None:
    path, codec, tesseract = tmp_path / "r.json", Dimming(), Pretender()
    first = measured([codec], pictures[:1], path, tesseract)
    before = len(codec.calls)
    assert measured([codec], pictures[:1], path, tesseract).rows == first.rows
    assert len(codec.calls) == before

    both = measured([codec, Dimming("other")], pictures[:2], path, tesseract)
    assert both.codecs == ["dimming", "other"]
    assert len(both.rows) == 8

    newer = measured([replace(codec, version="2")], pictures[:2], path, tesseract)
    assert {row.version for row in newer.rows if row.codec == "dimming"} == {"2"}
    assert len(newer.rows) == 8

    Image.new("RGB", (10, 8), (150,) * 3).save(pictures[0].path)
    repainted = measured([replace(codec, version="2")], find_pictures([pictures[0].path]), path, tesseract)
    assert repainted.words["a"] == ["alpha", "beta", "gamma"]
    assert len(repainted.rows) == 6  # those of the other codec were of other pixels


def test_a_file_that_another_reader_wrote_is_refused_and_left_alone(pictures: list[Picture], tmp_path: Path) -> None:
    measured([Dimming()], pictures, tmp_path / "r.json", Pretender())
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=r"pretender 1.*pretender 2"):
        measured([Dimming()], pictures, tmp_path / "r.json", Pretender(version="pretender 2"))
    assert contents(tmp_path) == before


def test_a_codec_that_fails_is_a_row_with_its_reason_and_is_tried_again(
    pictures: list[Picture], tmp_path: Path
) -> None:
    made = measured([Dimming(fails=True)], pictures, tmp_path / "r.json", Pretender())
    assert {row.error for row in made.failures} == {"RuntimeError: no light"}
    assert len(made.failures) == 4
    assert measured([Dimming()], pictures, tmp_path / "r.json", Pretender()).failures == []


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"format": 1, "kind": "rd"}', '{"format": 1, "kind": "words", "reader": "x"}', "[]"],
)
def test_another_file_is_no_results_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UsageError, match=r"r\.json"):
        load_words(tmp_path / "r.json")
    with pytest.raises(FileSystemError):
        load_words(tmp_path / "none.json")


def test_without_tesseract_the_error_names_the_package(
    picture_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("bench", "words", picture_file, "-o", tmp_path / "r.json")
    assert result.code == 2
    assert "tesseract" in result.err
    assert "apt install tesseract-ocr" in result.err
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("PICTURE", "--show", "FILE"),
        ("PICTURE", "--bpp", "0.2,x"),
        ("PICTURE", "--bpp", "0"),
        ("PICTURE", "--bpp", ","),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], picture_file: Path, tmp_path: Path) -> None:
    given = [str(picture_file) if one == "PICTURE" else one for one in arguments]
    result = run("bench", "words", *given, "-o", tmp_path / "r.json")
    assert result.code == 2
    assert not (tmp_path / "r.json").exists()


@needs_tesseract
def test_the_command_measures_and_prints_the_table(sign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VIPS_CONCURRENCY"):
        monkeypatch.setenv(variable, "1")
    path = tmp_path / "out" / "r.json"
    done = run("bench", "words", sign, "--codecs", "caecodec:photo,jpeg", "--bpp", "0.5,1.5", "-o", path, "--markdown")
    assert (done.code, done.err) == (0, "")
    assert "| 1 pictures, 6 words |" in done.out.decode()
    assert "caecodec:photo, 1.5 bpp" in done.out.decode()
    rows = json.loads(path.read_text())["rows"]
    assert [(row["codec"], row["target_bpp"]) for row in rows] == [
        ("caecodec:photo", 0.5), ("caecodec:photo", 1.5), ("jpeg", 0.5), ("jpeg", 1.5),
    ]  # fmt: skip
    assert all(abs(row["bpp"] / row["target_bpp"] - 1) < 0.1 for row in rows if row["target_bpp"] == 1.5)
