"""The `tiny` family by the core: pixels <-> latents, and latents <-> bytes, picture by picture."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from caecodec.engines.native.library import Unrounded, pointer
from caecodec.engines.native.models import opened
from caecodec.engines.protocol import Float
from caecodec.entropy.rounding import RDO_STRENGTH
from caecodec.pictures.cells import TINY_CELL
from caecodec.pictures.picture import Pixels
from caecodec.zoo.file import Model

_CHECK_BYTES = 2


class NativeTinyEngine:
    """See `caecodec.engines.protocol.TinyEngine`."""

    def __init__(self, model: Model) -> None:
        """Raises ModelError, LimitError; UsageError where there is no core."""
        self._model = opened(model).core
        self.row = opened(model).row

    def analyse(self, pixels: Pixels) -> Float:
        samples = np.ascontiguousarray(pixels)
        rows, columns = samples.shape[1] // TINY_CELL, samples.shape[2] // TINY_CELL
        y = np.empty((len(samples), rows, columns, self._model.shape.n), np.float32)
        core = self._model.core
        for one, out in zip(samples, y, strict=True):
            place = rows, columns, pointer(one, np.uint8), 0, 0, rows, columns
            core.call("cae_analyse", self._model.handle, None, *place, pointer(out, np.float32), None)
        return y

    def synthesise(self, y_hat: NDArray[np.int32], quality: int) -> Pixels:
        latents = np.ascontiguousarray(y_hat, np.int32)
        count, rows, columns, _ = latents.shape
        pixels: Pixels = np.empty((count, rows * TINY_CELL, columns * TINY_CELL, 3), np.uint8)
        core = self._model.core
        for one, out in zip(latents, pixels, strict=True):
            arrays = pointer(one, np.int32), pointer(out, np.uint8)
            core.call("cae_synthesise", self._model.handle, None, quality, rows, columns, *arrays)
        return pixels


class NativeTinyLatents:
    """What `caecodec.latents.tiny.ContextLatents` does, by the core."""

    def __init__(self, model: Model) -> None:
        """Raises ModelError, LimitError; UsageError where there is no core."""
        self._model = opened(model).core

    def encode(
        self, y: Float, quality: int, gray: bool, weight: Float | None = None
    ) -> tuple[list[bytes], NDArray[np.int32]]:
        """As of `ContextLatents`."""
        _, rows, columns, _ = y.shape
        core, y_hat = self._model.core, np.empty(y.shape, np.int32)
        room = core.functions.cae_stream_bound(self._model.handle, rows, columns)
        stream, streams = np.empty(room, np.uint8), []
        for given, kept, out in self._each(y, weight, y_hat):
            size = ctypes.c_size_t(room)
            outputs = pointer(stream, np.uint8), ctypes.byref(size), pointer(out, np.int32)
            core.call(
                "cae_encode_latents",
                self._model.handle,
                None,
                quality,
                gray,
                rows,
                columns,
                ctypes.byref(given),
                *outputs,
            )
            del kept
            streams.append(stream[: size.value].tobytes())
        return streams, y_hat

    def cost(self, y: Float, quality: int, gray: bool, weight: Float | None = None) -> tuple[float, NDArray[np.int32]]:
        """As of `ContextLatents`."""
        _, rows, columns, _ = y.shape
        y_hat, total = np.empty(y.shape, np.int32), 0.0
        for given, kept, out in self._each(y, weight, y_hat):
            bits = ctypes.c_double()
            outputs = ctypes.byref(bits), pointer(out, np.int32)
            where = self._model.handle, None, quality, gray, rows, columns
            self._model.core.call("cae_cost_latents", *where, ctypes.byref(given), *outputs)
            del kept
            total += bits.value / 8 + _CHECK_BYTES
        return total, y_hat

    def _each(
        self, y: Float, weight: Float | None, y_hat: NDArray[np.int32]
    ) -> list[tuple[Unrounded, list[NDArray[np.float32] | None], NDArray[np.int32]]]:
        """What the core codes of each picture, the arrays behind it, and where its latents go."""
        found = []
        pictures = np.ascontiguousarray(y, np.float32)
        worth = None if weight is None else np.ascontiguousarray(weight, np.float32)
        strength = None if weight is None else np.full(y.shape[1:3], RDO_STRENGTH, np.float32)
        for one, out in zip(pictures, y_hat, strict=True):
            arrays = [one, None, worth, strength]
            found.append((Unrounded(*(pointer(array, np.float32) for array in arrays)), arrays, out))
        return found

    def decode(self, streams: Sequence[bytes], shape: tuple[int, int], quality: int, gray: bool) -> NDArray[np.int32]:
        """As of `ContextLatents`."""
        y_hat = np.empty((len(streams), *shape, self._model.shape.n), np.int32)
        for data, out in zip(streams, y_hat, strict=True):
            stream = np.frombuffer(data, np.uint8)
            arrays = pointer(stream, np.uint8), len(data), pointer(out, np.int32)
            self._model.core.call("cae_decode_latents", self._model.handle, None, quality, gray, *shape, *arrays)
        return y_hat
