from __future__ import annotations

import pytest
from page_files import data_of, growth_results, speed_results

from caecodec.bench.timing import report


def test_speed_and_growth_tables_are_those_of_the_terminal(html: str) -> None:
    data = data_of(html)
    for shown, tables in (
        (data["speed"][0]["tables"], report.speed_tables(speed_results())),
        (data["growth"][0]["tables"], report.growth_tables(growth_results())),
    ):
        assert [(t["columns"], t["rows"]) for t in shown] == [
            (list(t.columns), [list(row) for row in t.rows]) for _, t in tables
        ]


def test_bars_and_growth_curves_are_medians_of_rounds(html: str) -> None:
    data = data_of(html)
    first = data["speed"][0]["panels"][0]["bars"][0]
    assert (first["codec"], first["median"], first["low"], first["high"]) == ("caecodec", 1.1, 1.0, 1.2)
    assert first["t"] == "1.10 (1.00 to 1.20)"
    growth = {panel["title"]: panel["series"][0]["points"] for panel in data["growth"][0]["panels"]}
    assert growth["Encode time"][-1]["y"] == pytest.approx(1.05 * 24)
    assert [point["y"] for point in growth["Encode time of a batch"]] == [1.4, 5.0]
    assert growth["Peak memory of encode"][-1]["t"].endswith("1,200 MiB")
