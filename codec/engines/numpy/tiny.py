"""g_a and g_s of the `tiny` family on numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caecodec.engines.numpy.networks import Analysis, Synthesis
from caecodec.engines.protocol import Float
from caecodec.engines.tables import FloatTables
from caecodec.pictures.cells import TINY_CELL
from caecodec.pictures.picture import Pixels
from caecodec.zoo.file import Model


class NumpyTinyEngine:
    """See `caecodec.engines.protocol.TinyEngine`. The same bits as the native core."""

    def __init__(self, model: Model) -> None:
        self._g_a, self._g_s = Analysis(model.tensors, TINY_CELL), Synthesis(model.tensors, TINY_CELL)
        self.row = FloatTables(model.tensors, {"gain": self._g_a.n, "weight": self._g_a.n}).row

    def analyse(self, pixels: Pixels) -> Float:
        return np.stack([self._g_a(one).astype(np.float32) * self._g_a.unit for one in pixels])

    def synthesise(self, y_hat: NDArray[np.int32], quality: int) -> Pixels:
        return np.stack([self._g_s(one, quality) for one in y_hat])
