"""The range coder is constriction's, imported when something is really coded: with the native core nothing needs it.

It has no wheel for Linux on ARM, musl and some more; there `caecodec.entropy.plain_coder` does its work, slowly.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@cache
def stream() -> Any:
    """constriction's module of stream coders, or what stands for it."""
    try:
        from constriction import stream
    except ImportError:
        from caecodec.entropy import plain_coder

        return plain_coder.module()
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
