"""The photo family by the core: pixels <-> latents, and latents <-> bytes."""

from __future__ import annotations

import ctypes
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from caecodec.engines.native.library import Unrounded, pointer
from caecodec.engines.native.models import opened
from caecodec.engines.native.rounds import NativeTrial, gradients
from caecodec.engines.protocol import Float, Refinement, Trial
from caecodec.entropy.rounding import RDO_STRENGTH, Strength
from caecodec.entropy.tables import Tables
from caecodec.pictures.cells import CELL
from caecodec.pictures.picture import Deep, Pixels
from caecodec.stages import stage
from caecodec.zoo.file import Model

_CHECK_BYTES = 2
S = TypeVar("S", np.uint8, np.uint16)  # samples


class NativePhotoEngine:
    """See `caecodec.engines.protocol.PhotoEngine`."""

    def __init__(self, model: Model) -> None:
        """Raises ModelError, LimitError; UsageError where there is no core."""
        self._model = model
        self._opened = opened(model)
        shape = self._opened.core.shape
        self.halo_in, self.halo_out = shape.halo_in, shape.halo_out
        self.row = self._opened.row

    @stage("g_a")
    def analyse(self, pixels: Pixels, inner: tuple[slice, slice]) -> tuple[Float, Float]:
        model = self._opened.core
        samples = np.ascontiguousarray(pixels)
        rows, columns = samples.shape[0] // CELL, samples.shape[1] // CELL
        (top, bottom, _), (left, right, _) = inner[0].indices(rows), inner[1].indices(columns)
        h, w = bottom - top, right - left
        y = np.empty((h, w, model.shape.n), np.float32)
        z = np.empty((-(-h // 4), -(-w // 4), model.shape.z), np.float32)
        given, outputs = pointer(samples, np.uint8), (pointer(y, np.float32), pointer(z, np.float32))
        with model.core.threads() as pool:
            model.core.call("cae_analyse", model.handle, pool, rows, columns, given, top, left, h, w, *outputs)
        return y, z

    @stage("g_s")
    def synthesise(self, y_hat: NDArray[np.int32], quality: int) -> Pixels:
        return self._synthesised("cae_synthesise", y_hat, quality, np.uint8)

    @stage("g_s")
    def synthesise_deep(self, y_hat: NDArray[np.int32], quality: int) -> Deep:
        return self._synthesised("cae_synthesise_deep", y_hat, quality, np.uint16)

    def _synthesised(self, function: str, y_hat: NDArray[np.int32], quality: int, kind: type[S]) -> NDArray[S]:
        model = self._opened.core
        latents = np.ascontiguousarray(y_hat, np.int32)
        rows, columns, _ = latents.shape
        samples = np.empty((rows * CELL, columns * CELL, 3), kind)
        arrays = pointer(latents, np.int32), pointer(samples, kind)
        with model.core.threads() as pool:
            model.core.call(function, model.handle, pool, quality, rows, columns, *arrays)
        return samples

    def trial(self, tile: Refinement, tables: Tables) -> Trial:
        return NativeTrial(gradients(self._model), tile, self.row("gain_z", tile.quality))

    @stage("g_s")
    def synthesise_small(self, y_hat: NDArray[np.int32], quality: int, side: int) -> Deep:
        model = self._opened.core
        latents = np.ascontiguousarray(y_hat, np.int32)
        rows, columns, _ = latents.shape
        samples: Deep = np.empty((rows * side, columns * side, 3), np.uint16)
        arrays = pointer(latents, np.int32), pointer(samples, np.uint16)
        model.core.call("cae_synthesise_small", model.handle, quality, side, rows, columns, *arrays)
        return samples


class NativePhotoLatents:
    """What `caecodec.latents.photo.LatentCodec` does, by the core."""

    def __init__(self, model: Model) -> None:
        """Raises ModelError, LimitError; UsageError where there is no core."""
        self._model = opened(model).core

    @stage("latents")
    def encode(
        self, y: Float, z: Float, quality: int, weight: Float | None = None, strength: Strength = RDO_STRENGTH
    ) -> tuple[bytes, NDArray[np.int32]]:
        """As of `LatentCodec`."""
        given, kept = _unrounded(y, z, weight, strength)
        rows, columns, n = y.shape
        y_hat = np.empty((rows, columns, n), np.int32)
        size = ctypes.c_size_t(self._model.core.functions.cae_stream_bound(self._model.handle, rows, columns))
        stream = np.empty(size.value, np.uint8)
        outputs = pointer(stream, np.uint8), ctypes.byref(size), pointer(y_hat, np.int32)
        self._call("cae_encode_latents", quality, rows, columns, ctypes.byref(given), *outputs)
        del kept
        return stream[: size.value].tobytes(), y_hat

    @stage("latents")
    def cost(
        self, y: Float, z: Float, quality: int, weight: Float | None = None, strength: Strength = RDO_STRENGTH
    ) -> tuple[float, NDArray[np.int32]]:
        """As of `LatentCodec`."""
        given, kept = _unrounded(y, z, weight, strength)
        rows, columns, n = y.shape
        y_hat = np.empty((rows, columns, n), np.int32)
        bits = ctypes.c_double()
        outputs = ctypes.byref(bits), pointer(y_hat, np.int32)
        self._call("cae_cost_latents", quality, rows, columns, ctypes.byref(given), *outputs)
        del kept
        return bits.value / 8 + _CHECK_BYTES, y_hat

    @stage("latents")
    def decode(self, data: bytes, shape: tuple[int, int], quality: int) -> NDArray[np.int32]:
        """As of `LatentCodec`."""
        stream = np.frombuffer(data, np.uint8)
        y_hat = np.empty((*shape, self._model.shape.n), np.int32)
        arrays = pointer(stream, np.uint8), len(data), pointer(y_hat, np.int32)
        self._call("cae_decode_latents", quality, *shape, *arrays)
        return y_hat

    def bits(self, data: bytes, shape: tuple[int, int], quality: int) -> tuple[Float, Float]:
        """As of `LatentCodec`."""
        stream = np.frombuffer(data, np.uint8)
        y_hat = np.empty((*shape, self._model.shape.n), np.int32)
        of_y = np.empty(shape, np.float32)
        of_z = np.empty((-(-shape[0] // 4), -(-shape[1] // 4)), np.float32)
        arrays = pointer(stream, np.uint8), len(data), pointer(y_hat, np.int32)
        self._call(
            "cae_measure_latents", quality, *shape, *arrays, pointer(of_y, np.float32), pointer(of_z, np.float32)
        )
        return of_y, of_z

    def _call(self, name: str, quality: int, *arguments: object) -> None:
        core = self._model.core
        with core.threads() as pool:
            core.call(name, self._model.handle, pool, quality, 0, *arguments)


def _unrounded(
    y: Float, z: Float | None, weight: Float | None, strength: Strength
) -> tuple[Unrounded, list[NDArray[np.float32] | None]]:
    """What the core codes, and the arrays behind it, to be kept as long."""
    each = None if weight is None else np.broadcast_to(np.asarray(strength, np.float32), y.shape[:2])
    arrays = [None if a is None else np.ascontiguousarray(a, np.float32) for a in (y, z, weight, each)]
    return Unrounded(*(pointer(array, np.float32) for array in arrays)), arrays
