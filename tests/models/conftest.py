"""A finished run, for the tests of training and of export."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from PIL import Image
from support import photograph

from caecodec.models.training.run import run_recipe

RECIPE = """
name = "tiny"
description = "for tests"
[model]
family = "photo"
n = 16
z = 8
ga_width = 16
ga_depth = 1
gs_width = 16
gs_depth = 1
hyper_width = 16
context_width = 16
[data]
train = ["{train}"]
validation = ["{validation}"]
start_pictures = 4
[train]
batch = 4
crop = 64
final_crop = 64
steps = {steps}
warmup_steps = 2
"""


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a few steps on a folder with a picture and a tar shard."""
    base = tmp_path_factory.mktemp("training")
    (base / "train").mkdir()
    for i in range(4):
        Image.fromarray(photograph(96, 128, seed=i)).save(base / "train" / f"{i}.png")
    Image.fromarray(photograph(300, 300, seed=9)).save(base / "val.png")
    with tarfile.open(base / "train" / "more.tar", "w") as shard:
        shard.add(base / "val.png", "inside.png")
    (base / "recipe.toml").write_text(
        RECIPE.format(train=(base / "train").as_posix(), validation=(base / "val.png").as_posix(), steps=120)
    )
    run_recipe(str(base / "recipe.toml"), base / "run", device="cpu")
    return base
