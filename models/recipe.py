"""A recipe: one TOML file that says everything about one trained model."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from caecodec.models.photo import PhotoConfig

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Where pictures come from (folders, tar shards, files) and how they are drawn."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    lossless_weight: float = 2.0
    copies: int = 2
    max_megapixels: float = 4000.0  # held by each process, three bytes a pixel
    start_pictures: int = 150  # training begins once so many are in memory, the rest is read beside it


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The schedule. `steps` counts only where no `--minutes` is given."""

    batch: int = 16
    crop: int = 192
    final_crop: int = 256
    final_fraction: float = 0.15
    steps: int = 100_000
    optimizer: str = "soap"
    precondition_every: int = 20  # steps between refreshes of SOAP's bases
    lr: float = 1e-3
    finish_lr: float = 4e-4  # of --decoder-only, which starts from a trained model
    linear_lr_scale: float = 0.2
    warmup_steps: int = 300
    decay_from: float = 0.6
    ema: float = 0.999
    clip: float = 1.0
    lambda_exponent: float = 0.5
    seed: int = 1
    checkpoint_minutes: float = 4.0

    def finishing(self) -> TrainConfig:
        """The schedule of --decoder-only: a short warm-up, linear to zero, large crops throughout."""
        return replace(self, lr=self.finish_lr, warmup_steps=100, decay_from=0.1, final_fraction=1.0)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A parsed recipe file."""

    name: str
    description: str
    model: PhotoConfig
    data: DataConfig
    train: TrainConfig
    text: str  # the file as it was read


def _build(kind: type[T], values: dict[str, Any], where: str) -> T:
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def load(path: str | Path) -> Recipe:
    """Read a recipe by path, or by the name of one that ships with the package.

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
        if family != "photo":
            raise ValueError(f"{path}: unknown model family {family!r}; known is 'photo'")
        return Recipe(
            name=table["name"],
            description=table["description"],
            model=_build(PhotoConfig, model, f"{path} [model]"),
            data=_build(DataConfig, table["data"], f"{path} [data]"),
            train=_build(TrainConfig, table["train"], f"{path} [train]"),
            text=text,
        )
    except KeyError as exc:
        raise ValueError(f"{path}: the recipe lacks {exc}") from exc
    except (tomllib.TOMLDecodeError, TypeError) as exc:
        raise ValueError(f"{path}: {exc}") from exc
