from __future__ import annotations

import math

import pytest

from caecodec.bench.metrics.metrics import MS_SSIM, PSNR, SSIMULACRA2
from caecodec.bench.rd.each import each_table
from caecodec.bench.rd.results import Results, Row
from caecodec.errors import UsageError


def row(codec: str, quality: int, picture: str, size: int, score: float | None, psnr: float = 30.0) -> Row:
    return Row(codec, "1", quality, picture, 100, 80, size, psnr, 4.0, ms_ssim=0.99, ssimulacra2=score)


OTHERS = [
    row("avif", 10, "a", 500, 40.0),
    row("avif", 20, "a", 1000, 52.0),
    row("avif", 90, "a", 4000, 79.0),
    row("avif", 10, "b", 100, 45.0),
    row("jpeg", 10, "a", 900, None),
]
MADE = Results(
    rows=[
        row("caecodec", 1, "a", 300, 20.0),
        row("caecodec", 46, "a", 1000, 50.0),
        row("caecodec", 60, "a", 1500, 60.0),
        row("caecodec", 78, "a", 5000, 80.0),
        row("caecodec", 46, "b", 90, 49.0),
        row("caecodec", 78, "b", 90, 49.0),
        *OTHERS,
    ]
)


def test_the_files_nearest_to_50_and_75_stand_beside_others_of_as_many_bytes() -> None:
    table = each_table(MADE, ["avif", "jpeg"], metric=SSIMULACRA2)
    assert table.columns == ("picture", "quality", "bytes", "SSIMULACRA2", "avif, same bytes", "jpeg, same bytes")
    assert table.rows == (
        ("a", "46", "1,000", "50.0", "52.0", "-"),
        ("a", "78", "5,000", "80.0", "79.0", "-"),  # their best file: none has as many bytes
        ("b", "46, 78", "90", "49.0", "none so small: 100 bytes", "-"),
        ("as good or better", "", "", "", "1 of 2", "0 of 0"),
    )
    assert table.notes == ("The last row counts where both have a file to compare",)


def test_others_are_interpolated_between_their_files() -> None:
    between = Results(rows=[row("caecodec", 50, "a", 2000, 70.0), *OTHERS])
    cell = each_table(between, ["avif"], metric=SSIMULACRA2).rows[0][4]
    assert 60 < float(cell) < 75


def test_lossless_files_of_either_side() -> None:
    lossless = row("caecodec", 75, "a", 700, 100.0, psnr=math.inf)
    ours = each_table(Results(rows=[lossless, *OTHERS]), ["avif"], metric=PSNR)
    assert (ours.rows[0][3:], ours.rows[1][4]) == (("lossless", "30.00 dB"), "1 of 1")
    theirs = Results(
        rows=[*OTHERS, row("avif", 100, "a", 800, 100.0, psnr=math.inf), row("caecodec", 75, "a", 900, 90.0)]
    )
    assert each_table(theirs, ["avif"], metric=PSNR).rows[0][3:] == ("30.00 dB", "lossless")
    assert each_table(theirs, ["avif"], metric=PSNR).rows[1][4] == "0 of 1"


def test_levels_of_ms_ssim_are_in_decibels_and_a_note_says_so() -> None:
    table = each_table(MADE, ["avif"], metric=MS_SSIM)
    assert table.rows[0][3:] == ("20.00 dB", "20.00 dB")
    assert any("over dB" in note for note in table.notes)


def test_what_was_not_measured_is_said_with_how_to() -> None:
    with pytest.raises(UsageError, match="PSNR of caecodec is not measured"):
        each_table(Results(rows=OTHERS), ["avif"])
