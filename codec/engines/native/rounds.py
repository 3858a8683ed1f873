"""Rounds over the symbols of a tile by the core (codec/core/cae_search.h)."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import weakref
from contextlib import AbstractContextManager
from ctypes import c_void_p

import numpy as np

from caecodec.engines.native.library import CoreModel, Sought, pointer
from caecodec.engines.native.models import Key, opened, packed
from caecodec.engines.protocol import Chosen, Float, Refinement
from caecodec.zoo.file import Model


class Gradients:
    """A model's layers as floats, freed with this. Raises ModelError, LimitError; UsageError where there is no core."""

    def __init__(self, model: Model) -> None:
        self.core: CoreModel = opened(model).core  # which must live as long
        self.handle = c_void_p()
        whole = np.frombuffer(packed(model), np.uint8)
        library = self.core.core
        library.call("cae_gradients_open", self.core.handle, whole.ctypes.data, len(whole), ctypes.byref(self.handle))
        self._end = weakref.finalize(self, library.functions.cae_gradients_close, self.handle)
        self._end.atexit = False


@functools.lru_cache(maxsize=2)
def _gradients(key: Key) -> Gradients:
    return Gradients(key.model)


def gradients(model: Model) -> Gradients:
    """Those of a model, the last few kept. Raises as `Gradients`."""
    return _gradients(Key(model))


class NativeTrial:
    """See `caecodec.engines.protocol.Trial`."""

    def __init__(self, of: Gradients, tile: Refinement, gain_z: Float | None = None) -> None:
        """Raises LimitError, UsageError."""
        self._gradients = of
        self._library = of.core.core
        rows, columns = tile.y.shape[:2]
        self._shape = (rows + -rows % tile.block, columns + -columns % tile.block, tile.y.shape[2])
        self._threaded = tile.z is not None  # whether rows of cells are enough for threads to share
        samples, weight = np.ascontiguousarray(tile.pixels), np.ascontiguousarray(tile.trade.weight, np.float32)
        z = None if tile.z is None or gain_z is None else np.ascontiguousarray(tile.z * gain_z, np.float32)
        cell = of.core.shape.cell
        if samples.shape != (rows * cell, columns * cell, 3):
            raise ValueError(f"pixels of {samples.shape} do not belong to {rows} x {columns} cells")
        floats = pointer(z, np.float32), pointer(weight, np.float32)
        sizes = tile.quality, int(tile.gray), rows, columns
        sought = Sought(*sizes, pointer(samples, np.uint8), *floats, tile.trade.mse, tile.trade.eye)
        self._handle = c_void_p()
        with self._threads() as pool:
            made = ctypes.byref(self._handle)
            self._library.call("cae_search_new", of.handle, pool, ctypes.byref(sought), made)
        self._end = weakref.finalize(self, self._library.functions.cae_search_free, self._handle)
        self._end.atexit = False

    def __call__(self, target: Float, strength: Float, *, slope: bool) -> Chosen:
        targets, strengths = (np.ascontiguousarray(array, np.float32) for array in (target, strength))
        if targets.shape != self._shape or strengths.shape != self._shape[:2]:
            raise ValueError(f"targets {targets.shape}, strengths {strengths.shape}: not of {self._shape}")
        y_hat, cost = np.empty(self._shape, np.float32), ctypes.c_double()
        grown = np.empty(self._shape, np.float32) if slope else None
        given = pointer(targets, np.float32), pointer(strengths, np.float32)
        found = pointer(y_hat, np.float32), ctypes.byref(cost), pointer(grown, np.float32)
        with self._threads() as pool:
            self._library.call("cae_search_round", self._handle, pool, *given, *found)
        return Chosen(y_hat, cost.value, grown)

    def _threads(self) -> AbstractContextManager[c_void_p | None]:
        return self._library.threads() if self._threaded else contextlib.nullcontext()
