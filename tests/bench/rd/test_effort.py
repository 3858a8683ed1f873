"""What effort buys, from rows measured with a clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from support import photograph

from caecodec.bench.command.bench import bench
from caecodec.bench.rd import effort
from caecodec.bench.rd.results import Results, Row, load_rd
from caecodec.errors import UsageError


def row(codec: str, quality: int, size: int, psnr: float, seconds: float | None, seen: float | None = None) -> Row:
    return Row(codec, "1", quality, "a", 100, 100, size, psnr, 1.0, encode_s=seconds, ssimulacra2=seen)


def test_rates_are_against_the_default_by_what_each_tune_is_for() -> None:
    points = ((20, 1000, 30.0, 40.0), (50, 2000, 35.0, 60.0), (80, 4000, 40.0, 80.0))
    rows = []
    for name, factor, seconds in (("caecodec@1", 1.1, 0.01), ("caecodec", 1.0, 0.02), ("caecodec@9", 0.8, 0.5)):
        rows += [row(name, q, round(size * factor), 30.0, seconds, seen) for q, size, _, seen in points]
    for name, factor, seconds in (("caecodec@psnr", 1.0, 0.03), ("caecodec@9@psnr", 0.9, 0.4)):
        rows += [row(name, q, round(size * factor), psnr, seconds, 50.0) for q, size, psnr, _ in points]
    table = effort.effort_table(Results(pictures={"a": "x"}, rows=rows))
    assert table.columns[1:4:2] == ("SSIMULACRA2, eye", "PSNR, psnr")
    assert table.rows == (
        ("1", "+10.00 %", "1", "-", "-"),
        ("2 (default)", "-", "2", "-", "3"),
        ("9", "-20.00 %", "50", "-10.00 %", "40"),
    )
    assert "Pictures: 1 of 100x100; qualities 20, 50, 80" in table.notes[0]


def test_results_without_efforts_are_refused() -> None:
    with pytest.raises(UsageError, match="caecodec@1"):
        effort.effort_table(Results(rows=[row("jpeg", 50, 1000, 30.0, None)]))
    with pytest.raises(UsageError, match="caecodec@1"):  # nothing to compare tune psnr with
        effort.effort_table(Results(rows=[row(n, 50, 1000, 30.0, None) for n in ("caecodec", "caecodec@4@psnr")]))
    both = [row(name, 50, 1000, 30.0, None) for name in ("caecodec@1", "caecodec", "caecodec@2")]
    with pytest.raises(UsageError, match="one effort"):
        effort.effort_table(Results(rows=both))


def test_a_timed_run_on_crops(tmp_path: Path) -> None:
    Image.fromarray(photograph(80, 120)).save(tmp_path / "a.png")
    output = tmp_path / "effort.json"
    command = ["rd", str(tmp_path / "a.png"), "--codecs", "caecodec@1,caecodec@2", "--qualities", "30,80"]
    done = CliRunner().invoke(bench, [*command, "--crop", "64", "--time", "--metrics", "psnr", "-o", str(output)])
    assert done.exit_code == 0, done.output
    rows = load_rd(output).rows
    assert len(rows) == 4
    assert {(r.width, r.height) for r in rows} == {(64, 64)}
    assert all(r.encode_s is not None and r.encode_s > 0 for r in rows)
    shown = CliRunner().invoke(bench, ["table", str(output), "--efforts"])
    assert shown.exit_code == 0, shown.output
    assert "2 (default)" in shown.output
