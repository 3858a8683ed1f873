"""Installed models: name or id -> verified weights. Torch-free; listing reads only headers."""

from __future__ import annotations

import os
from pathlib import Path

from caecodec.errors import ModelError
from caecodec.models import weights
from caecodec.zoo.file import Model, ModelInfo, load_verified, read_info

DEFAULT_MODEL = "photo"
PATH_VARIABLE = "CAECODEC_MODEL_PATH"
_SHIPPED = Path(weights.__path__[0])


def folders() -> list[Path]:
    """Where models are looked for: the folders of $CAECODEC_MODEL_PATH, then the package."""
    return [Path(p) for p in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if p] + [_SHIPPED]


def everything() -> tuple[list[ModelInfo], list[ModelError]]:
    """Every model in every folder, in the order of the folders, and what is wrong with files that are none."""
    found, wrong = [], []
    for folder in folders():
        for path in sorted(folder.glob("*.safetensors")):
            try:
                found.append(read_info(path))
            except ModelError as exc:
                wrong.append(exc)
    return found, wrong


def installed() -> list[ModelInfo]:
    """The models that names stand for, by name; of two with one name the earlier folder's."""
    by_name: dict[str, ModelInfo] = {}
    for info in everything()[0]:
        by_name.setdefault(info.name, info)
    return [by_name[name] for name in sorted(by_name)]


def find(key: str | bytes | None = None) -> ModelInfo:
    """By name, by id (4 bytes, or 8 hex digits), by path of a .safetensors file; None means the default model."""
    if isinstance(key, str) and key.endswith(".safetensors"):
        return read_info(Path(key))
    wanted = DEFAULT_MODEL if key is None else key
    models, wrong = everything()
    for info in models:  # an id is looked for in all, also where an earlier folder takes the name
        if wanted in (info.name, info.id, info.id.hex()):
            return info
    shown = wanted.hex() if isinstance(wanted, bytes) else wanted
    names = ", ".join(f"{m.name} ({m.id.hex()})" for m in models) or "none"
    unread = "".join(f"; not a model: {error}" for error in wrong)
    raise ModelError(
        f"model {shown} is not installed (installed: {names}{unread}); "
        f"put its .safetensors into a folder named in {PATH_VARIABLE}"
    )


def load(key: str | bytes | None = None) -> Model:
    """A model's tensors, verified against its id. Raises ModelError. The last few are kept in memory."""
    return load_verified(find(key))
