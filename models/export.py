"""A trained checkpoint -> one weights file: float networks, integer entropy network, integer tables, model id.

Everything in the file decides decoding except `g_a`, `h_a` and the encoder's gains; the model id is the first bytes of
the SHA-256 of all tensors in name order, so any change of any of them is another model.
"""

from __future__ import annotations

import json
import math
import pickle
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from torch import Tensor, nn

from caecodec.errors import UsageError
from caecodec.files import make_folder, write_atomically
from caecodec.integer import FRACTION_BITS, PRECISION, QUALITIES, SCALES, STEPS, TABLE_BITS, EntropyNetwork
from caecodec.models import layers
from caecodec.models.check import Cost, cost_of_integers
from caecodec.models.data import validation_crops
from caecodec.models.identity import model_id
from caecodec.models.photo import PhotoConfig, PhotoModel, level_of_quality
from caecodec.models.rate_model import SCALE_STEP, scale_of_index

Tensors = dict[str, NDArray[np.generic]]

WEIGHT_BITS = 14  # magnitude of the largest integer weight of a layer: below 2^14
TAIL_MASS = 2.0**-20  # of each table, left to the escape


def integer_layer(weight: NDArray[np.float64], bias: NDArray[np.float64], name: str) -> Tensors:
    """Float weight (in, out) and bias (out,) -> integer tensors of `caecodec.integer.Layer`."""
    largest = float(np.abs(weight).max()) or 1.0
    shift = int(np.clip(math.floor(math.log2((2**WEIGHT_BITS - 1) / largest)), 0, 24))
    integers = np.floor(weight * 2.0**shift + 0.5)
    if np.abs(integers).max() >= 2**15:
        raise ValueError(f"{name}: a weight of {largest} is too large for the integer network")
    biases = np.floor(bias * 2.0 ** (shift + FRACTION_BITS) + 0.5)
    return {
        f"{name}.weight": integers.astype(np.int16),
        f"{name}.bias": biases.astype(np.int64),
        f"{name}.shift": np.array([shift], np.int32),
    }


def _numpy(x: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = x.detach().cpu().double().numpy()
    return array


def _convert(module: nn.Module, name: str) -> Tensors:
    """Every 1x1 and depthwise convolution under `module`."""
    out: Tensors = {}
    for path, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            weight = _numpy(layer.weight)
            # (C, 1, 3, 3) -> (9, C), or (out, in, 1, 1) -> (in, out)
            matrix = weight.reshape(len(weight), -1).T
            out |= integer_layer(np.ascontiguousarray(matrix), _numpy(layer.bias), f"{name}.{path}")
    return out


def entropy_network(model: PhotoModel) -> Tensors:
    """The `int.*` tensors: h_s and context as integers."""
    out = _convert(model.h_s, "int.h_s") | _convert(model.context, "int.context")
    for step in range(STEPS):
        for group in range(STEPS):
            weight, bias = model.context.head_weight[step, group], model.context.head_bias[step, group]
            out |= integer_layer(_numpy(weight), _numpy(bias), f"int.context.head.{step}.{group}")
    return out


def quality_tables(model: PhotoModel) -> Tensors:
    """The tables of each quality 1..100: `quality.*` in integers, `float.*` for the two float networks."""
    level = torch.tensor([level_of_quality(q) for q in range(1, QUALITIES + 1)])

    def rows(table: Tensor) -> NDArray[np.float64]:
        return _numpy(layers.interpolate(table.double(), level.double())[:, :, 0, 0])

    def fixed(x: NDArray[np.float64], bits: int) -> NDArray[np.int32]:
        return np.floor(x * 2.0**bits + 0.5).astype(np.int32)

    log_gain, log_gain_z = rows(model.log_gain), rows(model.log_gain_z)
    log_ratio = log_gain - np.log(_numpy(model.normaliser))
    gain_out = np.exp(rows(model.log_gain_out) - log_gain)
    # lambda on 255^2 * MSE over three channels, through the linear branch of g_s, whose columns are nearly orthogonal
    lam = np.array([model.config.lambda_at(level_of_quality(q)) for q in range(1, QUALITIES + 1)])
    power = (_numpy(model.g_s.linear.weight) ** 2).sum(axis=0)
    weight = lam[:, None] * (255**2 / 3) * power * gain_out**2
    index = np.clip(np.floor(rows(model.z_index) + 0.5), 0, SCALES - 1)
    return {
        "quality.to_u": fixed(np.exp(-log_ratio), TABLE_BITS),
        "quality.to_y": fixed(np.exp(log_ratio), TABLE_BITS),
        "quality.index": fixed(log_ratio / SCALE_STEP, FRACTION_BITS),
        "quality.psi": fixed(rows(model.psi_bias), FRACTION_BITS),
        "quality.z_to_u": fixed(np.exp(-log_gain_z), TABLE_BITS),
        "quality.z_mean": fixed(rows(model.z_mean), FRACTION_BITS),
        "quality.z_index": index.astype(np.uint8),
        "float.gain": np.exp(log_gain).astype(np.float32),
        "float.gain_z": np.exp(log_gain_z).astype(np.float32),
        "float.gain_out": gain_out.astype(np.float32),
        "float.weight": weight.astype(np.float32),  # encoder only: bits an error of one step^2 is worth
        "float.modulation": rows(model.modulation).astype(np.float32),
    }


def integer_table(probabilities: NDArray[np.float64]) -> NDArray[np.int32]:
    """Probabilities -> frequencies of at least 1 that sum to 2^24; the rounding error goes to the largest."""
    free = (1 << PRECISION) - len(probabilities)
    frequencies = 1 + np.floor(probabilities / probabilities.sum() * free).astype(np.int64)
    frequencies[np.argmax(frequencies)] += (1 << PRECISION) - frequencies.sum()
    table: NDArray[np.int32] = frequencies.astype(np.int32)
    return table


def gaussian_tables() -> Tensors:
    """Frequency tables of the discretised Gaussian at each scale, and their tails."""
    tails, tables = [], []
    for scale in scale_of_index(torch.arange(SCALES, dtype=torch.float64)).tolist():

        def mass(low: float, s: float = scale) -> float:  # upper tail: N(0, s) > low
            return 0.5 * math.erfc(low / s / math.sqrt(2))

        tail = next(t for t in range(1, 4096) if 2 * mass(t + 0.5) < TAIL_MASS)
        half = [mass(k - 0.5) - mass(k + 0.5) for k in range(tail + 1)]
        probabilities = np.array(half[:0:-1] + half + [2 * mass(tail + 0.5)])
        tails.append(tail)
        tables.append(integer_table(probabilities))
    return {"table.frequencies": np.concatenate(tables), "table.tail": np.array(tails, np.int32)}


def float_networks(model: PhotoModel) -> Tensors:
    """g_a, g_s and h_a in float16 where that loses nothing that is measured, plus the normaliser."""
    out: Tensors = {"float.normaliser": model.normaliser.cpu().numpy().astype(np.float32)}
    for part in ("g_a", "g_s", "h_a"):
        for key, value in getattr(model, part).state_dict().items():
            # the linear branches carry the picture itself; 11 bits are not enough at 45 dB
            kind = np.float32 if key.startswith("linear.") or value.ndim == 1 else np.float16
            out[f"{part}.{key}"] = value.detach().cpu().float().contiguous().numpy().astype(kind)
    return out


def tensors_of(model: PhotoModel) -> Tensors:
    """All tensors of the weights file. Raises ModelError where the integer network cannot be proven exact."""
    tensors = entropy_network(model) | quality_tables(model) | gaussian_tables() | float_networks(model)
    EntropyNetwork(tensors)  # proves the bounds
    return tensors


def load_checkpoint(path: Path) -> tuple[PhotoModel, dict[str, Any]]:
    """A training checkpoint -> its averaged model in float32 and its record. Raises UsageError."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model = PhotoModel(PhotoConfig(**state["config"])).eval()
        model.load_state_dict({k: v.float() for k, v in state["ema"].items()})
        return model, {k: v for k, v in state.items() if k not in ("model", "ema", "optimizer")}
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as exc:
        raise UsageError(f"{path}: not a whole checkpoint of caecodec") from exc


def export(
    checkpoint: Path,
    folder: Path,
    name: str | None = None,
    summary: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write folder/NAME.safetensors and, unless there is one, a card NAME.md; returns the path of the weights.

    summary: one line each on 'data' and 'quality', for `caecodec models`. Raises UsageError, ModelError,
    FileSystemError.
    """
    model, record = load_checkpoint(checkpoint)
    recipe = tomllib.loads(record["recipe"])
    tensors = tensors_of(model)
    name = name or str(recipe["name"])
    runs = record.get("history", [])
    training = {
        "steps": sum(run["steps"] for run in runs) or record["step"],
        "patches": record["patches"],
        "hours": round(sum(run["hours"] for run in runs) or record["elapsed"] / 3600, 3),
    }
    metadata = {
        "format": "caecodec-model 1",
        "family": "photo",
        "name": name,
        "description": str(recipe["description"]),
        "id": model_id(tensors).hex(),
        "config": json.dumps(model.config.to_dict()),
        "training": json.dumps(training),
        "summary": json.dumps(dict(summary or {})),
    }
    make_folder(folder)
    path = folder / f"{name}.safetensors"
    data = save({k: np.ascontiguousarray(v) for k, v in tensors.items()}, metadata=metadata)
    write_atomically(str(path), data, overwrite=overwrite)
    card = folder / f"{name}.md"
    if not card.exists():
        write_atomically(str(card), _card(metadata, training, record).encode(), overwrite=False)
    return path


def _card(metadata: Mapping[str, str], training: Mapping[str, float], record: Mapping[str, Any]) -> str:
    """What export knows; the data's licences and measured results are for its author to add."""
    summary = json.loads(metadata["summary"])
    lines = [
        f"# {metadata['name']}",
        "",
        f"{metadata['description']}. Model id `{metadata['id']}`.",
        "",
        f"- Data and licences: {summary.get('data') or 'not stated'}",
        f"- Training: {training['steps']} steps, {training['patches']} patches, {training['hours']} hours",
    ]
    lines += [f"  - {run}" for run in record.get("history", [])]
    validation = record.get("validation") or {}
    if validation:
        points = zip(validation["bpp"], validation["psnr"], strict=True)
        lines.append("- Validation, bpp / PSNR: " + ", ".join(f"{bpp} / {psnr}" for bpp, psnr in points))
    lines.append(f"- Measured: {summary.get('quality') or 'not stated'}")
    return "\n".join([*lines, "", "## Recipe", "", "```toml", str(record["recipe"]).strip(), "```", ""])


def check(checkpoint: Path, pictures: Path) -> list[Cost]:
    """Cost of exactness at a low, a middle and a high quality, on 256x256 crops of `pictures`."""
    model, _ = load_checkpoint(checkpoint)
    tensors = tensors_of(model)
    crops = validation_crops([pictures], 256, torch.device("cpu"))
    return [cost_of_integers(model, tensors, crops, quality) for quality in (10, 50, 90)]
