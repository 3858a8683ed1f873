"""Model files: their headers, and their tensors, verified."""

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

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAX_HEADER_BYTES = 1 << 24


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
        if metadata["format"] != "caecodec-model 2":
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


@functools.lru_cache(maxsize=4)
def load_verified(info: ModelInfo) -> Model:
    """The tensors of a model file, verified against its id. Raises ModelError. The last few are kept in memory."""
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
