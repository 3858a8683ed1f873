from __future__ import annotations

import math

import pytest

from caecodec.bench.metrics.metrics import MS_SSIM, PSNR, SSIMULACRA2
from caecodec.bench.rd.each import each_table
from caecodec.bench.rd.results import Results, Row
from caecodec.errors import UsageError


def row(codec: str, quality: int, picture: str, size: int, score: float | None, psnr: float = 30.0) -> Row:
    return Row(codec, "1", quality, picture, 100, 80, size, psnr, 4.0, ms_ssim=0.99, ssimulacra2=score)


MADE = Results(
    rows=[
        row("caecodec", 50, "a", 1000, 50.0),
        row("caecodec", 60, "a", 1500, 60.0),
        row("caecodec", 75, "a", 5000, 80.0),
        row("caecodec", 50, "b", 90, 49.0),
        row("avif", 10, "a", 500, 40.0),
        row("avif", 20, "a", 1000, 52.0),
        row("avif", 90, "a", 4000, 79.0),
        row("avif", 10, "b", 100, 45.0),
        row("jpeg", 10, "a", 900, None),
    ]
)


def test_others_stand_at_the_bytes_of_ours_and_the_last_row_counts() -> None:
    table = each_table(MADE, ["avif", "jpeg"], metric=SSIMULACRA2)
    assert table.columns == ("picture", "quality", "bytes", "SSIMULACRA2", "avif, as many bytes", "jpeg, as many bytes")
    assert table.rows == (
        ("a", "50", "1,000", "50.0", "52.0", "-"),
        ("a", "75", "5,000", "80.0", "79.0", "-"),  # their best file: none has as many bytes
        ("b", "50", "90", "49.0", "none so small: 100 bytes", "-"),
        ("caecodec as good or better", "", "", "", "1 of 2", "0 of 0"),
    )


def test_a_lossless_file_is_as_good_as_any_and_levels_have_their_unit() -> None:
    lossless = Results(rows=[row("caecodec", 75, "a", 700, 100.0, psnr=math.inf), *MADE.rows[4:]])
    assert each_table(lossless, ["avif"], metric=PSNR).rows[0][3:] == ("lossless", "30.00 dB")
    assert each_table(lossless, ["avif"], metric=PSNR).rows[1][4] == "1 of 1"
    assert each_table(lossless, ["avif"], metric=MS_SSIM).rows[0][3:] == ("20.00 dB", "20.00 dB")


def test_what_was_not_measured_is_said_with_how_to() -> None:
    with pytest.raises(UsageError, match="--codecs caecodec --qualities 50,75"):
        each_table(Results(rows=MADE.rows[4:]), ["avif"])
