"""A trained checkpoint -> one weights file: float networks, integers that decide decoding, model id.

The model id is the first bytes of the SHA-256 of all tensors in name order, so any change of any of them, an encoder's
included, is another model. What a family's file holds is in the module of its name beside this one.
"""

from __future__ import annotations

import json
import pickle
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save
from torch import nn

from caecodec.errors import UsageError
from caecodec.files.writing import make_folder, write_atomically
from caecodec.models import families
from caecodec.models.data.pictures import validation_crops
from caecodec.models.export import fitting
from caecodec.models.export.exactness import Cost, cost_of_integers
from caecodec.models.export.integers import Tensors
from caecodec.models.networks.photo import PhotoModel
from caecodec.zoo import find
from caecodec.zoo.identity import model_id


def tensors_of(model: nn.Module) -> Tensors:
    """All tensors of the weights file of a family's network.

    Raises ModelError where integers cannot be proven exact, UsageError for a network that is not of a codec.
    """
    tensors: Tensors = families.part(families.family_of(model).tensors)(model)
    return tensors


def new_model(family: str, config: Mapping[str, Any]) -> nn.Module:
    """A network of a family, with fresh weights. Raises TypeError, ValueError, KeyError."""
    parts = families.family(family)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    network: nn.Module = families.part(parts.network)(families.part(parts.config)(**values))
    return network


def load_checkpoint(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """A training checkpoint -> its averaged model in float32 and its record. Raises UsageError."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model = new_model(tomllib.loads(state["recipe"])["model"]["family"], state["config"]).eval()
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state["ema"].items()})
        return model, {k: v for k, v in state.items() if k not in ("model", "ema", "optimizer")}
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as exc:
        raise UsageError(f"{path}: not a whole checkpoint of caecodec") from exc


def export(
    checkpoint: Path,
    folder: Path,
    name: str | None = None,
    summary: Mapping[str, str] | None = None,
    overwrite: bool = False,
    fit: Path | None = None,
) -> Path:
    """Write folder/NAME.safetensors and, unless there is one, a card NAME.md; returns the path of the weights.

    summary: one line each on 'data' and 'quality', for `caecodec models`. fit: photographs that a photo model's tables,
    qualities and worth of errors (`caecodec.models.export.fitting`) are fitted to. Raises UsageError, ModelError,
    FileSystemError.
    """
    model, record = load_checkpoint(checkpoint)
    config: Any = model.config
    recipe = tomllib.loads(record["recipe"])
    try:
        tensors, tables = (tensors_of(model), "") if fit is None else _fitted(model, fit)
    except FileNotFoundError as exc:
        raise UsageError(str(exc)) from exc
    except UsageError as exc:
        raise UsageError(f"{checkpoint}: {exc}") from exc
    name = name or str(recipe["name"])
    history = record.get("history", [])
    training = {
        "steps": sum(part["steps"] for part in history) or record["step"],
        "patches": record["patches"],
        "hours": round(sum(part["hours"] for part in history) or record["elapsed"] / 3600, 3),
    }
    metadata = {
        "format": "caecodec-model 2",
        "family": str(recipe["model"]["family"]),
        "name": name,
        "description": str(recipe["description"]),
        "id": model_id(tensors).hex(),
        "config": json.dumps(config.to_dict()),
        "training": json.dumps(training),
        "summary": json.dumps(dict(summary or {}) | ({"tables": tables} if tables else {})),
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
    lines += [f"  - {part}" for part in record.get("history", [])]
    validation = record.get("validation") or {}
    if "bpp" in validation:
        points = zip(validation["bpp"], validation["psnr"], strict=True)
        lines.append("- Validation, bpp / PSNR: " + ", ".join(f"{bpp} / {psnr}" for bpp, psnr in points))
    else:
        lines += [f"- Validation, {name}: {values}" for name, values in validation.items() if name != "kind"]
    if "tables" in summary:
        lines.append(f"- Frequency tables: {summary['tables']}")
    lines.append(f"- Measured: {summary.get('quality') or 'not stated'}")
    return "\n".join([*lines, "", "## Recipe", "", "```toml", str(record["recipe"]).strip(), "```", ""])


def _fitted(model: nn.Module, path: Path) -> tuple[Tensors, str]:
    fitted = families.family_of(model).fitted
    if not fitted:
        raise UsageError("--fit is for photo models")
    found: tuple[Tensors, str] = families.part(fitted)(model, path)
    return found


def costs_of_integers(checkpoint: Path, weights: Path, pictures: Path) -> list[Cost]:
    """Cost of exactness at a low, a middle and a high quality, on 256x256 crops of `pictures`.

    checkpoint: the float model; weights: the file that was exported from it, fitted tables included. Raises UsageError.
    """
    model, _ = load_checkpoint(checkpoint)
    if not isinstance(model, PhotoModel):
        raise UsageError("--check is for photo models")
    tensors = load_file(weights)
    crops = validation_crops([pictures], 256, torch.device("cpu"))
    return [cost_of_integers(model, tensors, crops, quality) for quality in (10, 50, 90)]


def scores_of_qualities(weights: Path, pictures: Path) -> dict[int, NDArray[np.float64]]:
    """SSIMULACRA2 of photographs at qualities from 30 to 90, coded with a model. Raises UsageError, ModelError."""
    model = find.load(str(weights))
    qualities = range(30, 91, 10)
    try:
        found = fitting.scores(model.tensors, model.info.config, fitting.photographs([pictures], 40), qualities)
    except FileNotFoundError as exc:
        raise UsageError(str(exc)) from exc
    return dict(zip(qualities, found.T, strict=True))
