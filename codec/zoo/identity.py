"""The model id: what ties a .cae file to the one model that can decode it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

ID_BYTES = 4


def model_id(tensors: Mapping[str, NDArray[np.generic]]) -> bytes:
    """First 4 bytes of SHA-256 over a line 'NAME TYPE SHAPE' and the little-endian data of every tensor, by name.

    TYPE as safetensors writes it (U8, I16, F32), SHAPE as 9,128.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        kind = f"{tensor.dtype.kind.upper()}{8 * tensor.dtype.itemsize}"
        digest.update(f"{name} {kind} {','.join(map(str, tensor.shape))}\n".encode())
        data = np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<"))
        digest.update(data.reshape(-1).view(np.uint8).data)  # the bytes themselves, not a copy
    return digest.digest()[:ID_BYTES]
