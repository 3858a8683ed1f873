"""Model files: their headers, and their tensors, verified."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import mmap
import os
import re
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from caecodec.errors import ModelError
from caecodec.zoo import header

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


@dataclass(frozen=True, slots=True)
class Model:
    """A model whose tensors hash to its id."""

    info: ModelInfo
    tensors: Mapping[str, NDArray[np.generic]]
    data: bytes | mmap.mmap | None = field(default=None, compare=False)  # the file that they are views of


def read_info(path: Path) -> ModelInfo:
    """Header of one weights file. Raises ModelError where it is not one of ours.

    It is read again only where the file has changed: every file that is decoded asks for its model.
    """
    try:
        status = path.stat()
    except OSError as exc:
        raise ModelError(f"{path}: {exc.strerror}") from exc
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{path}: not a file")  # a pipe would be waited for
    identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if time.time_ns() - status.st_mtime_ns < _FRESH:
        return _read.__wrapped__(path, identity)
    return _read(path, identity)


_FRESH = 2_000_000_000  # nanoseconds in which a file may change twice and show one time


@functools.lru_cache(maxsize=64)
def _read(path: Path, _identity: tuple[int, ...]) -> ModelInfo:
    """As `read_info`; identity: what changes with the file."""
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            found = header.read(stream, status.st_size)
        metadata = found.metadata
        if metadata["format"] != "caecodec-model 2":
            raise ModelError(f"{path}: model format {metadata['format']!r} is not one of this caecodec")
        if not re.fullmatch("[0-9a-f]{8}", metadata["id"]):
            raise ModelError(f"{path}: a model id is 8 hexadecimal digits, not {metadata['id']!r:.20}")
        return ModelInfo(
            name=metadata["name"],
            id=bytes.fromhex(metadata["id"]),
            family=metadata["family"],
            description=metadata["description"],
            path=path,
            size_bytes=status.st_size,
            version=f"{status.st_mtime_ns}-{hashlib.sha256(found.text).hexdigest()}",
            config=header.parsed(metadata["config"]),  # type: ignore[arg-type]
            training=header.parsed(metadata["training"]),  # type: ignore[arg-type]
            summary=header.parsed(metadata["summary"]),  # type: ignore[arg-type]
        )
    except OSError as exc:
        raise ModelError(f"{path}: {exc.strerror}") from exc
    except (KeyError, TypeError, ValueError) as exc:
        raise ModelError(f"{path}: not a caecodec model ({exc})") from exc


@functools.lru_cache(maxsize=4)
def load_verified(info: ModelInfo) -> Model:
    """The tensors of a model file, verified against its id. Raises ModelError. The last few are kept in memory."""
    from caecodec.zoo.identity import model_id

    try:
        tensors, data = _tensors(info.path)
        found = model_id(tensors)
    except OSError as exc:
        raise ModelError(f"{info.path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise ModelError(f"{info.path}: {exc}") from exc
    if found != info.id:
        raise ModelError(f"{info.path}: its tensors do not hash to its id {info.id.hex()}: the file is damaged")
    return Model(info, tensors, data)


def _tensors(path: Path) -> tuple[dict[str, NDArray[np.generic]], bytes | mmap.mmap]:
    """Read-only views of the file's memory, and that. Raises ValueError, OSError."""
    import numpy as np

    with path.open("rb") as stream:
        places = header.read(stream, os.fstat(stream.fileno()).st_size).tensors
        data = _mapped(stream)
    kinds = {kind: np.dtype(f"<{kind[0].lower()}{size}") for kind, size in header.BYTES.items()}
    found = {
        name: np.frombuffer(data, kinds[place.kind], place.count, place.start).reshape(place.shape)
        for name, place in places.items()
        if place.count
    } | {name: np.zeros(place.shape, kinds[place.kind]) for name, place in places.items() if not place.count}
    return found, data


def _mapped(stream: BinaryIO) -> bytes | mmap.mmap:
    """The whole file. Mapped where that locks nothing: 40 ms rather than 49 until 11 MB are hashed, cold."""
    if os.name != "nt":
        with contextlib.suppress(OSError, ValueError):
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    stream.seek(0)
    return stream.read()
