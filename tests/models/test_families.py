"""The one table of families: every part of it is there, and every other module asks it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from torch import nn

from caecodec import models
from caecodec.errors import UsageError
from caecodec.models import families
from caecodec.models.export.model_file import new_model, tensors_of
from caecodec.models.networks.autoencoder import AutoencoderConfig, AutoencoderModel
from caecodec.models.networks.tiny import TinyConfig

FOLDER = Path(models.__path__[0])


@pytest.mark.parametrize("name", families.FAMILIES)
def test_every_part_of_a_family_is_there(name: str) -> None:
    family = families.family(name)
    for where in (family.config, family.network, family.data, family.task, family.tensors):
        assert callable(families.part(where))
    assert family.fitted == "" or callable(families.part(family.fitted))


def test_a_network_knows_its_family_and_keeps_its_sizes() -> None:
    config = TinyConfig(ga_width=8, ga_depth=1, gs_width=8, gs_depth=1, context_width=8, context_hidden=8)
    network = new_model("tiny", config.to_dict())
    assert families.family_of(network) is families.FAMILIES["tiny"]
    assert network.config == config
    with pytest.raises(TypeError, match="Linear is the network of no family"):
        families.family_of(nn.Linear(1, 1))


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown model family 'sound'; known are photo, autoencoder, tiny"):
        new_model("sound", {})


def test_an_autoencoder_as_drawn_makes_no_tensors() -> None:
    with pytest.raises(UsageError, match="as drawn"):
        tensors_of(AutoencoderModel(AutoencoderConfig("mnist", form="drawn")))


@pytest.mark.parametrize("shared", ["trainer", "checkpoint", "run", "recipe", "task"])
def test_what_trains_every_family_names_none(shared: str) -> None:
    text = (FOLDER / "training" / f"{shared}.py").read_text(encoding="utf-8")
    imported = set(re.findall(r"caecodec\.models\.(?:networks|training)\.(\w+)", text))
    assert not imported & {"photo", "small", "autoencoder", "tiny", "grow"}
