"""A recipe: one TOML file that says everything about one trained model."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Protocol, TypeVar

from caecodec.models import families
from caecodec.models.training.losses import DISTORTIONS

T = TypeVar("T")


class ModelConfig(Protocol):
    """Sizes of a model of any family."""

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        ...


@dataclass(frozen=True, slots=True)
class PictureData:
    """Where photographs come from (folders, tar shards, files) and how they are drawn.

    `held_out`: names of pictures that are not trained on; they are validated on where `validation` names no others.
    """

    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    lossless_weight: float = 2.0
    copies: int = 2
    max_megapixels: float = 4000.0  # held by each process, three bytes a pixel
    start_pictures: int = 150  # training begins once so many are in memory, the rest is read beside it


@dataclass(frozen=True, slots=True)
class SetData:
    """Whole data sets of tiny pictures, see `caecodec.models.data.datasets`.

    `validation`: how many pictures of each training split are held out; `weights`: how often a batch is of each set.
    """

    sets: tuple[str, ...]
    weights: tuple[float, ...] = ()
    flip: bool = False
    shift: int = 0  # pixels
    noise_std: float = 0.0  # of what the encoder sees, in 0..1; the target stays clean
    validation: int = 1000
    paths: tuple[str, ...] = ()  # one for each set; default data/NAME
    without: str = ""  # a class that is left out of training and validation

    def __post_init__(self) -> None:
        if not self.sets or len(self.weights) not in (0, len(self.sets)):
            raise ValueError("[data] needs sets, and as many weights as sets or none")

    def path_of(self, name: str) -> Path:
        """Where a set lies."""
        return Path(self.paths[self.sets.index(name)]) if self.paths else Path("data") / name


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The schedule. `steps`, or `epochs` of a data set, count only where no `--minutes` is given.

    `patience`: end after so many validations without a better score, and keep the best weights; 0: never.
    """

    batch: int = 16
    epochs: int = 0
    loss: str = "mse"
    patience: int = 0
    crop: int = 192
    final_crop: int = 256
    final_fraction: float = 0.15
    steps: int = 100_000
    optimizer: str = "soap"
    precondition_every: int = 20  # steps between refreshes of SOAP's bases
    lr: float = 1e-3
    finish_lr: float = 6e-5  # of --decoder-only, by Adam: it starts from a trained model, and more only shakes it
    linear_lr_scale: float = 0.2
    gain_lr_scale: float = 1.0  # of the photo model's quantiser steps
    eye_share: float = 0.0  # of SSIMULACRA2 in the photo model's distortion; the rest is MSE
    tables_only: bool = False  # the photo model's networks stay as they are: of a few minutes, from a trained model
    warmup_steps: int = 300
    decay_from: float = 0.6
    ema: float = 0.999
    clip: float = 1.0
    lambda_exponent: float = 0.5
    level_power: float = 1.0  # levels are drawn as u^power, u uniform: above 1 low rates come more often
    seed: int = 1
    checkpoint_minutes: float = 2.0
    validation_minutes: float = 4.0  # of the photo model

    def __post_init__(self) -> None:
        if self.loss not in DISTORTIONS:
            raise ValueError(f"unknown loss {self.loss!r}; known are {', '.join(DISTORTIONS)}")

    def finishing(self) -> TrainConfig:
        """The schedule of --decoder-only: a short warm-up, linear to zero, large crops throughout."""
        once = replace(self, optimizer="adam", lr=self.finish_lr, warmup_steps=100)
        return replace(once, decay_from=0.1, final_fraction=1.0)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A parsed recipe file."""

    name: str
    description: str
    family: str
    model: ModelConfig
    data: PictureData | SetData
    train: TrainConfig
    text: str  # the file as it was read


def _build(kind: type[T], values: dict[str, Any], where: str) -> T:
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def load(path: str | Path, *, drawn: bool = False) -> Recipe:
    """Read a recipe by path, or by the name of one that ships with the package.

    drawn: train an autoencoder as its authors drew it, with what the table [drawn] says in place of [train].
    Raises FileNotFoundError, or ValueError for anything the file gets wrong.
    """
    path = Path(path)
    if path.suffix == ".toml":
        text = path.read_text(encoding="utf-8")
    else:
        shipped = resources.files("caecodec.models.recipes") / f"{path.name}.toml"
        if not shipped.is_file():
            raise FileNotFoundError(f"{path}: neither a .toml file nor the name of a recipe that ships")
        text = shipped.read_text(encoding="utf-8")
    try:
        table = tomllib.loads(text)
        model = dict(table["model"])
        family = model.pop("family")
        if family not in families.FAMILIES:
            raise ValueError(f"{path}: unknown model family {family!r}; known are {', '.join(families.FAMILIES)}")
        parts = families.FAMILIES[family]
        if drawn and "drawn" not in table:
            raise ValueError(f"{path}: only the autoencoders of the literature can be trained as drawn")
        if drawn:
            model["form"] = "drawn"
        train = table["train"] | (table["drawn"] if drawn else {})
        return Recipe(
            name=table["name"] + ("-drawn" if drawn else ""),
            description=table["description"] + (", as drawn" if drawn else ""),
            family=family,
            model=_build(families.part(parts.config), model, f"{path} [model]"),
            data=_build(families.part(parts.data), table["data"], f"{path} [data]"),
            train=_build(TrainConfig, train, f"{path} [train]"),
            text=text,
        )
    except KeyError as exc:
        raise ValueError(f"{path}: the recipe lacks {exc}") from exc
    except (tomllib.TOMLDecodeError, TypeError) as exc:
        raise ValueError(f"{path}: {exc}") from exc
