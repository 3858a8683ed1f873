"""The model id: what ties a .cae file to the one model that can decode it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

ID_BYTES = 4


def model_id(tensors: Mapping[str, NDArray[np.generic]]) -> bytes:
    """First 4 bytes of SHA-256 over name, type, shape and little-endian data of every tensor, in name order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {tensor.dtype.newbyteorder('<').str} {tensor.shape}\n".encode())
        digest.update(tensor.astype(tensor.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.digest()[:ID_BYTES]
