from __future__ import annotations

import json
from pathlib import Path

import pytest

from caecodec.bench.metrics import published
from caecodec.bench.rd import bd_tables
from caecodec.bench.rd.results import Results, Row
from caecodec.errors import FileSystemError, UsageError

POINTS = {"source": "a paper", "bpp": [0.1, 0.2, 0.4], "psnr": [30.0, 33.0, 36.0]}


def kodak(pictures: frozenset[str] = published.KODAK) -> Results:
    """JPEG at the same PSNRs, twice the rate."""
    rows = [
        Row("jpeg", "1", quality, picture, 80, 100, 2000 * quality // 10, 27.0 + 3 * place, 1.0)
        for picture in sorted(pictures)
        for place, quality in enumerate((1, 2, 4, 8), 1)
    ]
    return Results(pictures=dict.fromkeys(pictures, "hash"), rows=rows)


def test_what_ships_has_a_source_for_every_curve_and_rising_points() -> None:
    curves = published.load_curves()
    assert {"jpeg", "webp", "vtm", "hm", "bpg_444_x265_ycbcr"} <= curves.keys()
    for name, one in curves.items():
        assert one.name == name
        assert one.source
        assert len(one.bpp) >= 3
        assert all(0 < bpp < 24 for bpp in one.bpp)
        assert len(one.curve().rates) >= 2
        assert not one.source.startswith("measured")


def test_the_committed_file_is_small() -> None:
    assert published.FILE.stat().st_size < 100_000


def test_measurements_and_curves_without_psnr_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    path.write_text(
        json.dumps(
            {
                "a": POINTS | {"msssim": [0.9, 0.95, 0.98]},
                "run-b": POINTS,
                "c": POINTS | {"psnr": [None, None, None], "msssim": [0.9, 0.95, 0.98]},
            }
        )
    )
    (only,) = published.load_curves(path).values()
    assert only == published.Published("a", "a paper", (0.1, 0.2, 0.4), (30.0, 33.0, 36.0), (0.9, 0.95, 0.98))
    assert only.curve().rates == (0.1, 0.2, 0.4)


@pytest.mark.parametrize(
    "text",
    ["[]", "no json", '{"a": {}}', '{"a": {"source": "s", "bpp": [1], "psnr": [30, 31]}}', '{"a": 3}'],
)
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="not a file of published curves"):
        published.load_curves(path)
    with pytest.raises(FileSystemError, match=r"none\.json"):
        published.load_curves(tmp_path / "none.json")


def test_curves_go_beside_kodak_only() -> None:
    assert published.fits(published.KODAK)
    assert not published.fits(published.KODAK - {"kodim07"})
    assert not published.fits(published.KODAK | {"other"})
    assert published.select([], {"other"}) == []
    with pytest.raises(UsageError, match="other pictures"):
        published.select(["vtm"], {"other"})
    with pytest.raises(UsageError, match="no published curve vtn"):
        published.select(["vtn"], published.KODAK)


def test_published_rows_are_marked_with_their_source_and_come_after_the_measured(tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    path.write_text(json.dumps({"half": POINTS, "other": POINTS}))
    beside = published.select(["half"], published.KODAK, path)
    results = kodak()
    table = bd_tables.comparison_table(results, "jpeg", beside)
    assert [row[0] for row in table.rows] == ["jpeg", "half (published)"]
    assert table.rows[1][1] == "-50.0 %"
    assert table.rows[1][3] == "30.0 to 36.0 dB"
    assert table.rows[1][4:] == ("-", "-", "-")
    assert table.notes == ("half (published): a paper",)
    assert results.codecs == ["jpeg"]
    assert table.rows[:1] == bd_tables.comparison_table(results, "jpeg").rows


def test_an_anchor_that_failed_on_a_picture_is_not_compared_with_published_means() -> None:
    results = kodak()
    results.rows[0] = Row("jpeg", "1", 1, "kodim01", 80, 100, error="RuntimeError: broken")
    table = bd_tables.comparison_table(results, "jpeg", [published.load_curves()["vtm"]])
    assert table.rows[-1] == ("vtm (published)", *("-",) * 6)
    assert "jpeg failed on kodim01 at quality 1: RuntimeError: broken" in table.notes
