"""A context for an autoencoder's codec that has been trained with a factorised prior.

`python -m caecodec.models.training.prior CHECKPOINT -o RUN --recipe RECIPE.toml --data DIR` keeps the network as it is,
gains and all: y of the training pictures is computed once, and the context learns to say what y costs, which
takes a hundredth of the time of a step through the network. Gains that moved by what errors in y do to the picture in
the mean made pictures worse at equal bytes. RUN/weights.pt is what `caecodec export` takes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import click
import torch
from torch import Tensor, nn

from caecodec.entropy.rounding import RDO_STRENGTH
from caecodec.models.data import datasets
from caecodec.models.export.model_file import load_checkpoint
from caecodec.models.networks.autoencoder import AutoencoderConfig, AutoencoderModel
from caecodec.models.training import losses, recipe
from caecodec.models.training.recipe import SetData
from caecodec.models.training.task import VALIDATION_LEVELS, levels

BATCH = 64
AT_ONCE = 100  # pictures through the network
LR = 2e-3
VALIDATION = 200  # pictures, of those that training holds out
PROBED = 300  # pictures that `power` is measured on
STEPS_PER_RECORD = 200


def with_context(model: AutoencoderModel, config: AutoencoderConfig) -> AutoencoderModel:
    """A model of `config`, which has a context, with all else as `model` has it. Raises ValueError where it differs."""
    if not config.groups or model.config.form != "codec":
        raise ValueError("a context is for the codec form of an autoencoder whose recipe names groups of channels")
    new = AutoencoderModel(config)
    kept = {name: value for name, value in model.state_dict().items() if not name.startswith("prior.")}
    try:
        missing, unexpected = new.load_state_dict(kept, strict=False)
    except RuntimeError as exc:
        raise ValueError(f"the recipe is of a model of another shape ({exc})") from exc
    if unexpected or not all(name.startswith(("context", "normaliser", "power")) for name in missing):
        raise ValueError("the recipe is of a model of another shape")
    return new.eval()


@torch.inference_mode()
def latents_of(model: AutoencoderModel, pictures: Tensor) -> Tensor:
    """y (P, C, h, w) before its gain of pictures (P, H, W, C) uint8."""
    return torch.cat([model.encode(_unit(part))[0] for part in torch.split(pictures, AT_ONCE)]).clone()


def power_of(model: AutoencoderModel, y: Tensor) -> Tensor:
    """The sum of squares that an error of 1 in each channel of y (P, C, h, w) makes in the picture, (C,)."""
    found = []
    for part in torch.split(y, AT_ONCE):
        at = part.clone().requires_grad_()
        x_hat = model.network.decode(model.turn_back(at), [])
        probe = torch.randint(0, 2, x_hat.shape).float() * 2 - 1  # the mean square of J' times it is that of J
        (slope,) = torch.autograd.grad((x_hat * probe).sum(), at)
        found.append(slope.square().mean((2, 3)))
    return torch.cat(found).mean(0)


@torch.no_grad()
def validate(model: AutoencoderModel, pictures: Tensor) -> dict[str, list[float]]:
    """Bytes a picture and PSNR at the usual levels, rounded as the codec does."""
    x, record = _unit(pictures), dict[str, list[float]](bytes=[], psnr=[])
    for level in VALIDATION_LEVELS:
        parts = [model(p, torch.full((len(p),), level), True, RDO_STRENGTH) for p in torch.split(x, AT_ONCE)]
        x_hat, bits = (torch.cat([part[key] for part in parts]) for key in ("x_hat", "bits"))
        record["bytes"].append(round(float(bits.mean()) / 8, 2))
        record["psnr"].append(round(float(losses.psnr(losses.mse_255(x_hat.clamp(0, 1), x)).mean()), 3))
    return record


def learn(model: AutoencoderModel, y: Tensor, steps: int) -> Iterator[dict[str, float]]:
    """Teach the context on y (P, C, h, w); a record every so many steps."""
    parameters = [*model.context.parameters(), model.context_bias]
    optimizer = torch.optim.AdamW(parameters, weight_decay=1e-3)
    begun, window = time.monotonic(), list[float]()
    for step in range(steps):
        some = y[torch.randint(0, len(y), (BATCH,))]
        level = levels(BATCH, y.device)
        bits = model.code(some, level)[1]
        value = (bits * (model.config.lambda_at(level) / 0.02) ** -0.5).mean()
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 100.0)
        for group in optimizer.param_groups:
            group["lr"] = LR * min(1.0, (step + 1) / 100, (steps - step) / (0.5 * steps))
        optimizer.step()
        window.append(bits.detach().mean().item() / 8)
        if (step + 1) % STEPS_PER_RECORD == 0 or step + 1 == steps:
            yield {"step": step + 1, "minutes": (time.monotonic() - begun) / 60, "bytes": sum(window) / len(window)}
            window.clear()


def _unit(pictures: Tensor) -> Tensor:
    """(B, H, W, C) uint8 -> (B, C, H, W) in [0, 1], channels_last."""
    return pictures.permute(0, 3, 1, 2).float() / 255


def _split(data: SetData, path: Path, count: int) -> tuple[Tensor, Tensor]:
    """Pictures to train on and some of those that training holds out, as `SmallTask` does."""
    whole = datasets.load(data.sets[0], path, "train")
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))
    held_out = min(data.validation, len(whole) // 5)
    chosen = order[held_out : held_out + count]
    return whole.pictures[chosen], whole.pictures[order[: min(VALIDATION, held_out)]]


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--recipe", "name", required=True, help="Recipe of the model with a context.")
@click.option("--data", "path", type=click.Path(path_type=Path, exists=True), required=True, help="The data set.")
@click.option("--steps", default=4000, help=f"Of {BATCH} pictures.")
@click.option("--pictures", "count", default=20_000, help="Of the training split.")
def main(checkpoint: Path, output: Path, name: str, path: Path, steps: int, count: int) -> None:
    """Give the codec of CHECKPOINT a context."""
    torch.manual_seed(1)
    found, record = load_checkpoint(checkpoint)
    wanted = recipe.load(name)
    if not isinstance(found, AutoencoderModel) or not isinstance(wanted.model, AutoencoderConfig):
        raise click.UsageError("only autoencoders of the literature are given a context so")
    assert isinstance(wanted.data, SetData)
    try:
        model = with_context(found, wanted.model)
    except ValueError as exc:
        raise click.UsageError(f"{checkpoint}: {exc}") from exc
    pictures, held_out = _split(wanted.data, path, count)
    output.mkdir(parents=True, exist_ok=True)
    y = latents_of(model, pictures)
    model.start_context(y.permute(0, 2, 3, 1).flatten(0, 2), power_of(model, y[:PROBED]))
    with (output / "metrics.jsonl").open("w", encoding="utf-8") as log:
        for line in learn(model, y, steps):
            log.write(json.dumps(line | {"kind": "train"}) + "\n")
            log.flush()
        validation = {wanted.data.sets[0]: validate(model, held_out)}
        log.write(json.dumps({"kind": "validation", **validation}) + "\n")
    hours = round(line["minutes"] / 60, 3)
    own = {"recipe": f"{wanted.name}, context", "steps": steps, "hours": hours, "device": "cpu"}
    kept = {key: record[key] for key in ("step", "elapsed", "patches")}
    history = [*record["history"], own]
    state = {"ema": model.state_dict(), "config": wanted.model.to_dict(), "recipe": wanted.text, "history": history}
    torch.save(state | kept | {"validation": validation}, output / "weights.pt")
    click.echo(f"{output / 'weights.pt'}: {validation}")


if __name__ == "__main__":
    main()
