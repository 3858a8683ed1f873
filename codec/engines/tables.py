"""The float tables of a model, which encoders alone need: a row for each quality or two, checked before any is used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.fixed_point import Tensors
from caecodec.errors import ModelError
from caecodec.tune import QUALITIES

Float = NDArray[np.float32]


def expect_finite(tensors: Tensors) -> None:
    """Raise ModelError where a float tensor holds what is no number: a picture of it would be black, without a word."""
    for name, tensor in tensors.items():
        if np.asarray(tensor).dtype.kind == "f" and not np.isfinite(tensor).all():
            raise ModelError(f"tensor {name} is not finite")


def of_autoencoder(tensors: Tensors) -> tuple[str, ...]:
    """Names of the tables that an autoencoder must have: with a context also what an error in each channel is worth."""
    return ("gain", "gain_out", "offset", *(("weight",) if "steps.groups" in tensors else ()))


class FloatTables:
    """Tensors `float.*` of a model."""

    def __init__(self, tensors: Tensors, widths: Mapping[str, int], rows: int = QUALITIES) -> None:
        """widths: name -> columns, of those that must be there. Raises ModelError."""
        expect_finite(tensors)
        self._tables: dict[str, Float] = {}
        for name, width in widths.items():
            if f"float.{name}" not in tensors:
                raise ModelError(f"the model lacks float.{name}")
            table = np.asarray(tensors[f"float.{name}"])
            if table.shape != (rows, width) or table.dtype != np.float32 or not np.isfinite(table).all():
                raise ModelError(f"table float.{name} is malformed")
            self._tables[name] = table.astype(np.float32, copy=False)

    def row(self, name: str, quality: int) -> Float:
        """A table at quality 1..100, or a row above (`caecodec.tune.row`): (channels,)."""
        found: Float = self._tables[name][quality - 1]
        return found
