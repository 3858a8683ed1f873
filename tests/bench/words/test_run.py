from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from support import contents, photograph, run

from caecodec.bench.pictures import Picture, Pixels, find_pictures, load_pixels
from caecodec.bench.words import reader, report
from caecodec.bench.words.reader import Tesseract, Word
from caecodec.bench.words.run import WordResults, WordRow, load_words, measure_words, save_words
from caecodec.errors import FileSystemError, UsageError

TSV = (
    "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"
    "1\t1\t0\t0\t0\t0\t0\t0\t400\t200\t-1\t\n"
    "4\t1\t1\t1\t1\t0\t20\t40\t200\t30\t-1\t\n"
    "5\t1\t1\t1\t1\t1\t20\t40\t60\t30\t96.5\tOPEN,\n"
    "5\t1\t1\t1\t1\t2\t90\t40\t40\t30\t95.0\tat\n"
    "5\t1\t1\t1\t1\t3\t140\t40\t80\t30\t79.9\tnight\n"
    "5\t1\t1\t1\t1\t4\t230\t40\t10\t30\t90.0\t|\n"
    "5\t1\t1\t1\t1\t5\t250\t40\t60\t30\t80.0\tco-op's\n"
    "5\t1\t1\t1\t1\t6\t320\t40\t60\t30\t99.0\t2024\n"
)


def word(
    text: str, left: float = 0, top: float = 0, width: float = 40, height: float = 10, confidence: float = 90
) -> Word:
    return Word(text, left, top, width, height, confidence)


def test_words_of_the_tsv_are_plain_and_their_boxes_those_of_the_picture() -> None:
    found = reader.parse(TSV, scale=2)
    assert [one.text for one in found] == ["open", "at", "night", "co-op's", "2024"]
    assert found[0] == Word("open", 10, 20, 30, 15, 96.5)


def test_only_confident_words_of_three_letters_count() -> None:
    assert [one.text for one in reader.references(reader.parse(TSV))] == ["open", "co-op's"]


def test_a_word_is_read_again_where_its_text_is_equal_and_its_place_the_same() -> None:
    wanted = [word("open")]
    assert reader.read_again(wanted, [word("open", left=3, top=2, confidence=5)]) == 1
    assert reader.read_again(wanted, [word("open", width=15)]) == 1  # in two boxes, as where a letter is set apart
    assert reader.read_again(wanted, [word("opem")]) == 0
    assert reader.read_again(wanted, [word("open", left=30)]) == 0
    assert reader.read_again(wanted, [word("open", top=200)]) == 0
    assert reader.read_again(wanted, [word("open", width=0)]) == 0
    assert reader.read_again(wanted, []) == 0


def test_no_word_stands_for_two_and_each_takes_the_nearest() -> None:
    assert reader.read_again([word("opp"), word("opp", left=2)], [word("opp", left=1)]) == 1
    beside = [word("opp"), word("opp", left=18)]
    assert reader.read_again(beside, [word("opp", left=17), word("opp")]) == 2


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
    ("body", "said"),
    [("echo no such language >&2; exit 3", "status 3: no such language"), ("exit 1", "status 1: it says nothing")],
)
def test_a_tesseract_that_fails_is_told(body: str, said: str, tmp_path: Path) -> None:
    program = tmp_path / "tesseract"
    program.write_text(f"#!/bin/sh\ncat > /dev/null\n{body}\n")
    program.chmod(0o755)
    with pytest.raises(UsageError, match=said):
        Tesseract(str(program), "tesseract 5").read(np.zeros((8, 8, 3), np.uint8))


# a reader that pretends: it reads as many of its words as the picture is bright


TEXTS = ("alpha", "beta", "gamma", "delta")


@dataclass(frozen=True, slots=True)
class Pretender(Tesseract):
    program: str = "none"
    version: str = "pretender 1"
    reads: list[float] = field(default_factory=list)

    def read(self, pixels: Pixels) -> list[Word]:
        self.reads.append(float(pixels.mean()))
        bright = round(float(pixels.mean()) / 50)
        return [word(text, left=60 * place) for place, text in enumerate(TEXTS[:bright])]


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


def results_of(**found: Sequence[int]) -> WordResults:
    """Two pictures of 10 and 2 words, one without any; what each codec found in the two."""
    made = WordResults("reader 1", pictures={"a": "1", "b": "2", "dark": "3"})
    made.words = {"a": ["word"] * 10, "b": ["word"] * 2, "dark": []}
    for codec, counts in found.items():
        for picture, count in zip("ab", counts, strict=False):
            row = WordRow(codec, "1", 0.5, picture, 8, 8, 50, 4, 0.5, 30.0, len(made.words[picture]), count)
            made.rows.append(row)
    return made


def test_the_table_pools_words_and_averages_pictures_and_counts_who_wins() -> None:
    made = report.word_table(results_of(ours=(5, 2), theirs=(7, 1), same=(5, 2)))
    assert made.columns[0] == "2 pictures, 12 words"
    assert made.columns[-1] == "pictures better, equal, worse than ours"
    assert made.rows == (
        ("ours, 0.5 bpp", "0.500", "7 (58.3 %)", "75.0 %", "-"),
        ("theirs, 0.5 bpp", "0.500", "8 (66.7 %)", "60.0 %", "1, 0, 1"),
        ("same, 0.5 bpp", "0.500", "7 (58.3 %)", "75.0 %", "0, 2, 0"),
    )
    assert made.notes[1:] == ("Without words that count: dark.",)


def test_pictures_whose_file_misses_the_rate_are_named_and_not_compared() -> None:
    results = results_of(ours=(5, 2), theirs=(7, 1))
    results.rows = [
        replace(row, bpp=0.56) if (row.codec, row.picture) == ("theirs", "a") else row for row in results.rows
    ]
    made = report.word_table(results)
    assert made.rows[1] == ("theirs, 0.5 bpp", "0.530", "8 (66.7 %)", "60.0 %", "0, 0, 1")
    assert made.notes[1].startswith(
        "No file within a tenth of the rate asked for: theirs at 0.5 bpp (1 of 2 pictures)."
    )


def test_the_table_is_of_pictures_that_all_of_its_codecs_have() -> None:
    results = results_of(ours=(5, 2), theirs=(7,))
    made = report.word_table(results)
    assert made.columns[0] == "1 pictures, 10 words"
    assert made.notes[-1] == "Left out, not measured by all of these codecs at all rates: b."
    assert len(report.word_table(results, ["ours"]).notes) == 2
    chosen = report.word_table(results, ["ours"], "theirs")
    assert [row[-1] for row in chosen.rows] == ["0, 0, 1"]
    with pytest.raises(UsageError, match="no codec none"):
        report.word_table(results, ["none"])
    with pytest.raises(UsageError, match="no codec none"):
        report.word_table(results, None, "none")
    results.rows = [replace(row, error="broken") for row in results.rows]
    with pytest.raises(UsageError, match="no picture"):
        report.word_table(results)


def test_show_prints_what_a_file_holds_and_measures_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    save_words(results_of(ours=(5, 2), theirs=(7, 1)), path)
    before = contents(tmp_path)
    shown = run("bench", "words", "--show", path, "--markdown", "--codecs", "theirs,ours")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.decode().startswith("| 2 pictures, 12 words | bpp | words read again | mean of pictures |")
    assert "| ours, 0.5 bpp | 0.500 | 7 (58.3 %) | 75.0 % | 1, 0, 1 |" in shown.out.decode()
    assert "theirs, 0.5 bpp" in run("bench", "words", "--show", path).out.decode()
    assert contents(tmp_path) == before


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


@pytest.fixture
def sign(tmp_path: Path) -> Path:
    """Words on a photograph, 320x160."""
    picture = Image.fromarray(photograph(160, 320))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((20, 20, 300, 140), fill="white")
    for line, text in enumerate(("Fresh bread", "every morning", "from seven")):
        draw.text((40, 26 + 36 * line), text, fill="black", font=ImageFont.load_default(26))
    path = tmp_path / "sign.png"
    picture.save(path)
    return path


needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract (tesseract-ocr) is missing")


@needs_tesseract
def test_words_on_a_sign_are_read_where_they_stand_and_lost_where_they_are_not_legible(sign: Path) -> None:
    tesseract = reader.find_tesseract()
    pixels = load_pixels(sign)
    wanted = reader.references(tesseract.read(pixels))
    assert [one.text for one in wanted] == ["fresh", "bread", "every", "morning", "from", "seven"]
    assert all(30 < one.left < 300 and 20 < one.top < 140 and 10 < one.height < 40 for one in wanted)
    small = Image.fromarray(pixels).resize((40, 20))
    blurred = np.asarray(small.resize((320, 160), Image.Resampling.BICUBIC))
    assert reader.read_again(wanted, tesseract.read(blurred)) == 0


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
