from __future__ import annotations

import math

import pytest

from caecodec.bench.rd import bd_tables, means, report
from caecodec.bench.rd.results import Results, Row
from caecodec.errors import UsageError


def row(codec: str, quality: int, picture: str, size: int, **more: object) -> Row:
    """100x80 pixels: 24,000 raw bytes, 1,000 bytes are 1 bpp."""
    values: dict[str, object] = {"psnr": 30.0 + quality / 10, "mse": 4.0, "ssim": 0.9, "ms_ssim": 0.95} | more
    return Row(codec, "1", quality, picture, 100, 80, size, **values)  # type: ignore[arg-type]


def parts(headers: int, scans: int) -> dict[str, object]:
    return {"parts": {"headers": headers, "scans": scans}}


MADE = Results(
    rows=[
        row("jpeg", 10, "a", 200, mse=1.0, **parts(40, 160)),
        row("jpeg", 10, "b", 300, mse=9.0, **parts(40, 260)),
        row("jpeg", 50, "a", 1000, **parts(40, 960)),
        row("jpeg", 50, "b", 1100, **parts(40, 1060)),
        row("jpeg", 90, "a", 9000, psnr=math.inf, **parts(40, 8960)),
        row("jpeg", 90, "b", 9000, **parts(40, 8960)),
        row("webp", 50, "a", 1000, ssimulacra2=70.25, ms_ssim=None),
        Row("webp", "1", 50, "b", 100, 80, error="RuntimeError: broken"),
        Row("webp", "1", 60, "b", 100, 80, error="RuntimeError: broken"),
    ],
    unavailable={"vvc": "no binary"},
)


def test_mean_table_has_every_metric_of_the_qualities_near_round_rates() -> None:
    table = means.mean_table(MADE, ["jpeg"])
    assert table.columns[:5] == ("codec, quality", "bytes", "bpp", "saved", "ratio")
    assert table.columns[5:] == ("PSNR", "RMSE", "SSIM", "MS-SSIM", "SSIMULACRA2", "pictures")
    assert table.rows == (
        ("jpeg, 10", "250", "0.250", "98.96 %", "96.0", "31.00 dB", "2.00", "0.9000", "0.9500", "-", "2"),
        ("jpeg, 50", "1,050", "1.050", "95.62 %", "22.9", "35.00 dB", "2.00", "0.9000", "0.9500", "-", "2"),
    )


def test_a_failure_is_a_note_and_not_in_the_means() -> None:
    table = means.mean_table(MADE)
    assert table.rows[-1][0] == "jpeg, 50"  # webp has no picture with all of its qualities
    assert table.notes == (
        "vvc could not be measured: no binary",
        "webp failed on b at quality 50, 60: RuntimeError: broken",
    )
    assert table.markdown().endswith(
        "|\n\n- vvc could not be measured: no binary\n- webp failed on b at quality 50, 60: RuntimeError: broken"
    )
    assert bd_tables.comparison_table(MADE).notes == table.notes
    assert report.failure_notes(MADE, ["jpeg", "webp"]) == table.notes[1:]


def test_a_metric_that_a_picture_lacks_is_a_dash() -> None:
    alone = Results(rows=[r for r in MADE.rows if r.codec == "webp" and r.picture == "a"])
    assert means.mean_table(alone).rows == (
        ("webp, 50", "1,000", "1.000", "95.83 %", "24.0", "35.00 dB", "2.00", "0.9000", "-", "70.2", "1"),
    )


def test_overhead_table_has_the_lowest_middle_and_highest_quality() -> None:
    table = means.overhead_table(MADE)
    assert table.columns == ("codec, quality", "bytes", "headers", "scans")
    assert table.rows == (
        ("jpeg, 10", "250", "40 (16.0 %)", "210 (84.0 %)"),
        ("jpeg, 50", "1,050", "40 (3.8 %)", "1,010 (96.2 %)"),
        ("jpeg, 90", "9,000", "40 (0.4 %)", "8,960 (99.6 %)"),
    )


def test_parts_of_other_names_have_dashes() -> None:
    ours = row("caecodec", 5, "a", 100, parts={"header": 20, "latents": 80})
    table = means.overhead_table(Results(rows=[ours, row("jpeg", 5, "a", 200, **parts(40, 160))]))
    assert table.columns[2:] == ("header", "latents", "headers", "scans")
    assert table.rows[0][2:] == ("20 (20.0 %)", "80 (80.0 %)", "-", "-")
    assert table.rows[1][2:] == ("-", "-", "40 (20.0 %)", "160 (80.0 %)")


def test_codecs_without_rows_and_files_without_parts_are_refused() -> None:
    with pytest.raises(UsageError, match="no rows of gif; there are jpeg, webp"):
        means.mean_table(MADE, ["jpeg", "gif"])
    with pytest.raises(UsageError, match="parts of these files are not known"):
        means.overhead_table(MADE, ["webp"])
