"""The range coder is constriction's, imported when something is really coded: with the native core nothing needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caecodec.errors import UsageError


def stream() -> Any:
    """constriction's module of stream coders. Raises UsageError where it is not installed."""
    try:
        from constriction import stream
    except ImportError as exc:
        raise UsageError(
            "coding without the native core needs the package constriction, which is not installed"
        ) from exc
    return stream


class Models:
    """Frequency tables as the coder takes them; each is made when it is first used."""

    def __init__(self, tables: Sequence[NDArray[np.int64]]) -> None:
        self._tables = tables
        self._made: dict[int, object] = {}

    def __getitem__(self, index: int) -> object:
        if index not in self._made:
            # float64 holds these integers exactly
            less = (self._tables[index] - 1).astype(np.float64)
            self._made[index] = stream().model.Categorical(less, perfect=False)
        return self._made[index]
