"""Models in the core's form, the last few kept, and what all its engines share."""

from __future__ import annotations

import functools
import mmap

from caecodec.engines.native import library
from caecodec.engines.native.library import CoreModel
from caecodec.engines.tables import FloatTables
from caecodec.entropy.fixed_point import rows_of
from caecodec.tune import QUALITIES
from caecodec.zoo import header
from caecodec.zoo.file import Model


class Opened:
    """A model of the zoo as the core has it, and the rows of its float tables, which the core does not read."""

    def __init__(self, model: Model) -> None:
        """Raises ModelError, LimitError; UsageError where there is no core."""
        self.core = CoreModel(library.core(), packed(model))
        shape = self.core.shape
        photo = shape.family == library.PHOTO
        widths = {"gain": shape.n, "gain_z": shape.z} if photo else {"gain": shape.n, "weight": shape.n}
        self.row = FloatTables(model.tensors, widths, rows_of(model.tensors) if photo else QUALITIES).row


def packed(model: Model) -> bytes | mmap.mmap:
    """A model's file, made here where it came from none."""
    if model.data is not None:
        return model.data
    return header.packed(model.tensors, {"format": "caecodec-model 2", "family": model.info.family})


class Key:
    """A model by what it is, not by what it holds."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def __hash__(self) -> int:
        return id(self.model)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and other.model is self.model


@functools.lru_cache(maxsize=4)
def _opened(key: Key) -> Opened:
    return Opened(key.model)


def opened(model: Model) -> Opened:
    """A model in the core's form. Raises as `Opened`."""
    return _opened(Key(model))
