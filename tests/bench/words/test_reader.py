from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caecodec.bench.pictures import load_pixels
from caecodec.bench.words import reader
from caecodec.bench.words.reader import Tesseract, Word
from caecodec.errors import UsageError

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
needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract (tesseract-ocr) is missing")


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
