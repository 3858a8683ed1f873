"""The loop: it learns, keeps to its schedule, and leaves a record."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from caecodec.models.export.model_file import load_checkpoint, tensors_of
from caecodec.models.networks.photo import TABLES, PhotoModel
from caecodec.models.training import recipe as recipes
from caecodec.models.training import task
from caecodec.models.training.photo import PhotoTask
from caecodec.models.training.progress import Teller
from caecodec.models.training.run import run_recipe
from caecodec.models.training.trainer import learning_rate_factor
from caecodec.tune import TUNES


def test_training_lowers_the_loss_and_leaves_its_record(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"train", "validation"} == {row["kind"] for row in rows}
    assert rows[-1]["kind"] == "validation"
    assert rows[-1]["bpp"] == sorted(rows[-1]["bpp"])
    assert (run / "run" / "curve.png").stat().st_size > 1000
    assert (run / "run" / "recipe.toml").read_text() == (run / "recipe.toml").read_text()


def test_two_tunes_are_trained_in_turns_and_exported_with_rows_of_their_own(run: Path, tmp_path: Path) -> None:
    text = (run / "recipe.toml").read_text().replace("n = 16", "n = 16\ntunes = 2").replace("steps = 120", "steps = 12")
    (tmp_path / "recipe.toml").write_text(text + "eye_share = 0.5\n")
    start = run / "run" / "checkpoint.pt"
    record = run_recipe(str(tmp_path / "recipe.toml"), tmp_path / "run", device="cpu", start=start)
    assert record["score"] == record["psnr_tuned"]["score"]
    model, _ = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    assert isinstance(model, PhotoModel)
    for name in TABLES:
        eye, squared = (getattr(model.tuned(tune), name) for tune in TUNES)
        assert len(eye) == model.config.anchors
        assert not torch.equal(eye, squared), name
    tensors = tensors_of(model)
    assert {len(tensors[key]) for key in tensors if key.startswith("float.") or key == "quality.to_u"} == {200}


def test_training_tables_alone_leaves_the_networks_as_they_are(run: Path, tmp_path: Path) -> None:
    text = (run / "recipe.toml").read_text().replace("steps = 120", "steps = 12") + "tables_only = true\n"
    (tmp_path / "recipe.toml").write_text(text)
    start = run / "run" / "checkpoint.pt"
    run_recipe(str(tmp_path / "recipe.toml"), tmp_path / "run", device="cpu", start=start)
    before, after = (load_checkpoint(path)[0].state_dict() for path in (start, tmp_path / "run" / "checkpoint.pt"))
    assert {name for name in before if not torch.equal(before[name], after[name])} == set(TABLES)


def test_decoder_only_training_leaves_the_encoder_alone(run: Path, tmp_path: Path) -> None:
    start = run / "run" / "checkpoint.pt"
    run_recipe(str(run / "recipe.toml"), tmp_path / "fine", device="cpu", start=start, decoder_only=True)
    before, _ = load_checkpoint(start)
    after, _ = load_checkpoint(tmp_path / "fine" / "checkpoint.pt")
    changed = {
        name
        for (name, a), (_, b) in zip(before.state_dict().items(), after.state_dict().items(), strict=True)
        if not torch.equal(a, b)
    }
    assert not any(name.startswith(("g_a.", "h_a.")) or name in ("log_gain", "log_gain_z") for name in changed)
    assert any(name.startswith("g_s.") for name in changed)
    assert any(name.startswith("context.") for name in changed)


def test_the_learning_rate_warms_up_stays_and_ends_at_zero() -> None:
    config = recipes.load("photo").train
    assert learning_rate_factor(0.0, 0, config) == pytest.approx(1 / config.warmup_steps)
    assert learning_rate_factor(0.5, 10_000, config) == 1.0
    assert learning_rate_factor(0.8, 10_000, config) == pytest.approx(0.5)
    assert learning_rate_factor(1.0, 10_000, config) == 0.0


def test_a_constant_schedule_never_falls_and_a_decay_begins_at_once() -> None:
    config = recipes.load("photo").train
    assert learning_rate_factor(0.0, 0, config, "constant") == pytest.approx(1 / config.warmup_steps)
    assert learning_rate_factor(0.99, 10_000, config, "constant") == 1.0
    assert learning_rate_factor(0.0, 0, config, "decay") == 1.0
    assert learning_rate_factor(0.75, 0, config, "decay") == pytest.approx(0.25)


def test_training_for_the_eye_logs_and_validates_what_it_sees(run: Path, tmp_path: Path) -> None:
    text = (run / "recipe.toml").read_text().replace("warmup_steps = 2", "warmup_steps = 2\neye_share = 0.5")
    (tmp_path / "eye.toml").write_text(text.replace("steps = 120", "steps = 10"))
    record = run_recipe(str(tmp_path / "eye.toml"), tmp_path / "run", device="cpu")
    assert len(record["ssimulacra2"]) == len(record["psnr"])
    assert record["ssimulacra2"] == sorted(record["ssimulacra2"])
    assert np.isfinite(record["eye_score"])


@pytest.mark.parametrize(("native", "dtype"), [(False, torch.float32), (True, torch.bfloat16)])
def test_products_are_in_bfloat16_only_where_the_machine_has_it(
    run: Path, monkeypatch: pytest.MonkeyPatch, native: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(task, "fast_bfloat16", lambda device: native)
    cpu = torch.device("cpu")
    with task.autocast(cpu):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    place = task.Place(cpu, 0, 1, 0, Teller("photo", quiet=True))
    assert PhotoTask(recipes.load(run / "recipe.toml"), place).optimizer_dtype == dtype
