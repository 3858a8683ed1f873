"""The header of a safetensors file, read strictly: what it says of tensors is true of the file, or it is refused.

A file is the header's length in 8 bytes, little-endian; the header, a JSON object; the tensors' data, one after the
other. Standard library only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LENGTH_BYTES = 8
_MAX_BYTES = 1 << 24
_MAX_SIDE = 1 << 31
_MAX_SIDES = 8
BYTES = {"U8": 1, "I16": 2, "I32": 4, "I64": 8, "F16": 2, "F32": 4}  # of one value of each type


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies: its type by safetensors' name, its shape, and the offset of its data in the file."""

    kind: str
    shape: tuple[int, ...]
    start: int

    @property
    def count(self) -> int:
        """Of its values."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """metadata: texts. tensors: all of the file, which they fill without a gap. text: the header as it stands there."""

    metadata: Mapping[str, str]
    tensors: Mapping[str, Place]
    text: bytes


def read(stream: BinaryIO, size: int) -> Header:
    """The header of a file of so many bytes, from its start. Raises ValueError, OSError."""
    first = stream.read(_LENGTH_BYTES)
    length = int.from_bytes(first, "little")
    if len(first) < _LENGTH_BYTES or not 2 <= length <= min(_MAX_BYTES, size - _LENGTH_BYTES):
        raise ValueError("not a safetensors file")
    text = stream.read(length)
    found = parsed(text.decode())
    metadata = found.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata are not texts")
    places = {name: _place(name, entry, _LENGTH_BYTES + length) for name, entry in found.items()}
    end = _LENGTH_BYTES + length
    for name, place in sorted(places.items(), key=lambda item: (item[1].start, item[1].count)):
        if place.start != end:
            raise ValueError(f"tensor {name!r:.60} does not begin where the one before it ends")
        end += place.count * BYTES[place.kind]
    if end != size:
        raise ValueError(f"its tensors end at byte {end}, the file at byte {size}")
    return Header(metadata, places, text)


def parsed(text: str) -> dict[str, object]:
    """A JSON object, no name of which stands there twice. Raises ValueError."""
    try:
        found = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("its header is not an object")
    return found


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in its header")
    return found


def _place(name: str, entry: object, data: int) -> Place:
    """The entry of one tensor; `data`: where those of all begin."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"tensor {name!r:.60} is malformed")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in BYTES:
        raise ValueError(f"tensor {name!r:.60} is of an unknown type")
    if not _naturals(shape) or len(shape) > _MAX_SIDES or any(side > _MAX_SIDE for side in shape):
        raise ValueError(f"the shape of tensor {name!r:.60} is malformed")
    if not _naturals(offsets) or len(offsets) != 2:
        raise ValueError(f"the place of tensor {name!r:.60} is malformed")
    place = Place(kind, tuple(shape), data + offsets[0])
    if offsets[1] - offsets[0] != place.count * BYTES[kind]:
        raise ValueError(f"tensor {name!r:.60} has not the size of its shape")
    return place


def _naturals(value: object) -> bool:
    return isinstance(value, list) and all(type(v) is int and v >= 0 for v in value)


def packed(tensors: Mapping[str, NDArray[np.generic]], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file."""
    entries: dict[str, object] = {"__metadata__": dict(metadata)}
    parts, start = [], 0
    for name, tensor in tensors.items():
        data = tensor.astype(tensor.dtype.newbyteorder("<"), order="C", copy=False).tobytes()
        kind = f"{tensor.dtype.kind.upper()}{8 * tensor.dtype.itemsize}"
        entries[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [start, start + len(data)]}
        parts.append(data)
        start += len(data)
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)  # so that data are aligned
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + b"".join(parts)
