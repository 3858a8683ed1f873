"""g_s and g_a in integers (FORMAT.md, 10), for every family with cells: pixels that are the same on every machine.

Arrays are (height, width, channels), integers carried in float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.arithmetic import NUMPY, Array
from caecodec.entropy.fixed_point import (
    ACTIVATION,
    MODULATION_BITS,
    OUTPUT,
    SAMPLE,
    SAMPLE_BITS,
    STREAM,
    Block,
    Layer,
    Multipliers,
    Tensors,
    depth_to_space,
    neighbourhoods,
    space_to_depth,
    table,
)
from caecodec.errors import ModelError
from caecodec.pictures.picture import DEEP_MAX, DEEP_STEP, Deep, Pixels
from caecodec.tune import QUALITIES

FEATURE_MAX = float((1 << 17) - 1)  # before modulation
_MODULATION_MAX = float((1 << 13) - 1)


def blocks(tensors: Tensors, name: str) -> list[Block]:
    """NAME.0, NAME.1, ..."""
    depth = sum(key.startswith(f"{name}.") and key.endswith(".expand.shift") for key in tensors)
    return [Block.of(tensors, f"{name}.{number}") for number in range(depth)]


def _fit(*layers: tuple[str, Layer, tuple[int, int]]) -> None:
    for name, layer, shape in layers:
        if layer.weight.shape != shape:
            raise ModelError(f"layer {name} does not fit the rest of the network")


def _deep(sums: Array) -> Deep:
    """Sums of g_s, which are half a step up so that 8 bits are rounded -> samples of 16 bits."""
    x = sums + ((128 << SAMPLE_BITS) - (1 << (SAMPLE_BITS - 1)))
    x *= DEEP_STEP * 2.0**-SAMPLE_BITS
    x += 0.5
    samples: Deep = NUMPY.settle(x, 0, DEEP_MAX).astype(np.uint16)
    return samples


class Synthesis:
    """g_s of a model with cells of `cell` pixels."""

    def __init__(self, tensors: Tensors, cell: int, rows: int = QUALITIES) -> None:
        """rows: of its tables. Raises ModelError."""
        try:
            self.cell = cell
            self._stem, self._head, self._linear = (
                Layer.of(tensors, f"g_s.{name}") for name in ("stem", "head", "linear")
            )
            self._blocks = blocks(tensors, "g_s.blocks")
            self.n, width = len(self._stem.weight), self._stem.weight.shape[1] // 4
            self._to_g_s = Multipliers.of(tensors, "quality.to_g_s", self.n, rows)
            self._modulation = table(tensors, "quality.modulation", (rows, width), _MODULATION_MAX)
        except KeyError as exc:
            raise ModelError(f"the model lacks {exc}") from exc
        head = 3 * cell * cell // 4
        _fit(
            ("g_s.stem", self._stem, (self.n, 4 * width)),
            ("g_s.head", self._head, (9 * width, head)),
            ("g_s.linear", self._linear, (self.n, 4 * head)),
            *(("g_s.blocks", block.mix_in, (width, width)) for block in self._blocks),
        )
        if self._head.narrow is None or self._head.largest_output() + self._linear.largest_output() >= OUTPUT:
            raise ModelError("the layers g_s.head and g_s.linear are malformed")

    @property
    def halo(self) -> int:
        """Cells beyond its own that a cell's pixels depend on: a 3x3 at half a cell reaches half of one."""
        return -(-(len(self._blocks) + 1) // 2)

    def __call__(self, y_hat: NDArray[np.int32], quality: int) -> Pixels:
        """y_hat (h, w, N), fixed point -> samples (cell*h, cell*w, 3)."""
        x = self._sums(y_hat, quality)
        x *= 2.0**-SAMPLE_BITS
        x += 128
        samples: Pixels = NUMPY.settle(x, 0, 255).astype(np.uint8)
        return samples

    def deep(self, y_hat: NDArray[np.int32], quality: int) -> Deep:
        """The same samples before they are rounded to 8 bits, in 16."""
        return _deep(self._sums(y_hat, quality))

    def small(self, y_hat: NDArray[np.int32], quality: int, side: int) -> Deep:
        """The linear branch alone, averaged over squares of cell/side pixels: (side*h, side*w, 3), in 16 bits."""
        y = self._to_g_s.at(quality)(y_hat, ACTIVATION)
        square = self.cell // side
        shape = (side, square, side, square, 3)
        weight, bias = (
            part.reshape(*part.shape[:-1], *shape).sum(axis=(-4, -2)).reshape(*part.shape[:-1], -1)
            for part in (self._linear.weight, self._linear.bias)
        )
        # multiples of 2^-shift that stay far below 2^53 of them: exact in any order
        sums = y.reshape(-1, self.n) @ weight + bias
        return _deep(depth_to_space(np.floor(sums / square**2).reshape(*y.shape[:2], -1), side))

    def _sums(self, y_hat: NDArray[np.int32], quality: int) -> Array:
        """Samples in 2^-SAMPLE_BITS of a step, from their middle."""
        y = self._to_g_s.at(quality)(y_hat, ACTIVATION)
        v = depth_to_space(self._stem(y, -FEATURE_MAX, FEATURE_MAX))
        r = NUMPY.halve(v * self._modulation[quality - 1], MODULATION_BITS, STREAM)
        for block in self._blocks:
            r = block(r)
        fine = self._head(neighbourhoods(self._head.read(r)), -np.inf, np.inf)
        x = depth_to_space(fine, self.cell // 2)
        x += depth_to_space(self._linear(y, -np.inf, np.inf), self.cell)
        return x


class Analysis:
    """g_a of a model with cells of `cell` pixels."""

    def __init__(self, tensors: Tensors, cell: int) -> None:
        """Raises ModelError."""
        try:
            self.cell = cell
            self._stem, self._linear = (Layer.of(tensors, f"g_a.{name}", reads=SAMPLE) for name in ("stem", "linear"))
            self._down = Layer.of(tensors, "g_a.down")
            self._blocks = blocks(tensors, "g_a.blocks")
            self.n, width = self._linear.weight.shape[1], self._stem.weight.shape[1]
            self.unit = np.asarray(tensors["g_a.unit"], np.float32)
        except KeyError as exc:
            raise ModelError(f"the model lacks {exc}") from exc
        patch = 3 * cell * cell
        _fit(
            ("g_a.stem", self._stem, (patch // 4, width)),
            ("g_a.linear", self._linear, (patch, self.n)),
            ("g_a.down", self._down, (9 * width, self.n)),
            *(("g_a.blocks", block.mix_in, (width, width)) for block in self._blocks),
        )
        sums = self._down.largest_output() + self._linear.largest_output(SAMPLE)
        if self._down.narrow is None or self.unit.shape != (self.n,) or sums >= OUTPUT:
            raise ModelError("the layers g_a.down and g_a.linear are malformed")

    @property
    def halo(self) -> int:
        """Cells beyond its own that a cell's y depends on."""
        return -(-(len(self._blocks) + 1) // 2)

    def __call__(self, pixels: Pixels) -> Array:
        """Samples (cell*h, cell*w, 3) -> y (h, w, N) in its units."""
        x: Array = 2.0 * pixels.astype(np.float64) - SAMPLE
        r = self._stem(space_to_depth(x, self.cell // 2))
        for block in self._blocks:
            r = block(r)
        y = self._down(neighbourhoods(self._down.read(r), stride=2), -np.inf, np.inf)
        y += self._linear(space_to_depth(x, self.cell), -np.inf, np.inf)
        return y
