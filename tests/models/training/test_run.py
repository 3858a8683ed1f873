"""`caecodec train`: what its options mean, what it refuses, what it says, and that a kill loses little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from caecodec.errors import UsageError
from caecodec.models.training.run import run_recipe


def test_a_folder_that_holds_a_run_is_not_overwritten(run: Path) -> None:
    with pytest.raises(UsageError, match="--resume"):
        run_recipe(str(run / "recipe.toml"), run / "run", device="cpu")
    with pytest.raises(UsageError, match="no run to resume"):
        run_recipe(str(run / "recipe.toml"), run / "nothing", device="cpu", resume=True)


def test_combinations_that_make_no_sense_are_refused(run: Path, tmp_path: Path) -> None:
    recipe, checkpoint = str(run / "recipe.toml"), run / "run" / "checkpoint.pt"
    with pytest.raises(UsageError, match="--from"):
        run_recipe(recipe, tmp_path / "a", device="cpu", decoder_only=True)
    with pytest.raises(UsageError, match="give one"):
        run_recipe(recipe, run / "run", device="cpu", resume=True, start=checkpoint)
    with pytest.raises(UsageError, match="another shape"):
        run_recipe("photo", tmp_path / "b", [str(run / "train")], device="cpu", start=checkpoint)
    with pytest.raises(UsageError, match="not a whole checkpoint"):
        run_recipe(recipe, tmp_path / "c", device="cpu", start=run / "recipe.toml")
    with pytest.raises(UsageError, match="no such folder"):
        run_recipe(recipe, tmp_path / "d", [str(tmp_path / "nowhere")], device="cpu")


def test_schedules_that_make_no_sense_are_refused(run: Path, tmp_path: Path) -> None:
    recipe, weights = str(run / "recipe.toml"), run / "run" / "weights.pt"
    with pytest.raises(UsageError, match="name its checkpoint with --branch"):
        run_recipe(recipe, tmp_path / "a", device="cpu", schedule="decay", start=weights)
    with pytest.raises(UsageError, match="give one of them"):
        run_recipe(recipe, tmp_path / "b", device="cpu", branch=weights, start=weights)
    with pytest.raises(UsageError, match=r"not the checkpoint\.pt of a run"):
        run_recipe(recipe, tmp_path / "c", device="cpu", branch=weights)
    with pytest.raises(UsageError, match="keeps the schedule"):
        run_recipe(recipe, run / "run", device="cpu", resume=True, schedule="constant")


def test_training_needs_no_entropy_coder() -> None:
    """An accelerator machine may lack constriction."""
    program = "import sys; sys.modules['constriction'] = None\nimport caecodec.models.training.run\n"
    subprocess.run([sys.executable, "-c", program], check=True)
