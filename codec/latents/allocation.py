"""Where a file's bits go: how many each part of the picture takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HYPER_CELLS = 4  # positions of y to one of z, in a row or a column

Bits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BitAllocation:
    """Information content in bits of the coded symbols: streams are longer by two bytes a tile at most, and by
    2e-5 bytes a symbol.

    latent_bits: y of each 16x16 pixels, (ceil(height/16), ceil(width/16)). hyper_bits: z of each 64x64 pixels,
    (ceil(height/64), ceil(width/64)).
    """

    latent_bits: Bits
    hyper_bits: Bits

    @property
    def cells(self) -> Bits:
        """Bits of each 16x16 pixels, z's shared evenly by the cells under it: shape of latent_bits, sum of both."""
        h, w = self.latent_bits.shape
        rows, columns = np.arange(h) // HYPER_CELLS, np.arange(w) // HYPER_CELLS
        under = np.bincount(rows)[rows][:, None] * np.bincount(columns)[columns]
        return self.latent_bits + self.hyper_bits[rows[:, None], columns] / under
