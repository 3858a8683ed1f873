"""Every experiment, with what was expected of it before it was run; docs/EXPERIMENTS.md holds the outcome."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click

from caecodec.bench.experiments import changes
from caecodec.models.training import recipe

BASE = "photo"
STEPS, WARM_STEPS = 500, 500
COMMON = {"model.ga_depth": 3, "model.gs_depth": 4, "train.steps": STEPS, "train.warmup_steps": 100, "train.ema": 0.99}
WARM = {
    "model.ga_depth": 3,
    "model.gs_depth": 4,
    "train.steps": WARM_STEPS,
    "train.warmup_steps": 50,
    "train.ema": 0.995,
    "train.lr": 6e-4,
}


@dataclass(frozen=True, slots=True)
class Experiment:
    """One change. `settings`: of the recipe, by table.key; `patch`: what replaces parts of the code for the run.

    predicted: change of bits at equal PSNR in percent, written down before the run; `warm` runs start from a trained
    model and are compared with a warm run without a change.
    """

    name: str
    change: str
    predicted: str
    settings: dict[str, Any] = field(default_factory=dict)
    patch: Callable[[], None] | None = None
    warm: bool = False


EXPERIMENTS = (
    Experiment("base", "none: photo", "0"),
    Experiment("seed", "another seed: what chance does", "+-0.5", {"train.seed": 2}),
    Experiment("no-shortcut", "no linear shortcut, last layers drawn at random", "+60", patch=changes.no_shortcut),
    Experiment("n-192", "N = 192", "+8", {"model.n": 192}),
    Experiment("n-256", "N = 256", "+3", {"model.n": 256}),
    Experiment("z-48", "48 channels of z", "+0.3", {"model.z": 48}),
    Experiment("wide-ga", "g_a 192 wide", "-1", {"model.ga_width": 192}),
    Experiment("deep-ga", "g_a 6 blocks deep", "-1", {"model.ga_depth": 6}),
    Experiment("wide-gs", "g_s 144 wide", "-1.5", {"model.gs_width": 144}),
    Experiment("deep-gs", "g_s 8 blocks deep", "-1", {"model.gs_depth": 8}),
    Experiment("shallow-gs", "g_s 2 blocks deep", "+2", {"model.gs_depth": 2}),
    Experiment("context-wide", "context 192 wide", "-0.5", {"model.context_width": 192}),
    Experiment("context-deep", "context 2 blocks deep", "-0.7", {"model.context_depth": 2}),
    Experiment("one-step", "no context: all of y from z", "+8", patch=changes.context(changes.one_step)),
    Experiment("two-steps", "two context steps instead of four", "+3", patch=changes.two_steps),
    Experiment(
        "scale-from-z", "scales from z alone, means from both", "+3", patch=changes.context(changes.scale_from_z)
    ),
    Experiment("gated", "g_a and g_s of gated blocks", "-0.5", patch=changes.blocks_of_transforms(changes.GatedBlock)),
    Experiment(
        "silu", "g_a and g_s with DCVC-RT's SiLU", "-0.5", patch=changes.blocks_of_transforms(changes.SmoothBlock)
    ),
    Experiment(
        "depthwise-5", "depthwise 5x5 in g_a and g_s", "-1", patch=changes.blocks_of_transforms(changes.LargeBlock)
    ),
    Experiment("ycbcr", "non-linear branches in YCbCr", "-0.2", patch=changes.ycbcr),
    Experiment("no-modulation", "g_s not told the quality", "+0.5", patch=changes.no_modulation),
    Experiment("laplace", "Laplace for Gaussian", "+1", patch=changes.laplace),
    Experiment("adam", "Adam at 1e-3 for SOAP", "+5", {"train.optimizer": "adam", "train.lr": 1e-3}),
    Experiment("loss-raw", "R + lambda D as it is", "+4", {"train.lambda_exponent": 0.0}),
    Experiment("loss-full", "R + lambda D over lambda", "+3", {"train.lambda_exponent": 1.0}),
    Experiment("levels-random", "levels at random, not spread over a batch", "+0.5", patch=changes.levels_at_random),
    Experiment("crop-128", "crops of 128", "+0.5", {"train.crop": 128}),
    Experiment("crop-256", "crops of 256", "-0.3", {"train.crop": 256}),
    Experiment("no-ema", "no average of weights", "+0.5", {"train.ema": 0.0}),
    Experiment("warm", "none: the trained model, 500 steps more", "0", warm=True),
    Experiment("warm-ga", "3 more blocks in g_a, zero at first", "-0.5", {"model.ga_depth": 6}, warm=True),
    Experiment("warm-gs", "4 more blocks in g_s, zero at first", "-0.5", {"model.gs_depth": 8}, warm=True),
    Experiment(
        "warm-ga-gently",
        "the same, what they read first scaled by 0.05, and 200 steps of warm-up",
        "-0.3",
        {"model.ga_depth": 6, "train.warmup_steps": 200},
        changes.gently,
        warm=True,
    ),
    Experiment("warm-lr", "twice the learning rate", "+0.3", {"train.lr": 1.2e-3}, warm=True),
)


def find(name: str) -> Experiment:
    """An experiment by its name. Raises UsageError."""
    for experiment in EXPERIMENTS:
        if experiment.name == name:
            return experiment
    raise click.UsageError(f"no experiment {name!r}; there are {', '.join(e.name for e in EXPERIMENTS)}")


def recipe_text(experiment: Experiment) -> str:
    """The recipe of one run, as TOML."""
    table = tomllib.loads(recipe.load(BASE).text)
    for key, value in ((WARM if experiment.warm else COMMON) | experiment.settings).items():
        section, name = key.split(".")
        table[section][name] = value
    table["train"].setdefault("final_fraction", 0.0 if experiment.warm else 0.15)
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for section, values in table.items():
        if isinstance(values, dict):
            lines += ["", f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"
