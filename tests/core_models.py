"""Models of the native core's families with random integers for weights: small, of any sizes, made in no time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TensorDict = dict[str, NDArray[np.generic]]
ACTIVATION, STREAM, SUM = 8191, 1 << 26, (1 << 31) - (1 << 27)
TYPES = {"uint8": "U8", "int16": "I16", "int32": "I32", "float32": "F32"}


def safetensors(tensors: TensorDict, family: str, more: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a model file. more: metadata that the core does not read."""
    metadata = {"format": "caecodec-model 2", "family": family} | dict(more or {})
    header: dict[str, object] = {"__metadata__": metadata}
    data = b""
    for name, tensor in tensors.items():
        start = len(data)
        data += tensor.tobytes()
        header[name] = {
            "dtype": TYPES[tensor.dtype.name],
            "shape": list(tensor.shape),
            "data_offsets": [start, len(data)],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


@dataclass
class Maker:
    """Makes tensors. extreme: weights as large as a layer may have, so that sums come near their bounds.

    rows: of tables.
    """

    rng: np.random.Generator
    extreme: bool = False
    rows: int = 100

    def __post_init__(self) -> None:
        self.tensors: TensorDict = {}

    def _weights(self, inputs: int, outputs: int, room: int) -> NDArray[np.int16]:
        """sum of magnitudes of each output up to `room`."""
        if not self.extreme:
            most = max(min(room // inputs, 3000), 1)
            return self.rng.integers(-most, most, (inputs, outputs), np.int16, endpoint=True)
        weight = np.zeros((inputs, outputs), np.int16)
        for o in range(outputs):
            left = room
            for i in self.rng.permutation(inputs):
                size = min(left, 32767)
                weight[i, o] = size * self.rng.choice((-1, 1))
                left -= size
        return weight

    def layer(
        self, name: str, inputs: int, outputs: int, finer: int = 0, narrow: bool = False, reads: int = ACTIVATION
    ) -> None:
        """finer: bits by which outputs are larger than inputs; narrow: reads a stream."""
        room = (SUM - 1 - (1 << 20)) // reads
        weight = self._weights(inputs, outputs, room)
        gain = math.sqrt(max(float((weight.astype(np.float64) ** 2).sum(0).mean()), 1)) * reads / ACTIVATION
        shift = min(max(round(math.log2(gain)) - finer, 0), 30)
        self.tensors[f"{name}.weight"] = weight
        self.tensors[f"{name}.bias"] = self.rng.integers(-(1 << 20), 1 << 20, outputs, np.int32, endpoint=True)
        self.tensors[f"{name}.shift"] = np.array([shift], np.int32)
        if narrow:
            self.tensors[f"{name}.narrow"] = np.array([6], np.int32)

    def block(self, name: str, width: int) -> None:
        self.layer(f"{name}.mix_in", width, width, narrow=True)
        self.layer(f"{name}.depthwise", 9, width)
        self.layer(f"{name}.mix_out", width, width, finer=5)
        self.layer(f"{name}.expand", width, 2 * width, narrow=True)
        self.layer(f"{name}.project", 2 * width, width, finer=5)

    def multiplier(self, name: str, channels: int, gain: float, rows: int | None = None) -> None:
        """Factors around `gain`, as far as 32 bits reach. rows: other than of all tables, or 0 for one without."""
        rows = self.rows if rows is None else rows
        low, high = (1, 60) if self.extreme else (10, 24)
        shift = self.rng.integers(low, high, channels, np.int32, endpoint=True)
        factor = gain * np.exp(self.rng.normal(0, 0.3, (rows, channels) if rows else channels)) * 2.0**shift
        factor *= self.rng.choice((-1, 1), channels)
        self.tensors[name] = np.clip(factor, -(1 << 30), 1 << 30).astype(np.int32)
        self.tensors[f"{name}.shift"] = shift

    def table(self, name: str, shape: tuple[int, ...], low: int, high: int) -> None:
        self.tensors[name] = self.rng.integers(low, high, shape, np.int32, endpoint=True)

    def frequencies(self, dense: int = 64) -> None:
        """64 tables of growing width, and two more for each from `dense` on."""
        tails, tables = [], []
        for k in (*range(64), *np.repeat(np.arange(dense, 64), 2)):
            scale = 0.2 * 1.09**k
            tail = int(3 * scale)
            p = np.exp(-np.abs(np.arange(-tail, tail + 1)) / scale)
            p = np.append(p, 0.01)
            table = np.floor(p / p.sum() * ((1 << 24) - len(p))).astype(np.int64) + 1
            table[tail] += (1 << 24) - table.sum()
            tails.append(tail)
            tables.append(table)
        self.tensors["table.tail"] = np.array(tails, np.int32)
        self.tensors["table.frequencies"] = np.concatenate(tables).astype(np.int32)

    def context(self, part: str, prefix: str, n: int, psi: int, width: int, trunk: int) -> None:
        """Of a photo model's y or z."""
        self.multiplier(f"quality.{prefix}to_u", n, 0.3)
        self.multiplier(f"quality.{prefix}to_y", n, 0.5)
        self.table(f"quality.{prefix}index", (self.rows, n), -5000, 50000)
        self.layer(f"int.{part}.first", psi, width)
        for step in range(4):
            if step:
                self.layer(f"int.{part}.adaptors.{step - 1}", n + psi, width, finer=6)
            for group in range(4):
                self.layer(f"int.{part}.head.{step}.{group}", width, n // 2, finer=2)
        for number in range(trunk):
            self.block(f"int.{part}.trunk.{number}", width)
        self.tensors[f"int.{part}.narrow"] = np.array([6], np.int32)

    def g_s(self, cell: int, n: int, width: int, depth: int) -> None:
        self.multiplier("quality.to_g_s", n, 0.5)
        self.table(
            "quality.modulation", (self.rows, width), -8191 if self.extreme else 50, 8191 if self.extreme else 200
        )
        self.layer("g_s.stem", n, 4 * width, finer=4)
        for number in range(depth):
            self.block(f"g_s.blocks.{number}", width)
        self.layer("g_s.head", 9 * width, 3 * cell * cell // 4, finer=5, narrow=True)
        self.layer("g_s.linear", n, 3 * cell * cell, finer=5)
        for name in ("head", "linear"):  # their sum has a bound of its own
            self.tensors[f"g_s.{name}.shift"] = np.maximum(self.tensors[f"g_s.{name}.shift"], np.int32(3))

    def g_a(self, cell: int, n: int, width: int, depth: int) -> None:
        self.layer("g_a.stem", 3 * cell * cell // 4, width, finer=6, reads=255)
        for number in range(depth):
            self.block(f"g_a.blocks.{number}", width)
        self.layer("g_a.down", 9 * width, n, finer=5, narrow=True)
        self.layer("g_a.linear", 3 * cell * cell, n, finer=5, reads=255)
        for name in ("down", "linear"):
            self.tensors[f"g_a.{name}.shift"] = np.maximum(self.tensors[f"g_a.{name}.shift"], np.int32(3))
        self.tensors["g_a.unit"] = self.rng.uniform(1e-5, 1e-4, n).astype(np.float32)


def photo(
    seed: int,
    n: int,
    z: int,
    psi: int,
    context: int,
    width: int,
    depth: int = 2,
    trunk: int = 1,
    hyper: int = 6,
    extreme: bool = False,
    psi_z: int = 3,
    context_z: int = 5,
    trunk_z: int = 1,
    rows: int = 100,
    dense: int = 64,
) -> TensorDict:
    """A model of the family `photo`; letters of FORMAT.md, 7.3, as n, z, psi, context, width; depth of g_s and g_a.

    dense: the scale index from which on y is quantised dependently.
    """
    make = Maker(np.random.default_rng(seed), extreme, rows)
    make.frequencies(dense)
    if dense < 64:
        make.table("quality.step", (rows, 1), 300, 900)
    make.context("context", "", n, psi, context, trunk)
    make.context("context_z", "z_", z, psi_z, context_z, trunk_z)
    make.table("quality.psi", (rows, psi), -100000, 100000)
    make.table("quality.z_psi", (rows, psi_z), -8191, 8191)
    make.layer("int.h_s.up1", z, 4 * psi, finer=6)
    make.block("int.h_s.block1", psi)
    make.layer("int.h_s.up2", psi, 4 * psi, finer=6, narrow=True)
    make.block("int.h_s.block2", psi)
    make.tensors["int.h_s.narrow"] = np.array([6], np.int32)
    make.g_s(16, n, width, depth)
    make.g_a(16, n, width, depth)
    make.multiplier("h_a.scale", n, 0.05, 0)
    make.layer("h_a.stem", n, hyper, finer=5)
    make.block("h_a.block1", hyper)
    make.layer("h_a.down1", 4 * hyper, hyper, finer=5, narrow=True)
    make.block("h_a.block2", hyper)
    make.layer("h_a.down2", 4 * hyper, z, finer=3, narrow=True)
    make.tensors["h_a.unit"] = make.rng.uniform(1e-5, 1e-4, z).astype(np.float32)
    make.tensors |= {f"float.{key}": np.ones((rows, width), np.float32) for key, width in (("gain", n), ("gain_z", z))}
    return make.tensors


def tiny(
    seed: int,
    groups: tuple[int, ...],
    splits: tuple[int, ...],
    adapted: int,
    hidden: int,
    width: int,
    depth: int = 1,
    extreme: bool = False,
) -> TensorDict:
    """A model of the family `tiny`; C, H and G of FORMAT.md, 15.2, as adapted, hidden and width."""
    make = Maker(np.random.default_rng(seed), extreme)
    n = sum(groups)
    make.frequencies()
    make.tensors["steps.groups"] = np.array(groups, np.int32)
    make.tensors["steps.splits"] = np.array(splits, np.int32)
    make.multiplier("quality.to_u", n, 0.3)
    make.multiplier("quality.to_y", n, 0.5)
    make.table("quality.index", (100, n), -5000, 50000)
    make.table("quality.bias", (2, 100, adapted), -1000, 1000)
    step = 0
    for size, split in zip(groups, splits, strict=True):
        for _ in range(split):
            make.layer(f"int.context.adaptors.{step}", n, adapted)
            make.layer(f"int.context.heads.{step}", hidden, 2 * size, finer=2)
            step += 1
    make.layer("int.context.mix", 9 * adapted, hidden, finer=6)
    make.layer("int.context.expand", hidden, 2 * hidden, narrow=True)
    make.layer("int.context.project", 2 * hidden, hidden, finer=5)
    make.tensors["int.context.narrow"] = np.array([6], np.int32)
    make.g_s(8, n, width, depth)
    make.g_a(8, n, width, depth)
    make.tensors |= {f"float.{name}": np.ones((100, n), np.float32) for name in ("gain", "weight")}
    return make.tensors
