"""Train an experiment, count what its model costs, and keep what both say in one results file.

A run is a fixed number of patches, so that it says the same on any machine, however busy.
"""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import torch
from torch.utils.flop_counter import FlopCounterMode

from caecodec.bench.experiments.list import EXPERIMENTS, Experiment, recipe_text
from caecodec.bench.metrics.bdrate import bd_rate, curve
from caecodec.models.networks import layers
from caecodec.models.networks.photo import PhotoConfig, PhotoModel
from caecodec.models.training import recipe


def train(
    experiment: Experiment, folder: Path, start: Path | None, data: Sequence[str], validation: Sequence[str] = ()
) -> dict[str, Any]:
    """Train one experiment into folder/NAME. It replaces parts of the model: one run a process."""
    into = folder / experiment.name
    if experiment.warm and start is None:
        raise click.UsageError(f"{experiment.name} starts from a trained model: name it with --from")
    if not data:
        raise click.UsageError("name folders, tar shards or pictures to train on with --data")
    if into.exists():
        raise click.UsageError(f"{into} holds a run; remove it or name another folder with -o")
    into.mkdir(parents=True)
    path = into / "experiment.toml"
    path.write_text(recipe_text(experiment), encoding="utf-8")
    if experiment.patch is not None:
        experiment.patch()
    from caecodec.models.training import run as training

    return training.run_recipe(str(path), into, data, validation, start=start if experiment.warm else None)


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
    """What the encoder and the decoder of an experiment cost. It replaces parts of the model, as `train` does."""
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


def table_rows(results: Path) -> Iterator[tuple[str, ...]]:
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
    """`table_rows` as a table in Markdown."""
    heads = ("run", "change", "predicted %", "bits %", "R + λD %", "kMAC/px enc / dec", "ms g_a / g_s")
    rules = ("---", "---", *("---:" for _ in heads[2:]))
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, rules, *table_rows(results)))


def _last(folder: Path) -> dict[str, Any] | None:
    """The last validation of a run that came to its end."""
    if not (folder / "metrics.jsonl").exists():
        return None
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    done = [row for row in rows if row["kind"] == "validation"]
    steps = recipe.load(folder / "experiment.toml").train.steps
    return done[-1] if done and done[-1]["step"] >= steps else None
