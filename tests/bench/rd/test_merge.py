"""Results of several machines or days: joined where they are of one thing, refused where they are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rd_rows import made
from support import run

from caecodec.bench.rd.merge import merged, refuse_mixed
from caecodec.bench.rd.results import Results, load_rd, save_rd
from caecodec.errors import UsageError

PIXELS = {"a": "1", "b": "2"}


def of(cpu: str = "one", **factors: float) -> Results:
    found = made(**factors)
    return Results({"cpu": cpu, "date": "today", "codecs": dict.fromkeys(factors, "1")}, dict(PIXELS), {}, found.rows)


def test_codecs_of_two_files_stand_in_one(tmp_path: Path) -> None:
    save_rd(of(jpeg=1.0), tmp_path / "a.json")
    save_rd(of("other", webp=0.8), tmp_path / "b.json")
    result = run("bench", "merge", tmp_path / "a.json", tmp_path / "b.json", "-o", tmp_path / "c.json")
    assert result.code == 0
    whole = load_rd(tmp_path / "c.json")
    assert whole.rows == of(jpeg=1.0).rows + of(webp=0.8).rows
    assert whole.environment["codecs"] == {"jpeg": "1", "webp": "1"}
    assert [part["cpu"] for part in whole.environment["merged"]] == ["one", "other"]
    assert run("bench", "table", tmp_path / "c.json", "--bd", "--anchor", "jpeg").code == 0
    again = run("bench", "merge", tmp_path / "a.json", "-o", tmp_path / "c.json")
    assert again.code == 7


def test_pictures_of_two_files_are_joined_and_a_good_row_takes_the_place_of_a_failure() -> None:
    first, second = of(jpeg=1.0), of(jpeg=1.0)
    first.rows = [row for row in first.rows if row.picture == "a"]
    first.rows[0] = replace(first.rows[0], bytes=None, psnr=None, mse=None, error="broken")
    assert merged([("x", first), ("y", second)]).rows == second.rows
    assert merged([("y", second), ("x", first)]).rows == second.rows


def test_another_picture_of_the_same_name_is_refused() -> None:
    other = of(webp=1.0)
    other.pictures["b"] = "3"
    with pytest.raises(UsageError, match=r"b is another picture in x\.json than in y\.json"):
        merged([("x.json", of(jpeg=1.0)), ("y.json", other)])


def test_other_bytes_of_one_version_are_refused() -> None:
    with pytest.raises(UsageError, match=r"jpeg at quality 1 made \d+ bytes of a in y and \d+ elsewhere"):
        merged([("x", of(jpeg=1.0)), ("y", of(jpeg=1.1))])


def test_two_versions_of_a_codec_are_not_mixed_silently(tmp_path: Path) -> None:
    newer = of(jpeg=1.1)
    newer.rows = [replace(row, version="2") for row in newer.rows if row.picture == "b"]
    older = of(jpeg=1.0)
    older.rows = [row for row in older.rows if row.picture == "a"]
    with pytest.raises(UsageError, match=r"jpeg has rows of 2 versions \(1 and 2\)"):
        merged([("x", older), ("y", newer)])
    save_rd(merged([("x", older), ("y", newer)], mixed=True), tmp_path / "m.json")
    refused = run("bench", "table", tmp_path / "m.json", "--bd", "--anchor", "jpeg")
    assert refused.code == 2
    assert "measure one of them anew, or say --mixed" in refused.err
    assert run("bench", "table", tmp_path / "m.json", "--bd", "--anchor", "jpeg", "--mixed").code == 0


def test_seconds_of_two_machines_are_not_compared() -> None:
    whole = merged([("x", of(jpeg=1.0)), ("y", of("other", webp=1.0))])
    refuse_mixed(whole)
    with pytest.raises(UsageError, match="seconds are of 2 machines"):
        refuse_mixed(whole, timed=True)


def test_what_is_published_here_is_of_one_version_each() -> None:
    folder = Path(__file__).parents[3] / "bench/results"
    paths = (*folder.glob("rd-*.json"), folder / "effort.json")
    assert len(paths) > 1
    for path in paths:
        refuse_mixed(load_rd(path))
