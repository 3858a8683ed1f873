"""What a model costs, and the table of what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from caecodec.bench.experiments.__main__ import main
from caecodec.bench.experiments.list import find, recipe_text
from caecodec.bench.experiments.run import kilomacs_per_pixel, markdown
from caecodec.models.networks.photo import PhotoModel
from caecodec.models.training import recipe

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "bench" / "results" / "experiments.json"


def test_the_table_compares_with_the_right_run(tmp_path: Path) -> None:
    def finished(name: str, rate: float, score: float) -> None:
        (tmp_path / name).mkdir()
        rows = [
            {"kind": "train", "loss": 1.0},
            {
                "kind": "validation",
                "step": 500,
                "bpp": [rate * b for b in (0.1, 0.3, 0.8, 2.0)],
                "psnr": [24.0, 28.0, 32.0, 38.0],
                "score": score,
            },
        ]
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (tmp_path / name / "cost.json").write_text(json.dumps({"kmacs": [10.0, 11.0], "ms": [20.0, 21.5]}))
        (tmp_path / name / "experiment.toml").write_text(recipe_text(find(name)))

    finished("base", 1.0, 0.0)
    finished("n-192", 1.1, 0.1)
    finished("warm", 0.5, -0.5)
    finished("warm-lr", 0.45, -0.6)
    (tmp_path / "adam").mkdir()  # begun, not finished
    results = tmp_path / "results.json"
    collected = CliRunner().invoke(main, ["collect", str(results), "-o", str(tmp_path)])
    assert collected.exit_code == 0, collected.output
    result = CliRunner().invoke(main, ["table", str(results)])
    assert result.exit_code == 0
    rows = {line.split(" | ")[0].strip("| "): line for line in result.output.splitlines()[2:]}
    assert list(rows) == ["base", "n-192", "warm", "warm-lr"]
    assert rows["n-192"].endswith("| +8 | +10.0 | +7.2 | 10.0 / 11.0 | 20.0 / 21.5 |")
    assert "| -10.0 | -6.7 |" in rows["warm-lr"]


def test_the_page_shows_what_was_measured() -> None:
    assert markdown(RESULTS) in (ROOT / "docs" / "EXPERIMENTS.md").read_text(encoding="utf-8")


def test_the_module_is_a_program() -> None:
    command = [sys.executable, "-m", "caecodec.bench.experiments", "table", str(RESULTS)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout.decode() == markdown(RESULTS) + "\n"


def test_an_unknown_experiment_is_refused() -> None:
    result = CliRunner().invoke(main, ["run", "none"])
    assert result.exit_code == 2
    assert "no experiment 'none'" in result.output


@pytest.mark.parametrize(("name", "most"), [("photo", 30), ("photo-s", 30), ("photo-hq", 110)])
def test_shipped_sizes_keep_their_price(name: str, most: float) -> None:
    config = recipe.load(name).model
    _, decode = kilomacs_per_pixel(PhotoModel(config).eval())  # type: ignore[arg-type]
    assert 5 < decode <= most


def test_multiply_accumulates_are_counted_as_by_hand() -> None:
    config = recipe.load("photo").model
    _, decode = kilomacs_per_pixel(PhotoModel(config).eval())  # type: ignore[arg-type]
    w, n, c, z, depth = 96, 448, 128, 96, 7
    g_s = (n * 4 * w + n * 768) / 256 + (depth * (6 * w * w + 9 * w) + 9 * w * 192) / 64
    h_s = (z * 4 * c) / 4096 + (6 * c * c + 9 * c + c * 4 * c) / 1024 + (6 * c * c + 9 * c) / 256
    context = (c * c + 3 * ((n + c) * c + 6 * c * c + 9 * c) + 4 * c * n // 2) / 256
    assert decode == pytest.approx((g_s + h_s + context) / 1000, rel=0.01)
