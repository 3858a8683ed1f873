"""g_a, h_a and g_s of the photo family on numpy, one tile at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from caecodec.engines.numpy.networks import Analysis, Synthesis
from caecodec.engines.protocol import Float, PhotoEngine, Refinement, Trial
from caecodec.engines.tables import FloatTables
from caecodec.entropy.arithmetic import Array
from caecodec.entropy.fixed_point import ACTIVATION, Block, Layer, Multiplier, Tensors, rows_of, space_to_depth
from caecodec.entropy.tables import Tables
from caecodec.errors import ModelError
from caecodec.pictures.cells import CELL
from caecodec.pictures.picture import Deep, Pixels
from caecodec.stages import stage
from caecodec.zoo.file import Model


class HyperAnalysis:
    """h_a."""

    def __init__(self, tensors: Tensors, n: int) -> None:
        """Raises ModelError."""
        try:
            self._scale = Multiplier.of(tensors, "h_a.scale")
            self._stem, self._down1, self._down2 = (
                Layer.of(tensors, f"h_a.{name}") for name in ("stem", "down1", "down2")
            )
            self._block1, self._block2 = (Block.of(tensors, f"h_a.block{number}") for number in (1, 2))
            self.unit = np.asarray(tensors["h_a.unit"], np.float32)
        except KeyError as exc:
            raise ModelError(f"the model lacks {exc}") from exc
        width = self._stem.weight.shape[1]
        fits = (
            self._stem.weight.shape == (n, width),
            self._down1.weight.shape == (4 * width, width),
            self._down2.weight.shape == (4 * width, len(self.unit)),
            self._scale.table.shape == (n,),
            self._down1.narrow is not None,
            self._down2.narrow is not None,
            *(block.mix_in.weight.shape == (width, width) for block in (self._block1, self._block2)),
        )
        if not all(fits):
            raise ModelError("the layers of h_a do not fit each other")

    def __call__(self, y: Array) -> Array:
        """y (h, w, N) -> z (ceil(h/4), ceil(w/4), Z), each in its units."""
        h, w, _ = y.shape
        u = np.pad(self._scale(y, ACTIVATION), ((0, -h % 4), (0, -w % 4), (0, 0)), mode="edge")
        r = self._block1(self._stem(u))
        r = self._block2(self._down1(space_to_depth(self._down1.read(r))))
        return self._down2(space_to_depth(self._down2.read(r)), -np.inf, np.inf)


class NumpyPhotoEngine:
    """See `caecodec.engines.protocol.PhotoEngine`. The same bits as the native core.

    Symbols are chosen again with gradients: by the engine that `with_gradients` makes.
    """

    def __init__(self, model: Model, with_gradients: Callable[[], PhotoEngine]) -> None:
        self._with_gradients = with_gradients
        rows = rows_of(model.tensors)
        self._g_a, self._g_s = Analysis(model.tensors, CELL), Synthesis(model.tensors, CELL, rows)
        self._h_a = HyperAnalysis(model.tensors, self._g_a.n)
        self.row = FloatTables(model.tensors, {"gain": self._g_a.n, "gain_z": len(self._h_a.unit)}, rows).row
        self.halo_in, self.halo_out = self._g_a.halo, self._g_s.halo

    @stage("g_a")
    def analyse(self, pixels: Pixels, inner: tuple[slice, slice]) -> tuple[Float, Float]:
        y = self._g_a(pixels)[inner]
        z = self._h_a(y)
        return y.astype(np.float32) * self._g_a.unit, z.astype(np.float32) * self._h_a.unit

    @stage("g_s")
    def synthesise(self, y_hat: NDArray[np.int32], quality: int) -> Pixels:
        return self._g_s(y_hat, quality)

    def trial(self, tile: Refinement, tables: Tables) -> Trial:
        return self._with_gradients().trial(tile, tables)

    @stage("g_s")
    def synthesise_deep(self, y_hat: NDArray[np.int32], quality: int) -> Deep:
        return self._g_s.deep(y_hat, quality)

    @stage("g_s")
    def synthesise_small(self, y_hat: NDArray[np.int32], quality: int, side: int) -> Deep:
        return self._g_s.small(y_hat, quality, side)
