"""Short runs of equal budget, one change at a time: how the photo model came to be as it is.

    python -m caecodec.bench.experiments.run run wide-ga -o runs/experiments --data TRAIN --validation HELD_OUT
    python -m caecodec.bench.experiments.run cost wide-ga
    python -m caecodec.bench.experiments.run collect bench/results/experiments.json
    python -m caecodec.bench.experiments.run table bench/results/experiments.json

Every change is written here with what was expected of it before it was run; docs/EXPERIMENTS.md holds the outcome.
A run is a fixed number of patches, so that it says the same on any machine, however busy. A change that the model does
not keep is made by replacing a part of it for the length of the run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from caecodec.bench.metrics.bdrate import bd_rate, curve
from caecodec.models.networks import layers, photo, rate_model
from caecodec.models.networks.photo import PhotoConfig, PhotoModel
from caecodec.models.training import photo as photo_task
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


# -- changes of code -----------------------------------------------------------------------------------------------


def _put(owner: Any, name: str, value: Any) -> None:
    """Replace a part of the model, for the rest of this process."""
    setattr(owner, name, value)


def _no_shortcut() -> None:
    def without(branch: Callable[[Any, Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
        return lambda part, x: branch(part, x) * 0.0

    for part in (photo.Analysis, photo.Synthesis):
        _put(part, "linear_branch", without(part.linear_branch))
    start = PhotoModel.start_as_klt

    def start_without(self: PhotoModel, basis: Tensor, deviation: Tensor) -> None:
        start(self, basis, deviation)
        # the last layers carry the transform now: the same basis, spread over them, would be the shortcut again
        for layer in (self.g_a.down, self.g_s.head):
            nn.init.xavier_uniform_(layer.weight)

    _put(PhotoModel, "start_as_klt", start_without)


Step = Callable[[photo.Context, int, Tensor, Tensor | None], tuple[Tensor, Tensor]]
CONTEXT: Step = photo.Context.forward


def _context(forward: Step) -> Callable[[], None]:
    def patch() -> None:
        _put(photo.Context, "forward", forward)

    return patch


def _blind(known: Tensor | None) -> Tensor | None:
    return None if known is None else torch.zeros_like(known)


def _scale_from_z(self: photo.Context, step: int, psi: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
    # the same heads and trunk, which see zeros where latents would be
    return CONTEXT(self, step, psi, known)[0], CONTEXT(self, step, psi, _blind(known))[1]


def _one_step(self: photo.Context, step: int, psi: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
    return CONTEXT(self, step, psi, _blind(known))


def _two_steps() -> None:
    seen: list[Tensor] = []  # what was known after the first two steps

    def forward(self: photo.Context, step: int, psi: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
        if step == 2 and known is not None:
            seen[:] = [known]
        return CONTEXT(self, step, psi, seen[0] if step == 3 else known if step == 2 else _blind(known))

    _put(photo.Context, "forward", forward)


class GatedBlock(nn.Module):
    """A block whose second half multiplies two halves of its features instead of cutting at zero (NAFNet, 2022)."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.mix_in, self.mix_out = layers.conv1x1(c, c), layers.conv1x1(c, c)
        self.depthwise = nn.Conv2d(c, c, 3, padding=1, groups=c)
        self.expand, self.project = layers.conv1x1(c, 2 * c), layers.conv1x1(c, c)
        for last in (self.mix_out, self.project):
            nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x + self.mix_out(self.depthwise(F.relu(self.mix_in(x))))
        a, b = self.expand(x).chunk(2, dim=1)
        out: Tensor = x + self.project(a * b)
        return out


class SmoothBlock(layers.Block):
    """The block with the steep SiLU of DCVC-RT (2025), x * sigmoid(4x), in place of ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        inner = self.mix_in(x)
        x = x + self.mix_out(self.depthwise(inner * torch.sigmoid(4 * inner)))
        inner = self.expand(x)
        out: Tensor = x + self.project(inner * torch.sigmoid(4 * inner))
        return out


class LargeBlock(layers.Block):
    """The block with a depthwise 5x5."""

    def __init__(self, c: int) -> None:
        super().__init__(c)
        self.depthwise = nn.Conv2d(c, c, 5, padding=2, groups=c)


def _blocks_of_transforms(block: type[nn.Module]) -> Callable[[], None]:
    def patch() -> None:
        for part in (photo.Analysis, photo.Synthesis):
            build: Callable[..., None] = part.__init__

            def init(self: nn.Module, c: PhotoConfig, build: Callable[..., None] = build) -> None:
                _put(photo, "Block", block)
                build(self, c)
                _put(photo, "Block", layers.Block)

            _put(part, "__init__", init)

    return patch


def _laplace() -> None:
    def bits(v: Tensor, scale: Tensor) -> Tensor:
        b = scale / 2**0.5

        def cdf(t: Tensor) -> Tensor:
            return 0.5 + 0.5 * t.sign() * -torch.expm1(-t.abs() / b)

        v = v.abs()
        return -torch.log2((cdf(0.5 - v) - cdf(-0.5 - v)).clamp_min(2.0**-24))

    for user in (rate_model, photo):  # of y, and of z
        _put(user, "gaussian_bits", bits)


def _levels_at_random() -> None:
    _put(photo_task, "levels", lambda batch, device: torch.rand(batch, device=device))


def _no_modulation() -> None:
    features = photo.Synthesis.features

    def unmodulated(self: photo.Synthesis, y: Tensor, modulation: Tensor) -> Tensor:
        return features(self, y, modulation * 0 + 1)

    _put(photo.Synthesis, "features", unmodulated)


def _ycbcr() -> None:
    rgb = torch.tensor(((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081)))
    analyse, synthesise = photo.Analysis.forward, photo.Synthesis.forward

    def colour(x: Tensor, matrix: Tensor) -> Tensor:
        return torch.einsum("dc,bchw->bdhw", matrix, x.float()).contiguous(memory_format=torch.channels_last)

    def g_a(self: photo.Analysis, x: Tensor) -> Tensor:
        linear = self.linear_branch(x)
        y = analyse(self, colour(x, rgb))
        return y - self.linear_branch(colour(x, rgb)) + linear

    def g_s(self: photo.Synthesis, y: Tensor, modulation: Tensor) -> Tensor:
        linear = self.linear_branch(y)
        return colour(synthesise(self, y, modulation) - linear, rgb.inverse()) + linear

    _put(photo.Analysis, "forward", g_a)
    _put(photo.Synthesis, "forward", g_s)


def _gently() -> None:
    from caecodec.models.training import grow

    def grown(weights: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
        result = grow.grown(weights, fresh)
        for name in fresh.keys() - weights.keys():
            if name.endswith(("mix_in.weight", "expand.weight")):
                result[name] = result[name] * 0.05
        return result

    _put(photo_task, "grown", grown)


# -- the list ------------------------------------------------------------------------------------------------------

EXPERIMENTS = (
    Experiment("base", "none: photo", "0"),
    Experiment("seed", "another seed: what chance does", "+-0.5", {"train.seed": 2}),
    Experiment("no-shortcut", "no linear shortcut, last layers drawn at random", "+60", patch=_no_shortcut),
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
    Experiment("one-step", "no context: all of y from z", "+8", patch=_context(_one_step)),
    Experiment("two-steps", "two context steps instead of four", "+3", patch=_two_steps),
    Experiment("scale-from-z", "scales from z alone, means from both", "+3", patch=_context(_scale_from_z)),
    Experiment("gated", "g_a and g_s of gated blocks", "-0.5", patch=_blocks_of_transforms(GatedBlock)),
    Experiment("silu", "g_a and g_s with DCVC-RT's SiLU", "-0.5", patch=_blocks_of_transforms(SmoothBlock)),
    Experiment("depthwise-5", "depthwise 5x5 in g_a and g_s", "-1", patch=_blocks_of_transforms(LargeBlock)),
    Experiment("ycbcr", "non-linear branches in YCbCr", "-0.2", patch=_ycbcr),
    Experiment("no-modulation", "g_s not told the quality", "+0.5", patch=_no_modulation),
    Experiment("laplace", "Laplace for Gaussian", "+1", patch=_laplace),
    Experiment("adam", "Adam at 1e-3 for SOAP", "+5", {"train.optimizer": "adam", "train.lr": 1e-3}),
    Experiment("loss-raw", "R + lambda D as it is", "+4", {"train.lambda_exponent": 0.0}),
    Experiment("loss-full", "R + lambda D over lambda", "+3", {"train.lambda_exponent": 1.0}),
    Experiment("levels-random", "levels at random, not spread over a batch", "+0.5", patch=_levels_at_random),
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
        _gently,
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


def run(
    experiment: Experiment, folder: Path, start: Path | None, data: Sequence[str], validation: Sequence[str]
) -> dict[str, Any]:
    """Train one experiment into folder/NAME. It replaces parts of the model: one run a process."""
    into = folder / experiment.name
    if experiment.warm and start is None:
        raise click.UsageError(f"{experiment.name} starts from a trained model: name it with --from")
    if into.exists():
        raise click.UsageError(f"{into} holds a run; remove it or name another folder with -o")
    into.mkdir(parents=True)
    path = into / "experiment.toml"
    path.write_text(recipe_text(experiment), encoding="utf-8")
    if experiment.patch is not None:
        experiment.patch()
    from caecodec.models.training.run import run_recipe

    return run_recipe(str(path), into, data, validation, start=start if experiment.warm else None)


# -- what a model costs ----------------------------------------------------------------------------------------------


def kilomacs_per_pixel(model: PhotoModel, side: int = 256) -> tuple[float, float]:
    """(encode, decode) in thousands of multiply-accumulates a pixel, counted by torch; hyper and context in both."""
    c = model.config

    def count(work: Callable[[], Any]) -> float:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            work()
        return float(counter.get_total_flops()) / 2 / side**2 / 1000

    y = torch.zeros(1, c.n, side // 16, side // 16)
    z = torch.zeros(1, c.z, side // 64, side // 64)
    modulation = torch.ones(1, c.gs_width, 1, 1)

    def entropy_model() -> None:
        psi = model.h_s(z)
        for step in range(4):
            model.context(step, psi, None if step == 0 else y)

    shared = count(entropy_model)
    encode = count(lambda: model.h_a(model.g_a(torch.zeros(1, 3, side, side))))
    decode = count(lambda: model.g_s(y, modulation))
    return encode + shared, decode + shared


def milliseconds(model: PhotoModel, size: tuple[int, int] = (512, 768)) -> tuple[float, float]:
    """(g_a, g_s) of one Kodak picture in bfloat16 on all cores, the best of nine."""
    c = model.config
    x = torch.rand(1, 3, *size).contiguous(memory_format=torch.channels_last)
    y = torch.rand(1, c.n, size[0] // 16, size[1] // 16).contiguous(memory_format=torch.channels_last)
    modulation = torch.ones(1, c.gs_width, 1, 1)

    def best(work: Callable[[], Any]) -> float:
        times = []
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            for _ in range(9):
                start = time.perf_counter()
                work()
                times.append(time.perf_counter() - start)
        return 1000 * min(times)

    return best(lambda: model.g_a(x)), best(lambda: model.g_s(y, modulation))


def cost(experiment: Experiment) -> dict[str, tuple[float, float]]:
    """What the encoder and the decoder of an experiment cost. It replaces parts of the model, as `run` does."""
    if experiment.patch is not None:
        experiment.patch()
    table = tomllib.loads(recipe_text(experiment))["model"]
    table.pop("family")
    model = layers.channels_last(PhotoModel(PhotoConfig(**table))).eval()
    return {"kmacs": kilomacs_per_pixel(model), "ms": milliseconds(model)}


def collect(folder: Path, into: Path) -> None:
    """Keep what every finished run in `folder` measured in one small file, beside what it holds of other runs."""
    found = json.loads(into.read_text(encoding="utf-8")) if into.exists() else {}
    for experiment in EXPERIMENTS:
        measured, costs = _last(folder / experiment.name), folder / experiment.name / "cost.json"
        if measured is not None and costs.exists():
            found[experiment.name] = measured | json.loads(costs.read_text(encoding="utf-8"))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(values)}" for name, values in found.items())
    into.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def table(results: Path) -> Iterator[tuple[str, ...]]:
    """Rows for docs/EXPERIMENTS.md from what `collect` wrote, in the order of the list.

    Name, change, predicted and measured percent of bits at equal PSNR (held-out pictures, five qualities), the same of
    R + lambda D, kMAC/px and milliseconds of encoder / decoder.
    """
    found = json.loads(results.read_text(encoding="utf-8"))
    for experiment in EXPERIMENTS:
        anchor, measured = (found.get(name) for name in ("warm" if experiment.warm else "base", experiment.name))
        if anchor is None or measured is None:
            continue
        rate = bd_rate(*(curve(zip(r["bpp"], r["psnr"], strict=True)) for r in (anchor, measured)))
        score = 100 * (2 ** (measured["score"] - anchor["score"]) - 1)
        kmacs, ms = ("{:.1f} / {:.1f}".format(*measured[key]) for key in ("kmacs", "ms"))
        bits = "-" if rate is None else f"{rate:+.1f}"
        yield experiment.name, experiment.change, experiment.predicted, bits, f"{score:+.1f}", kmacs, ms


def markdown(results: Path) -> str:
    """`table` as Markdown."""
    heads = ("run", "change", "predicted %", "bits %", "R + λD %", "kMAC/px enc / dec", "ms g_a / g_s")
    rules = ("---", "---", *("---:" for _ in heads[2:]))
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, rules, *table(results)))


def _last(folder: Path) -> dict[str, Any] | None:
    """The last validation of a run that came to its end."""
    if not (folder / "metrics.jsonl").exists():
        return None
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    done = [row for row in rows if row["kind"] == "validation"]
    steps = recipe.load(folder / "experiment.toml").train.steps
    return done[-1] if done and done[-1]["step"] >= steps else None


@click.group(help=__doc__)
def main() -> None:
    """The commands."""


NAMES = click.argument("names", nargs=-1, required=True)
FOLDER = click.option("-o", "--folder", type=click.Path(path_type=Path), default=Path("runs/experiments"))


@main.command("run")
@NAMES
@FOLDER
@click.option("--from", "start", type=click.Path(path_type=Path), help="The trained model that warm runs start from.")
@click.option("--data", multiple=True, required=True, metavar="PATH", help="Pictures to train on.")
@click.option("--validation", multiple=True, required=True, metavar="PATH", help="Pictures to validate on.")
def run_command(
    names: tuple[str, ...], folder: Path, start: Path | None, data: tuple[str, ...], validation: tuple[str, ...]
) -> None:
    """Train experiments, one process each."""
    if len(names) == 1:
        run(find(names[0]), folder, start, data, validation)
        return
    for name in names:
        again = ["run", find(name).name, "-o", str(folder), *(() if start is None else ("--from", str(start)))]
        again += [word for path in data for word in ("--data", path)]
        again += [word for path in validation for word in ("--validation", path)]
        subprocess.run([sys.executable, "-m", "caecodec.bench.experiments.run", *again], check=True)


@main.command("cost")
@NAMES
@FOLDER
def cost_command(names: tuple[str, ...], folder: Path) -> None:
    """Write what each model costs beside its run: on an idle machine, one process each."""
    if len(names) == 1:
        (folder / names[0]).mkdir(parents=True, exist_ok=True)
        (folder / names[0] / "cost.json").write_text(json.dumps(cost(find(names[0]))), encoding="utf-8")
        return
    for name in names:
        again = ["cost", find(name).name, "-o", str(folder)]
        subprocess.run([sys.executable, "-m", "caecodec.bench.experiments.run", *again], check=True)


RESULTS = click.argument("results", type=click.Path(path_type=Path, dir_okay=False))


@main.command("collect")
@RESULTS
@FOLDER
def collect_command(results: Path, folder: Path) -> None:
    """Add what finished runs measured to RESULTS, a JSON file."""
    collect(folder, results)


@main.command("table")
@RESULTS
def table_command(results: Path) -> None:
    """Print what RESULTS holds as Markdown."""
    click.echo(markdown(results))


if __name__ == "__main__":
    main()
