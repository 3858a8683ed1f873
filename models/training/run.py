"""`caecodec train`: a recipe, and what the command's options change of it, in a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from caecodec.errors import UsageError
from caecodec.models.data import holdout
from caecodec.models.data.pictures import VALIDATION_CROP
from caecodec.models.training.progress import Teller
from caecodec.models.training.recipe import PictureData, Recipe, SetData, load
from caecodec.models.training.trainer import Trainer


def run_recipe(
    name: str,
    folder: Path | None,
    train_data: Sequence[str] = (),
    validation: Sequence[str] = (),
    *,
    minutes: float | None = None,
    resume: bool = False,
    start: Path | None = None,
    branch: Path | None = None,
    schedule: str | None = None,
    decoder_only: bool = False,
    drawn: bool = False,
    without: str = "",
    device: str | None = None,
    compile_model: bool | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """What `caecodec train` does. Raises UsageError for a recipe, folder or data that will not do."""
    try:
        recipe = load(name, drawn=drawn)
        recipe = replace(recipe, data=_data_of(recipe, train_data, validation, without))
        if decoder_only:
            recipe = replace(recipe, train=recipe.train.finishing())
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        folder = folder or Path("runs") / recipe.name
        if device == "cuda" and not torch.cuda.is_available():
            raise UsageError("no CUDA device is available to this torch; use --device cpu")
        _require_sense(folder, resume, start, branch, schedule, decoder_only)
        with Teller(recipe.name, quiet=int(os.environ.get("RANK", 0)) != 0) as teller:
            teller.doing("looking for pictures")
            recipe = replace(recipe, data=_with_validation(recipe.data, folder, resume, start or branch))
            trainer = Trainer(
                recipe,
                folder,
                minutes=minutes,
                device=device,
                compile_model=device == "cuda" if compile_model is None else compile_model,
                seed=seed,
                decoder_only=decoder_only,
                schedule=schedule or "whole",
                teller=teller,
            )
            if resume:
                trainer.resume()
            elif branch is not None:
                trainer.branch_from(branch)
            elif start is not None:
                trainer.start_from(start)
            return trainer.train()
    except (FileNotFoundError, ValueError) as exc:
        raise UsageError(str(exc)) from exc


def _require_sense(
    folder: Path, resume: bool, start: Path | None, branch: Path | None, schedule: str | None, decoder_only: bool
) -> None:
    """Raise UsageError where options contradict each other or what the folder holds."""
    if resume + (start is not None) + (branch is not None) > 1:
        raise UsageError("--resume continues a run, --from and --branch start one: give one of them")
    if resume and schedule is not None:
        raise UsageError("--resume keeps the schedule that the run has; --branch begins another")
    if schedule == "decay" and branch is None:
        raise UsageError("--schedule decay ends a run that stands: name its checkpoint with --branch")
    if decoder_only and start is None and not resume:
        raise UsageError("--decoder-only keeps the encoder of a trained model: name its checkpoint with --from")
    if (folder / "checkpoint.pt").exists() != resume:
        hint = "holds a run: --resume continues it" if not resume else "holds no run to resume"
        raise UsageError(f"{folder} {hint}")


def _data_of(recipe: Recipe, train: Sequence[str], validation: Sequence[str], without: str) -> PictureData | SetData:
    """A recipe's data, or what the options name in their place. Raises ValueError."""
    data = recipe.data
    if isinstance(data, PictureData):
        if without:
            raise ValueError("--without leaves out a class of a data set; photographs have none")
        data = replace(data, train=tuple(train) or data.train, validation=tuple(validation) or data.validation)
        if not data.train:
            hint = "name folders, tar shards or pictures with --data"
            raise ValueError(f"the recipe {recipe.name} names no pictures to train on: {hint}")
        return data
    if validation:
        raise ValueError("a data set's validation pictures are held out of its training split: leave --validation out")
    data = replace(data, without=without)
    if not train:
        return data
    if len(data.sets) == 1 and len(train) == 1 and not train[0].startswith(f"{data.sets[0]}="):
        return replace(data, paths=(train[0],))
    named = dict(part.split("=", 1) for part in train if "=" in part)
    if named.keys() != set(data.sets) or len(train) != len(data.sets):
        raise ValueError("name every data set: " + " ".join(f"--data {name}=PATH" for name in data.sets))
    return replace(data, paths=tuple(named[name] for name in data.sets))


def _with_validation(
    data: PictureData | SetData, folder: Path, resume: bool, parent: Path | None
) -> PictureData | SetData:
    """Hold a part of the photographs out where none are named to validate on.

    What an earlier part of the run (`resume`) or the run of the checkpoint `parent` held out stays out of training in
    any case. Raises FileNotFoundError, ValueError; UsageError where a resumed run may have trained on what it would
    hold out.
    """
    if not isinstance(data, PictureData):
        return data
    earlier = folder if resume else parent.parent if parent else None
    held_out = holdout.written(earlier) if earlier else ()
    if data.validation:
        return replace(data, held_out=held_out)
    if resume and not held_out:
        raise UsageError(f"{folder} began with --validation and may have trained on any other picture: give it again")
    return replace(data, held_out=holdout.choose(map(Path, data.train), VALIDATION_CROP, held_out))
