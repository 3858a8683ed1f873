"""What an engine does for each family: pixels -> latents and latents -> pixels, on numpy arrays. No library is named.

Arrays are (height, width, channels), with P pictures of one size in front where many are coded together. y and z are
before any quality; what a decoder is given are symbols or y_hat in fixed point (`caecodec.entropy.fixed_point`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.rounding import RDO_STRENGTH, Strength
from caecodec.entropy.tables import Tables
from caecodec.models.networks.trade import Trade
from caecodec.pictures.picture import Deep, Pixels

Float = NDArray[np.float32]
Symbols = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Refinement:
    """A tile whose symbols are to be chosen again: pixels (16h, 16w, 3); y (h, w, N) and z (h/4, w/4, Z); the quality.

    Of a small picture pixels are (8h, 8w, 3), and there is no z. trade: what errors are worth. strength: that of the
    first rounding, one or of each cell (h, w). fixed (h, w): cells to leave as they are. gray: of small pictures only.
    """

    pixels: Pixels
    y: Float
    z: Float | None
    quality: int
    trade: Trade
    strength: Strength
    fixed: NDArray[np.bool_]
    gray: bool = False

    @property
    def block(self) -> int:
        """Rounds have as many rows and columns of cells as the next multiple of this."""
        return 1 if self.z is None else 2


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Symbols as one round chose them, and what they cost. Arrays (h', w', N): h and w as `Refinement.block` says.

    y_hat: in quantiser steps. cost: bits of all symbols, and those that errors are worth. slope: how cost grows with
    each value of y_hat, but for the bits of its own symbol; none where nobody asked.
    """

    y_hat: Float
    cost: float
    slope: Float | None


class Trial(Protocol):
    """Rounds over one tile at one quality, in floats that approximate what is coded."""

    def __call__(self, target: Float, strength: Float, *, slope: bool) -> Chosen:
        """Choose the symbols of targets y (h', w', N), after their gain, with a strength of each cell (h', w').

        slope: whether it is asked for. Raises LimitError.
        """


class PhotoEngine(Protocol):
    """g_a, h_a and g_s of a photo model. Cells are 16x16 pixels."""

    halo_in: int  # cells of context that g_a sees beyond a tile
    halo_out: int  # and g_s

    def analyse(self, pixels: Pixels, inner: tuple[slice, slice]) -> tuple[Float, Float]:
        """A tile with its halo (H, W, 3), sides multiples of 16; `inner`: the tile within it, in cells.

        Returns y (h, w, N) and z (ceil(h/4), ceil(w/4), Z) of the tile. Raises LimitError.
        """

    def row(self, name: str, quality: int) -> Float:
        """A table of the model, 'gain' of y or 'gain_z': (channels,).

        quality: 1..100, or a row above (`caecodec.tune.row`), here and below.
        """

    def synthesise(self, y_hat: Symbols, quality: int) -> Pixels:
        """y_hat (h, w, N) in fixed point -> pixels (16h, 16w, 3). Raises LimitError."""

    def trial(self, tile: Refinement, tables: Tables) -> Trial:
        """What choosing a tile's symbols again goes by. Raises LimitError; UsageError where nothing has gradients."""

    def synthesise_deep(self, y_hat: Symbols, quality: int) -> Deep:
        """The same samples before they are rounded to 8 bits, in 16: (s + 128) // 257 are those of `synthesise`."""

    def synthesise_small(self, y_hat: Symbols, quality: int, side: int) -> Deep:
        """The linear branch of g_s alone, averaged over squares of 16/side pixels: (side*h, side*w, 3), in 16 bits.

        side: 1 or 2. No cell sees another. It lacks what the rest of g_s adds everywhere.
        """


class PhotoLatents(Protocol):
    """Latents <-> bytes of a photo model: see `caecodec.latents.photo.LatentCodec`."""

    def encode(
        self, y: Float, z: Float, quality: int, weight: Float | None = None, strength: Strength = RDO_STRENGTH
    ) -> tuple[bytes, Symbols]:
        """y (h, w, N) and z (ceil(h/4), ceil(w/4), Z), after their gains -> stream, y_hat (h, w, N)."""

    def cost(
        self, y: Float, z: Float, quality: int, weight: Float | None = None, strength: Strength = RDO_STRENGTH
    ) -> tuple[float, Symbols]:
        """About the bytes that `encode` would write, and y_hat."""

    def decode(self, data: bytes, shape: tuple[int, int], quality: int) -> Symbols:
        """Stream, (h, w) in cells -> y_hat (h, w, N). Raises CorruptFileError."""

    def bits(self, data: bytes, shape: tuple[int, int], quality: int) -> tuple[Float, Float]:
        """Stream, (h, w) in cells -> bits of y (h, w), bits of z (ceil(h/4), ceil(w/4)). Raises as `decode`."""


class TinyEngine(Protocol):
    """g_a and g_s of a `tiny` model. Cells are 8x8 pixels."""

    def analyse(self, pixels: Pixels) -> Float:
        """Pixels (P, H, W, 3), sides multiples of 8 -> y (P, H/8, W/8, N)."""

    def row(self, name: str, quality: int) -> Float:
        """A table of the model at quality 1..100, (channels,): 'gain' or 'weight'."""

    def synthesise(self, y_hat: Symbols, quality: int) -> Pixels:
        """y_hat (P, h, w, N) in fixed point -> pixels (P, 8h, 8w, 3)."""


class TinyLatents(Protocol):
    """Latents <-> bytes of a `tiny` model: see `caecodec.latents.tiny.ContextLatents`."""

    def encode(self, y: Float, quality: int, gray: bool, weight: Float | None = None) -> tuple[list[bytes], Symbols]:
        """y (P, h, w, N) after its gain -> a stream for each picture, y_hat (P, h, w, N)."""

    def cost(self, y: Float, quality: int, gray: bool, weight: Float | None = None) -> tuple[float, Symbols]:
        """About the bytes that `encode` would write of all pictures together, and y_hat."""

    def decode(self, streams: Sequence[bytes], shape: tuple[int, int], quality: int, gray: bool) -> Symbols:
        """Streams of P pictures, (h, w) in cells -> y_hat (P, h, w, N). Raises CorruptFileError."""


class AutoencoderEngine(Protocol):
    """Encoder and decoder of one autoencoder."""

    picture: tuple[int, int, int]  # channels, height, width of what it takes
    latent: tuple[int, int, int]  # channels, rows, columns of y
    places: int  # of unpooling, sent beside y

    def analyse(self, pixels: Pixels) -> tuple[Float, Pixels]:
        """Pixels (P, H, W, C) -> y (P, h, w, channels), places (P, K) in raster order (row, column, channel)."""

    def row(self, name: str, quality: int) -> Float:
        """A table of the model at quality 1..100, (channels,): 'gain' or 'offset'."""

    def synthesise(self, symbols: Symbols, places: Symbols, quality: int) -> Pixels:
        """Symbols (P, h, w, channels) and places (P, K) -> pixels (P, H, W, C)."""
