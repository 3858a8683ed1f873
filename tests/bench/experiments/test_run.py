"""The list of experiments with the photo model: every one can be run, and its row says what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from caecodec.bench.experiments import run
from caecodec.bench.experiments.run import EXPERIMENTS, kilomacs_per_pixel
from caecodec.models.networks.photo import PhotoModel
from caecodec.models.training import recipe


def test_names_and_predictions_are_given_once_each() -> None:
    assert len({e.name for e in EXPERIMENTS}) == len(EXPERIMENTS)
    assert all(e.predicted and e.change for e in EXPERIMENTS)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)
def test_every_experiment_has_a_recipe_of_its_own(experiment: run.Experiment, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(run.recipe_text(experiment))
    loaded = recipe.load(path)
    for key, value in experiment.settings.items():
        section, name = key.split(".")
        assert getattr(getattr(loaded, section), name) == value
    base = run.recipe_text(run.find("warm" if experiment.warm else "base"))
    assert experiment.patch is not None or experiment.name in ("base", "warm") or path.read_text() != base


PATCHED = [e.name for e in EXPERIMENTS if e.patch is not None]
PROGRAM = """
import sys, torch
from caecodec.bench.experiments import run as experiments
from caecodec.models.networks.photo import PhotoConfig, PhotoModel
from caecodec.models.training import photo as photo_task

def outcome():
    torch.manual_seed(1)
    model = PhotoModel(PhotoConfig(n=16, z=8, ga_width=8, ga_depth=1, gs_width=8, gs_depth=1, hyper_width=8,
                                   context_width=8))
    model.start_as_klt(torch.linalg.qr(torch.randn(768, 16))[0], torch.ones(16))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    torch.manual_seed(2)
    level = photo_task.levels(2, torch.device("cpu"))
    out = model(torch.rand(2, 3, 64, 64), level)
    (out["x_hat"].square().mean() + out["bits_y"].mean()).backward()
    return [float(level.sum()), *(float(out[k].sum()) for k in sorted(out))]

before = outcome()
assert before == outcome() and torch.isfinite(torch.tensor(before)).all()
experiments.find(sys.argv[1]).patch()
after = outcome()
assert torch.isfinite(torch.tensor(after)).all()
print(before == after)
"""


@pytest.mark.parametrize("name", [name for name in PATCHED if name != "warm-ga-gently"])  # which is about a start
def test_a_change_of_code_changes_what_the_model_does(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, name], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


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
        (tmp_path / name / "experiment.toml").write_text(run.recipe_text(run.find(name)))

    finished("base", 1.0, 0.0)
    finished("n-192", 1.1, 0.1)
    finished("warm", 0.5, -0.5)
    finished("warm-lr", 0.45, -0.6)
    (tmp_path / "adam").mkdir()  # begun, not finished
    results = tmp_path / "results.json"
    collected = CliRunner().invoke(run.main, ["collect", str(results), "-o", str(tmp_path)])
    assert collected.exit_code == 0, collected.output
    result = CliRunner().invoke(run.main, ["table", str(results)])
    assert result.exit_code == 0
    rows = {line.split(" | ")[0].strip("| "): line for line in result.output.splitlines()[2:]}
    assert list(rows) == ["base", "n-192", "warm", "warm-lr"]
    assert rows["n-192"].endswith("| +8 | +10.0 | +7.2 | 10.0 / 11.0 | 20.0 / 21.5 |")
    assert "| -10.0 | -6.7 |" in rows["warm-lr"]


def test_the_page_shows_what_was_measured() -> None:
    root = Path(__file__).parents[3]
    results = root / "bench" / "results" / "experiments.json"
    assert run.markdown(results) in (root / "docs" / "EXPERIMENTS.md").read_text(encoding="utf-8")


def test_an_unknown_experiment_is_refused() -> None:
    result = CliRunner().invoke(run.main, ["run", "none", "--data", "x", "--validation", "y"])
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
