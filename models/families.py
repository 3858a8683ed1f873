"""The families of models: one table. A new family is a line here and files of its own in networks, training and export.

Parts are named as "module:name" below this package and imported when they are asked for: training a family loads
nothing of the others, and nothing that exports.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Family:
    """Where the parts of a family lie.

    config: its sizes, a recipe's table [model] (`to_dict` gives them back); network: a module made from them, which
    keeps them as `config`; data: a recipe's table [data]; task: see `training.task.Task`; tensors: a network -> the
    tensors of its model file; fitted: the same with what is measured on pictures, and a note; "" where nothing is.
    """

    config: str
    network: str
    data: str
    task: str
    tensors: str
    fitted: str = ""


FAMILIES: Mapping[str, Family] = {
    "photo": Family(
        config="networks.photo:PhotoConfig",
        network="networks.photo:PhotoModel",
        data="training.recipe:PictureData",
        task="training.photo:PhotoTask",
        tensors="export.photo:tensors_of",
        fitted="export.photo:fitted",
    ),
    "autoencoder": Family(
        config="networks.autoencoder:AutoencoderConfig",
        network="networks.autoencoder:AutoencoderModel",
        data="training.recipe:SetData",
        task="training.small:SmallTask",
        tensors="export.autoencoder:tensors_of",
    ),
    "tiny": Family(
        config="networks.tiny:TinyConfig",
        network="networks.tiny:TinyModel",
        data="training.recipe:SetData",
        task="training.small:SmallTask",
        tensors="export.tiny:tensors_of",
        fitted="export.tiny:fitted",
    ),
}


def family(name: str) -> Family:
    """A family by its name. Raises ValueError."""
    if name not in FAMILIES:
        raise ValueError(f"unknown model family {name!r}; known are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def family_of(network: object) -> Family:
    """The family that a network is of. Raises TypeError."""
    for found in FAMILIES.values():
        if isinstance(network, part(found.network)):
            return found
    raise TypeError(f"{type(network).__name__} is the network of no family")


def part(where: str) -> Any:
    """What "module:name" stands for."""
    module, name = where.split(":")
    return getattr(importlib.import_module(f"{__package__}.{module}"), name)
