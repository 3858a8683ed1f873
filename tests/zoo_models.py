"""Models of the families with cells as the zoo has them, with random integers for weights: made in no time."""

from __future__ import annotations

from pathlib import Path

import core_models
import numpy as np
from core_models import TensorDict

from caecodec.zoo.file import Model, ModelInfo


def of_zoo(tensors: TensorDict, family: str, n: int) -> Model:
    """A model that came from no file; its table of gains is 1 to 100 in every channel."""
    gain = np.repeat(np.arange(1, 101, dtype=np.float32)[:, None], n, axis=1)
    info = ModelInfo("trial", bytes(4), family, "", Path("trial.safetensors"), 0, "1", {}, {}, {})
    return Model(info, tensors | {"float.gain": gain})


def photo(seed: int = 1) -> Model:
    """No width is a multiple of a vector; 20 channels."""
    return of_zoo(core_models.photo(seed, n=20, z=8, psi=13, context=11, width=9), "photo", 20)


def tiny(seed: int = 1) -> Model:
    """Six steps; 19 channels."""
    tensors = core_models.tiny(seed, groups=(4, 9, 6), splits=(4, 1, 1), adapted=10, hidden=14, width=9)
    return of_zoo(tensors, "tiny", 19)
