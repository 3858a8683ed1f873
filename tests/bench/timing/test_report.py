from __future__ import annotations

import pytest
from timing_rows import grown

from caecodec.bench.timing import report
from caecodec.bench.timing.results import Aim, SpeedResults, SpeedRow

FAST = Aim(quality=50)


def test_the_exponent_is_of_the_larger_pictures() -> None:
    rows = grown(1.5).sizes
    assert report.slope(rows, "A", "encode") == pytest.approx(1.5)
    assert report.slope(rows, "A", "decode") == pytest.approx(1.0)
    assert report.slope(rows[:2], "A", "encode") is None
    assert report.slope(rows, "B", "encode") is None


def test_the_tables_have_the_numbers_of_the_file() -> None:
    (_, sizes), (_, slopes), (_, batches) = report.growth_tables(grown())
    assert sizes.rows[0] == ("A", "0.1", "7.00 (5.00 to 9.00) s", "5.00 (5.00 to 5.00) s", "10 MiB", "50 MiB")
    assert sizes.rows[3][:2] == ("A", "24")
    assert slopes.rows == (("A", "1.50", "1.00"),)
    assert batches.rows[2] == ("A", "100", "40", "9.09", "16.7", "300 MiB", "200 MiB")


def test_runs_apart_are_said_to_be_apart() -> None:
    rows = [SpeedRow("A", "1", "monday", 50, encode_mp_s=(1.0,)), SpeedRow("B", "1", "monday", 50)]
    results = SpeedResults(FAST, 2, 1, single={"picture": "a", "megapixels": 0.4}, codecs=rows)
    assert "took turns" not in report.speed_tables(results)[0][0]
    results.codecs[1] = SpeedRow("B", "1", "tuesday", 50)
    assert "2 runs: only codecs of the same run took turns" in report.speed_tables(results)[0][0]


def test_the_table_has_the_medians_of_the_file() -> None:
    row = SpeedRow(
        "A", "1", "monday", 50, 2, 0.7512, 33.333, (4.0, 1.0, 2.0), (200.0, 100.0, 300.0), (1.0,), (1.94,), 310.4,
        280.6, cold_encode_s=(2.0, 1.0), cold_decode_s=(0.5, 0.25),
    )  # fmt: skip
    results = SpeedResults(
        FAST, 2, 3, single={"picture": "a", "megapixels": 0.4}, references={"python": (0.02,)}, codecs=[row]
    )
    (_, warm), (_, cold) = report.speed_tables(results)
    assert warm.rows == (
        (
            *("A", "50", "0.751", "33.33 dB", "2.00 (1.00 to 4.00)", "200 (100 to 300)", "1.0, 1.9"),
            *("310 MiB", "281 MiB"),
        ),
    )
    assert cold.rows == (
        ("A", "1.50 (1.00 to 2.00)", "0.375 (0.250 to 0.500)"),
        ("only: python", "0.0200", "0.0200"),
    )
