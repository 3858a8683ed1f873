"""g_a and g_s as integers, of every family whose latents are cells (FORMAT.md, 10)."""

from __future__ import annotations

import numpy as np
from torch import nn

from caecodec.entropy.fixed_point import SAMPLE
from caecodec.models.export.integers import (
    HEADROOM,
    Float,
    Ranges,
    Stream,
    Tensors,
    bias_of,
    fixed,
    integer_block,
    integer_layer,
    loud,
    matrix,
    multiplier,
    readers_of,
    step_of,
)

LATENT_BITS = 22  # of y and z as an encoder's last layers give them, with headroom
_FEATURES = float((1 << 17) - 1)
_FEATURE_UNIT = 16.0  # of the stream's steps
_MODULATION_BITS = 11
_SAMPLE_UNIT = 1 / (255 * 4096)


def synthesis(g_s: nn.Module, ranges: Ranges, gain_out: Float, modulation: Float) -> Tensors:
    """g_s of a network, with gain_out (100, N) from steps of the quantiser to y, and modulation (100, G).

    ranges: of the layers "g_s.*", and of the stem's outputs as "g_s.stem out". Raises ModelError.
    """
    names = [f"g_s.blocks.{number}" for number, _ in enumerate(g_s.get_submodule("blocks").children())]
    stream = Stream(ranges, [*readers_of(names), "g_s.head"])
    before = ranges["g_s.stem out"].reshape(4, -1).max(axis=0)
    over = float((before * HEADROOM / (stream.step * _FEATURE_UNIT * _FEATURES)).max())
    stream.step *= max(1.0, over)
    y = step_of(np.maximum(ranges["g_s.stem"], ranges["g_s.linear"]))
    stem, head, linear = (_layer(g_s, name) for name in ("stem", "head", "linear"))
    out = multiplier("quality.to_g_s", gain_out / (1024 * y))
    out["quality.modulation"] = fixed(modulation, _MODULATION_BITS)
    out |= integer_layer("g_s.stem", matrix(stem), bias_of(stem), y, np.tile(stream.step * _FEATURE_UNIT, 4))
    for name, block in zip(names, g_s.get_submodule("blocks").children(), strict=True):
        out |= integer_block(name, block, ranges, stream)  # type: ignore[arg-type]
    read, narrow = np.tile(stream.read("g_s.head"), 9), stream.narrow("g_s.head")
    unit = np.full(len(head.weight), _SAMPLE_UNIT)
    out |= integer_layer("g_s.head", matrix(head), bias_of(head), read, unit, narrow)
    unit = np.full(len(linear.weight), _SAMPLE_UNIT)
    return out | integer_layer("g_s.linear", matrix(linear), bias_of(linear), y, unit)


def analysis(g_a: nn.Module, ranges: Ranges, largest: Float) -> Tensors:
    """g_a of a network whose y has channels as large as `largest` (N,). ranges: of the layers "g_a.*".

    Raises ModelError.
    """
    names = [f"g_a.blocks.{number}" for number, _ in enumerate(g_a.get_submodule("blocks").children())]
    stream = Stream(ranges, [*readers_of(names), "g_a.down"])
    unit = loud(largest) * (HEADROOM / 2.0**LATENT_BITS)
    stem, down, linear = (_layer(g_a, name) for name in ("stem", "down", "linear"))

    def pixels(count: int) -> Float:
        return np.full(count, 0.5 / SAMPLE)  # 2 * sample - 255 is 2 * 255 times what networks are trained with

    stem_matrix, linear_matrix = matrix(stem), matrix(linear)
    out = integer_layer("g_a.stem", stem_matrix, bias_of(stem), pixels(len(stem_matrix)), stream.step, reads=SAMPLE)
    for name, block in zip(names, g_a.get_submodule("blocks").children(), strict=True):
        out |= integer_block(name, block, ranges, stream)  # type: ignore[arg-type]
    read, narrow = np.tile(stream.read("g_a.down"), 9), stream.narrow("g_a.down")
    out |= integer_layer("g_a.down", matrix(down), bias_of(down), read, unit, narrow)
    out |= integer_layer("g_a.linear", linear_matrix, bias_of(linear), pixels(len(linear_matrix)), unit, reads=SAMPLE)
    out["g_a.unit"] = unit.astype(np.float32)
    return out


def _layer(network: nn.Module, name: str) -> nn.Conv2d | nn.Linear:
    layer = network.get_submodule(name)
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    return layer
