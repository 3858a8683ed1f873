from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support import contents, run

from caecodec.bench.words import report
from caecodec.bench.words.run import WordResults, WordRow, save_words
from caecodec.errors import UsageError


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
