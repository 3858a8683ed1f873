"""Installed models: name or id -> verified weights. Torch-free; listing reads only headers."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from caecodec.errors import ModelError
from caecodec.models import weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_MODEL = "photo"
PATH_VARIABLE = "CAECODEC_MODEL_PATH"
_MAX_HEADER_BYTES = 1 << 24
_SHIPPED = Path(weights.__path__[0])


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One installed model, from the header of its file."""

    name: str
    id: bytes  # 4 bytes, as in a .cae file
    family: str
    description: str
    path: Path
    size_bytes: int
    version: str  # differs when the file does: its time and the hash of its header
    config: Mapping[str, float] = field(compare=False)
    training: Mapping[str, float] = field(compare=False)
    summary: Mapping[str, str] = field(compare=False)  # one line each: data, quality

    @property
    def card(self) -> str:
        """The model card (Markdown), or an empty text."""
        path = self.path.with_suffix(".md")
        return path.read_text(encoding="utf-8") if path.is_file() else ""


@dataclass(frozen=True, slots=True)
class Model:
    """A model whose tensors hash to its id."""

    info: ModelInfo
    tensors: Mapping[str, NDArray[np.generic]]


def folders() -> list[Path]:
    """Where models are looked for: the folders of $CAECODEC_MODEL_PATH, then the package."""
    return [Path(p) for p in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if p] + [_SHIPPED]


def read_info(path: Path) -> ModelInfo:
    """Header of one weights file. Raises ModelError where it is not one of ours."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= _MAX_HEADER_BYTES:
                raise ModelError(f"{path}: not a safetensors file")
            header = stream.read(length)
            status = os.fstat(stream.fileno())
        metadata = json.loads(header)["__metadata__"]
        if metadata["format"] != "caecodec-model 1":
            raise ModelError(f"{path}: model format {metadata['format']!r} needs a newer caecodec")
        return ModelInfo(
            name=metadata["name"],
            id=bytes.fromhex(metadata["id"]),
            family=metadata["family"],
            description=metadata["description"],
            path=path,
            size_bytes=status.st_size,
            version=f"{status.st_mtime_ns}-{hashlib.sha256(header).hexdigest()}",
            config=json.loads(metadata["config"]),
            training=json.loads(metadata["training"]),
            summary=json.loads(metadata["summary"]),
        )
    except OSError as exc:
        raise ModelError(f"{path}: {exc.strerror}") from exc
    except (KeyError, TypeError, ValueError) as exc:
        raise ModelError(f"{path}: not a caecodec model ({exc})") from exc


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
    return _load(find(key))


@functools.lru_cache(maxsize=4)
def _load(info: ModelInfo) -> Model:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from caecodec.zoo.identity import model_id

    try:
        tensors = load_file(info.path)
    except (SafetensorError, OSError) as exc:
        raise ModelError(f"{info.path}: {exc}") from exc
    if model_id(tensors) != info.id:
        raise ModelError(f"{info.path}: its tensors do not hash to its id {info.id.hex()}: the file is damaged")
    return Model(info, tensors)
