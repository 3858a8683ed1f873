"""What the encoder sees in pictures, as one file of arrays."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def packed(arrays: Mapping[str, object], names: Sequence[str]) -> bytes:
    """Arrays, and the names of the pictures they are of -> the bytes of an .npz file."""
    stream = io.BytesIO()
    every: dict[str, Any] = {"names": np.array(names)} | {key: np.asarray(value) for key, value in arrays.items()}
    np.savez(stream, **every)
    return stream.getvalue()
