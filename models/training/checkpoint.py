"""What a run keeps of itself: its whole state in `checkpoint.pt`, its averaged weights alone in `weights.pt`."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from caecodec.models.training.recipe import Recipe
from caecodec.models.training.soap import SOAP
from caecodec.models.training.task import Task

FIRST_SECONDS = 20.0  # from a run's begin to the first checkpoint that holds some training
WEIGHT_KEYS = ("step", "patches", "elapsed", "config", "recipe", "history", "validation", "without")


@dataclass(frozen=True, slots=True)
class Run:
    """One training of one recipe in one folder: what stays the same from its begin to its end."""

    recipe: Recipe
    folder: Path
    decoder_only: bool
    device: torch.device
    processes: int

    @property
    def checkpoint(self) -> Path:
        """Where its state is kept."""
        return self.folder / "checkpoint.pt"

    @property
    def without(self) -> str:
        """The class of its data set that is left out; "" for none."""
        return str(getattr(self.recipe.data, "without", ""))


@dataclass(slots=True)
class State:
    """Where a run stands: what changes while it goes on, and what one that was killed goes on from.

    elapsed: seconds, on which the schedule goes by; minutes: it may take, None: the recipe's steps count; history:
    earlier runs that the weights come from; best: with patience, the best averaged weights so far and their validation
    record; waited: validations since.
    """

    model: nn.Module
    averaged: nn.Module
    optimizer: torch.optim.Optimizer
    minutes: float | None
    schedule: str
    step: int = 0
    patches: int = 0
    elapsed: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    validation: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Any] | None = None
    waited: int = 0


def save(run: Run, state: State) -> None:
    """Write both files atomically; a kill at any time leaves the old ones or the new ones."""
    whole: dict[str, Any] = {
        "model": state.model.state_dict(),
        "ema": state.averaged.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "patches": state.patches,
        "elapsed": state.elapsed,
        "minutes": state.minutes,
        "schedule": state.schedule,
        "config": run.recipe.model.to_dict(),
        "recipe": run.recipe.text,
        "decoder_only": run.decoder_only,
        "history": [*state.history, _entry(run, state)],
        "validation": state.validation,
        "best": state.best,
        "without": run.without,
        "waited": state.waited,
    }
    temporary = run.checkpoint.with_suffix(".tmp")
    torch.save(whole, temporary)
    os.replace(temporary, run.checkpoint)
    # weights alone, small: what export reads and what a remote machine sends home
    torch.save({"ema": compact(whole["ema"])} | {k: whole[k] for k in WEIGHT_KEYS}, temporary)
    os.replace(temporary, run.folder / "weights.pt")


def _entry(run: Run, state: State) -> dict[str, Any]:
    """The run so far, as the history of what comes of it will have it."""
    return {
        "recipe": run.recipe.name,
        "decoder_only": run.decoder_only,
        "schedule": state.schedule,
        "steps": state.step,
        "hours": round(state.elapsed / 3600, 3),
        "device": torch.cuda.get_device_name(run.device) if run.device.type == "cuda" else "cpu",
        "processes": run.processes,
    }


def compact(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as they are kept without an optimiser: large ones as 16-bit floats."""
    return {name: value.half() if _is_large(name, value) else value for name, value in weights.items()}


def _is_large(name: str, value: Tensor) -> bool:
    """Weights that 11 bits are enough for: not tables, nor the linear branches, which carry the picture itself."""
    return value.ndim == 4 or (value.numel() >= 1 << 17 and ".linear." not in name)


def resume(run: Run, state: State) -> None:
    """Go on where the run's own checkpoint stopped. Raises ValueError where it does not fit, FileNotFoundError."""
    path = run.checkpoint
    kept = _read(path, run.device)
    if kept.get("decoder_only", False) != run.decoder_only:
        which = "with" if kept["decoder_only"] else "without"
        raise ValueError(f"{path} is of a run {which} --decoder-only; resume it so")
    if kept["config"] != run.recipe.model.to_dict():
        raise ValueError(f"{path} is of another recipe, or of one with or without --drawn; resume it so")
    _refuse_what_saw_a_class(run, path, kept)
    _take_whole(state, path, kept)
    state.step, state.elapsed, state.patches = kept["step"], kept["elapsed"], kept["patches"]
    state.history = kept.get("history", [])[:-1]
    state.best, state.waited = kept.get("best"), kept.get("waited", 0)
    if state.minutes is None:
        state.minutes = kept["minutes"]
    state.schedule = kept.get("schedule", "whole")


def branch(run: Run, state: State, path: Path) -> None:
    """Begin another schedule where another run of the same recipe stands, its optimiser's state and all.

    Raises as `resume`.
    """
    kept = _read(path, run.device)
    _refuse_what_saw_a_class(run, path, kept)
    if "optimizer" not in kept or kept["config"] != run.recipe.model.to_dict():
        raise ValueError(f"{path} is not the checkpoint.pt of a run of this recipe")
    _take_whole(state, path, kept)
    state.patches, state.history = kept["patches"], kept["history"]


def start(run: Run, state: State, path: Path, task: Task) -> bool:
    """Begin a new schedule from the averaged weights of another run; whether some still start from the data.

    Raises as `resume`.
    """
    kept = _read(path, run.device)
    _refuse_what_saw_a_class(run, path, kept)
    weights = {k: v.float() if v.is_floating_point() else v for k, v in kept["ema"].items()}
    try:
        continued, to_initialise = task.continued(weights, state.model.state_dict())
        state.model.load_state_dict(continued)
    except (RuntimeError, ValueError) as exc:
        raise ValueError(f"{path} is of a model of another shape than this recipe's ({exc})") from exc
    state.averaged.load_state_dict(state.model.state_dict())
    state.patches, state.history = kept["patches"], kept["history"]
    return to_initialise


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    """A checkpoint of ours; raises ValueError, or FileNotFoundError."""
    try:
        kept: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        return kept | {key: kept[key] for key in ("ema", "step", "elapsed", "patches", "history")}
    except FileNotFoundError:
        raise
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as exc:
        raise ValueError(f"{path}: not a whole checkpoint of caecodec") from exc


def _take_whole(state: State, path: Path, kept: dict[str, Any]) -> None:
    """Weights, their averages and the optimiser's state. Raises ValueError where they do not fit."""
    by_soap = any("momentum_in" in group for group in kept["optimizer"]["param_groups"])
    if by_soap and not isinstance(state.optimizer, SOAP):  # SOAP itself refuses the state of others
        raise ValueError(f"{path} was trained by SOAP, which this run is not: begin one with --from")
    try:
        state.model.load_state_dict(kept["model"])
        state.averaged.load_state_dict(kept["ema"])
        state.optimizer.load_state_dict(kept["optimizer"])
    except (RuntimeError, ValueError, KeyError) as exc:
        raise ValueError(f"{path} does not fit this recipe ({exc})") from exc


def _refuse_what_saw_a_class(run: Run, path: Path, kept: dict[str, Any]) -> None:
    """Raise ValueError where weights saw a class that this run leaves out."""
    if run.without and kept.get("without", "") != run.without:
        raise ValueError(f"{path} was trained on {run.without!r} as well: it cannot be left out any more")
