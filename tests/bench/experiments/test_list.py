"""The list of experiments with the photo model: every one has a recipe that can be run."""

from __future__ import annotations

from pathlib import Path

import pytest

from caecodec.bench.experiments.list import EXPERIMENTS, Experiment, find, recipe_text
from caecodec.models.training import recipe


def test_names_and_predictions_are_given_once_each() -> None:
    assert len({e.name for e in EXPERIMENTS}) == len(EXPERIMENTS)
    assert all(e.predicted and e.change for e in EXPERIMENTS)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)
def test_every_experiment_has_a_recipe_of_its_own(experiment: Experiment, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(recipe_text(experiment))
    loaded = recipe.load(path)
    for key, value in experiment.settings.items():
        section, name = key.split(".")
        assert getattr(getattr(loaded, section), name) == value
    base = recipe_text(find("warm" if experiment.warm else "base"))
    assert experiment.patch is not None or experiment.name in ("base", "warm") or path.read_text() != base
