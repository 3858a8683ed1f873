"""What a run keeps of itself: a killed one goes on, another begins where one stands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from caecodec.models.data import pictures
from caecodec.models.training import recipe as recipes
from caecodec.models.training.checkpoint import FIRST_SECONDS
from caecodec.models.training.pauses import Pause
from caecodec.models.training.run import run_recipe
from caecodec.models.training.trainer import Trainer


def test_a_killed_run_resumes_where_its_checkpoint_stopped(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipes.load(run / "recipe.toml")
    recipe = replace(recipe, train=replace(recipe.train, checkpoint_minutes=0.0, validation_minutes=9.0))
    first = Trainer(recipe, tmp_path, minutes=None, device="cpu", compile_model=False, seed=None)
    save, saved = first.save, []

    def save_and_die() -> None:
        save()
        saved.append(first.state.step)
        if first.state.step >= 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(first, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    recipe = replace(recipe, train=replace(recipe.train, checkpoint_minutes=4.0))
    second = Trainer(recipe, tmp_path, minutes=None, device="cpu", compile_model=False, seed=None)
    second.resume()
    assert saved[0] == 0  # there is something to resume before the first step
    assert (second.state.step, second.state.patches) == (saved[-1], 4 * saved[-1])
    assert second.state.elapsed > 0
    for mine, theirs in zip(second.state.model.parameters(), first.state.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    mine, theirs = (t.state.optimizer.state_dict()["state"] for t in (second, first))
    assert mine.keys() == theirs.keys() != set()
    assert all(torch.equal(mine[k]["v"], theirs[k]["v"]) for k in mine)
    # other crops than the first run began with
    assert not torch.equal(crops_after_loading(second, run), crops_after_loading(first, run))
    assert second.train()["kind"] == "validation"
    assert second.state.step == recipe.train.steps


def crops_after_loading(trainer: Trainer, run: Path) -> torch.Tensor:
    pool = trainer.task.pool  # type: ignore[attr-defined]
    for encoded in pictures.encoded_pictures([run / "train"]):
        pool.add(encoded, 64)
    return pool.batch(4, 64)


def test_a_larger_recipe_begins_where_the_smaller_one_ended(run: Path, tmp_path: Path) -> None:
    text = (run / "recipe.toml").read_text()
    depth = next(line for line in text.splitlines() if line.startswith("ga_depth"))
    # one step, so early in the warm-up that it hardly moves anything
    larger = text.replace(depth, "ga_depth = 5").replace("steps = 120", "steps = 1")
    larger = larger.replace("warmup_steps = 2", "warmup_steps = 1000")
    assert larger.count("ga_depth = 5") == larger.count("steps = 1\n") == 1
    (tmp_path / "larger.toml").write_text(larger)
    ended = json.loads((run / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    begun = run_recipe(str(tmp_path / "larger.toml"), tmp_path / "run", device="cpu", start=run / "run" / "weights.pt")
    assert begun["score"] == pytest.approx(ended["score"], abs=0.01)


def test_a_decay_branches_off_a_constant_run_with_its_optimiser_and_leaves_it_alone(run: Path, tmp_path: Path) -> None:
    recipe = recipes.load(run / "recipe.toml")
    recipe = replace(recipe, train=replace(recipe.train, steps=20))
    options = {"minutes": None, "device": "cpu", "compile_model": False, "seed": None}
    constant = Trainer(recipe, tmp_path / "constant", schedule="constant", **options)  # type: ignore[arg-type]
    constant.start_from(run / "run" / "weights.pt")
    constant.state.minutes = 0.05
    constant.train()
    kept = constant.run.checkpoint.read_bytes()
    whole = torch.load(constant.run.checkpoint, weights_only=True)
    decay = Trainer(recipe, tmp_path / "decay", schedule="decay", **options)  # type: ignore[arg-type]
    decay.branch_from(constant.run.checkpoint)
    for name, value in decay.state.model.state_dict().items():
        assert torch.equal(value, whole["model"][name]), name
    steps = {int(state["step"]) for state in decay.state.optimizer.state_dict()["state"].values()}
    assert min(steps) == whole["step"] > 0
    decay.train()
    assert decay.state.step == 20
    assert constant.run.checkpoint.read_bytes() == kept
    assert [part["schedule"] for part in torch.load(decay.run.checkpoint, weights_only=True)["history"]][-2:] == [
        "constant",
        "decay",
    ]


def test_a_run_saves_in_its_first_half_minute_then_every_two_minutes_and_less_often_where_that_takes_long() -> None:
    saving = Pause(recipes.load("photo").train.checkpoint_minutes, begun=100.0, first=FIRST_SECONDS)
    assert [saving.due(100.0 + seconds) for seconds in (0, 15, 30)] == [False, False, True]
    saving.done(121.0, 122.0)
    assert [saving.due(122.0 + seconds) for seconds in (60, 119, 120)] == [False, False, True]
    saving.done(300.0, 330.0)  # half a minute: every two would be a fifth of the time
    assert [saving.due(330.0 + seconds) for seconds in (120, 599, 600)] == [False, False, True]
    often = Pause(0.1, begun=0.0, first=FIRST_SECONDS)
    assert [often.due(seconds) for seconds in (5.0, 6.0)] == [False, True]


def test_what_one_optimiser_kept_is_not_read_by_another(run: Path, tmp_path: Path) -> None:
    recipe = recipes.load(run / "recipe.toml")
    by_adam = replace(recipe, train=replace(recipe.train, optimizer="adam"))
    other = Trainer(by_adam, tmp_path, minutes=None, device="cpu", compile_model=False, seed=None, schedule="decay")
    with pytest.raises(ValueError, match="was trained by SOAP, which this run is not"):
        other.branch_from(run / "run" / "checkpoint.pt")
