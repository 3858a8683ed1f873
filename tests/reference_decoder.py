"""A decoder of .cae files written from docs/FORMAT.md alone, to read and to compare with: slow, standard library only.

One file, however long, so that it lies beside the page. Latents and pixels are computed in Python's unbounded integers,
so it also shows what the specification means where the codec uses doubles or 32 bits; only the pixels of autoencoders
are real numbers. It imports nothing of caecodec. Section numbers are those of FORMAT.md; the order is the page's, and
the families `autoencoder` and `tiny` come last. Arrays are lists of rows of cells; a cell is a list of channels.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import floor, sqrt, tanh
from operator import mul
from pathlib import Path
from typing import TypeVar

T = TypeVar("T", int, float)
Cells = list[list[list[T]]]  # [row][column][channel]
Pixels = list[list[tuple[int, ...]]]  # [row][column], of one channel or three

M = 8191  # of what layers read
S = 1 << 26  # of streams
PHASES = ((0, 0), (1, 1), (0, 1), (1, 0))


class RejectedError(Exception):
    """The file is not one a conforming decoder may show."""


# 2 The file


@dataclass
class File:
    """A parsed file."""

    width: int
    height: int
    quality: int
    gray: bool
    model_id: bytes
    sections: dict[bytes, bytes]  # those that this page knows
    tiles: list[bytes]


@dataclass
class Cursor:
    """Reads bytes[at:end] from front to back."""

    data: bytes
    at: int
    end: int

    def take(self, count: int) -> bytes:
        if count > self.end - self.at:
            raise RejectedError("reaches past the end")
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self) -> int:  # 2.1
        value = 0
        for place in range(5):
            byte = self.take(1)[0]
            value += (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                if byte == 0 and place > 0:
                    raise RejectedError("not the shortest varint")
                return value
        raise RejectedError("a varint of more than 5 bytes")


def up(a: int, b: int) -> int:
    """a / b rounded up."""
    return (a + b - 1) // b


def parse(data: bytes) -> File:
    """2: bytes -> File."""
    if len(data) < 18 or data[:3] != b"\xca\xec\x0d":
        raise RejectedError("not a .cae file")
    version, flags, quality = data[3], data[4], data[5]
    if version != 2:
        raise RejectedError("another version")
    if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise RejectedError("file CRC")
    if flags & 0x0C:
        raise RejectedError("a reserved critical flag")
    if not 1 <= quality <= 200:
        raise RejectedError("quality")
    cursor = Cursor(data, 10, len(data) - 4)
    width, height = cursor.varint(), cursor.varint()
    if width == 0 or height == 0:
        raise RejectedError("no pixels")
    sections = {}
    if flags & 0x02:  # 2.3
        count = cursor.varint()
        if not 1 <= count <= 255:
            raise RejectedError("number of sections")
        table = [(cursor.take(1), cursor.varint()) for _ in range(count)]
        for (before, _), (after, _) in pairwise(table):
            if before >= after:
                raise RejectedError("tags do not rise")
        for tag, length in table:
            payload = cursor.take(length)
            if not (tag.isascii() and tag.isalpha()) or not length:
                raise RejectedError("a tag that is no letter, or an empty section")
            if tag in (b"A", b"a", b"e", b"i", b"p", b"x"):
                sections[tag] = payload
            elif not tag[0] & 0x20:
                raise RejectedError("an unknown critical section")
    if b"a" in sections and (b"A" not in sections or len(sections[b"a"]) != 2):
        raise RejectedError("the check of alpha")
    number = up(height, 1024) * up(width, 1024)  # 2.4
    if 3 * number - 1 > cursor.end - cursor.at:
        raise RejectedError("too few bytes for its tiles")
    lengths = [cursor.varint() for _ in range(number - 1)]
    tiles = [cursor.take(length) for length in lengths]
    tiles.append(cursor.take(cursor.end - cursor.at))
    if min(len(tile) for tile in tiles) < 2:
        raise RejectedError("a tile of less than 2 bytes")
    if any(len(tile) > 2 and tile[-1] == 0 for tile in tiles):
        raise RejectedError("zeros at the end of a tile")
    return File(width, height, quality, bool(flags & 0x01), data[6:10], sections, tiles)


# 3 Geometry


def extents(file: File) -> list[tuple[int, int]]:
    """Rows and columns of cells of each tile, in raster order."""
    rows, columns = up(file.height, 16), up(file.width, 16)
    return [
        (min(64, rows - top), min(64, columns - left)) for top in range(0, rows, 64) for left in range(0, columns, 64)
    ]


# 5 The range decoder

AFTER_EVEN, AFTER_ODD = (0, 5, 1, 6, 2, 4, 3, 7), (2, 7, 3, 4, 0, 6, 1, 5)  # 6.4: the next state


class RangeDecoder:
    """5: one for each tile."""

    def __init__(self, stream: bytes) -> None:
        self.stream, self.at = stream, 0
        self.range = 2**64 - 1
        self.distance = self.word() << 32
        self.distance += self.word()

    def word(self) -> int:
        four = self.stream[self.at : self.at + 4]
        self.at += 4
        return int.from_bytes(four.ljust(4, b"\0"), "big")

    def entry(self, frequencies: Sequence[int]) -> int:  # 5.2
        unit = self.range >> 24
        quantile = self.distance // unit
        if quantile >= 1 << 24:
            raise RejectedError("the stream is invalid")
        number, below = 0, 0
        while quantile >= below + frequencies[number]:
            below += frequencies[number]
            number += 1
        self.distance -= unit * below
        self.range = unit * frequencies[number]
        if self.range < 1 << 32:
            self.distance = (self.distance << 32) + self.word()
            self.range <<= 32
        return number

    def bit(self) -> int:  # 5.3
        return self.entry((1 << 23, 1 << 23))

    def escape(self, tail: int) -> int:  # 6.3
        length = 1
        while self.bit() == 0:
            length += 1
            if length > 16:
                raise RejectedError("an escape is too long")
        excess = 1
        for _ in range(length - 1):
            excess = 2 * excess + self.bit()
        magnitude = tail + excess
        if magnitude > 32767:
            raise RejectedError("an escape is too large")
        return -magnitude if self.bit() else magnitude

    def batch(
        self, indices: Sequence[int], model: Model, scales: int = 64
    ) -> list[int]:  # 6.2, of indices below `scales`
        symbols = [0] * len(indices)
        for index in range(scales):
            where = [place for place, one in enumerate(indices) if one == index]
            if not where:
                continue
            tail, table = model.tails[index], model.tables[index]
            entries = [self.entry(table) for _ in where]
            for place, entry in zip(where, entries, strict=True):
                symbols[place] = self.escape(tail) if entry == 2 * tail + 1 else entry - tail
        return symbols

    def offsets(self, indices: Sequence[int], model: Model, step: int | None) -> list[int]:  # 6.4
        """Of a batch that is dependent where there is a step."""
        first = 64 - (len(model.tails) - 64) // 2 if step is not None else 64
        found = [symbol * 1024 for symbol in self.batch(indices, model, first)]
        state = 0
        for index in range(first, 64):
            for place in (place for place, one in enumerate(indices) if one == index):
                quantiser = state % 2
                number = 64 + 2 * (index - first) + quantiser
                tail = model.tails[number]
                entry = self.entry(model.tables[number])
                symbol = self.escape(tail) if entry == 2 * tail + 1 else entry - tail
                if abs(symbol) > 16383:
                    raise RejectedError("a dependent symbol is too large")
                state = (AFTER_ODD if symbol % 2 else AFTER_EVEN)[state]
                sign = (symbol > 0) - (symbol < 0)
                found[place] = (2 * symbol - quantiser * sign) * (step or 0)
        return found


# 7 The model file


TYPES = {
    "U8": ("B", 1),
    "I16": ("h", 2),
    "I32": ("i", 4),
    "I64": ("q", 8),
    "F16": ("e", 2),
    "F32": ("f", 4),
}


@dataclass
class Tensor:
    """Numbers in raster order, and their shape."""

    shape: tuple[int, ...]
    values: tuple[int, ...] | tuple[float, ...]
    raw: bytes
    kind: str

    def integers(self) -> tuple[int, ...]:
        """Those of a tensor of integers."""
        return tuple(map(int, self.values))

    def row(self, number: int) -> tuple[int, ...]:
        """A row of a tensor of integers: the last subscript runs, all others together are `number`."""
        wide = self.shape[-1]
        return tuple(map(int, self.values[wide * number : wide * (number + 1)]))

    def reals(self) -> list[tuple[float, ...]]:
        """A matrix of real numbers with as many rows as the first subscript has values."""
        wide = len(self.values) // self.shape[0]
        return [tuple(map(float, self.values[i : i + wide])) for i in range(0, len(self.values), wide)]


@dataclass
class Layer:
    """8.1, by output: columns[o][i] is W[i][o]."""

    columns: list[tuple[int, ...]]
    biases: tuple[int, ...]
    shift: int
    narrow: int  # of a layer that reads a stream

    def __call__(self, cell: Sequence[int]) -> list[int]:
        return [
            (sum(map(mul, cell, column)) + bias) >> self.shift
            for column, bias in zip(self.columns, self.biases, strict=True)
        ]

    def read(self, cell: Sequence[int]) -> list[int]:
        """8.2: what the layer reads of a cell of a stream."""
        return narrowed(cell, self.narrow)


@dataclass
class Multiplier:
    """7.3 and 8.4, at one quality."""

    entries: tuple[int, ...]
    shifts: tuple[int, ...]

    def times(self, x: int, k: int, limit: int) -> int:
        """By the entry of channel k."""
        s = self.shifts[k]
        return min(max((x * self.entries[k] + (1 << (s - 1))) >> s, -limit), limit)

    def cell(self, cell: Sequence[int]) -> list[int]:
        """All channels, for a layer to read."""
        return [self.times(x, k, M) for k, x in enumerate(cell)]


@dataclass
class Model:
    """The tensors of a model file."""

    tensors: dict[str, Tensor]
    id: bytes
    family: str = "photo"
    kind: str = ""  # of an autoencoder
    tails: list[int] = field(default_factory=list)
    tables: list[tuple[int, ...]] = field(default_factory=list)
    layers: dict[str, Layer] = field(default_factory=dict)  # those that were asked for

    def tensor(self, name: str) -> Tensor:
        if name not in self.tensors:
            raise RejectedError(f"the model lacks {name}")
        return self.tensors[name]

    def layer(self, name: str) -> Layer:
        if name in self.layers:
            return self.layers[name]
        weight, bias = self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")
        narrow = self.tensors[f"{name}.narrow"].integers()[0] if f"{name}.narrow" in self.tensors else 0
        columns = [tuple(map(int, weight.values[o :: weight.shape[1]])) for o in range(weight.shape[1])]
        self.layers[name] = Layer(columns, bias.integers(), self.tensor(f"{name}.shift").integers()[0], narrow)
        return self.layers[name]

    def row(self, table: str, quality: int) -> tuple[int, ...]:
        """A row of a `quality.*` table."""
        return self.tensor(f"quality.{table}").row(quality - 1)

    def multiplier(self, name: str, quality: int) -> Multiplier:
        return Multiplier(self.row(name, quality), self.tensor(f"quality.{name}.shift").integers())

    def depth(self, prefix: str) -> int:
        """The number of blocks PREFIX.0, PREFIX.1, ..."""
        count = 0
        while f"{prefix}.{count}.expand.shift" in self.tensors:
            count += 1
        return count


def load_model(path: Path) -> Model:
    """7: reads a safetensors file and checks its id."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__")
    if metadata["format"] != "caecodec-model 2" or metadata["family"] not in ("photo", "autoencoder", "tiny"):
        raise RejectedError("another kind of model")
    tensors = {}
    for name, entry in header.items():
        kind = entry["dtype"]
        letter, size = TYPES[kind]
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        raw = data[start:end]
        values = struct.unpack(f"<{len(raw) // size}{letter}", raw)
        tensors[name] = Tensor(tuple(entry["shape"]), values, raw, kind)
    found = model_id(tensors)
    if found.hex() != metadata["id"]:
        raise RejectedError("the model is damaged")
    family = metadata["family"]
    kind = json.loads(metadata["config"])["kind"] if family == "autoencoder" else ""
    model = Model(tensors, found, family, kind, [int(t) for t in tensors["table.tail"].values])
    rest = tuple(map(int, tensors["table.frequencies"].values))
    more = len(model.tails) - 64
    if more % 2 or not 0 <= more <= (128 if family == "photo" else 0):
        raise RejectedError("the number of frequency tables")
    if len(rest) != sum(2 * tail + 2 for tail in model.tails):
        raise RejectedError("the frequency tables do not fit their tails")
    for tail in model.tails:
        if not 0 <= tail <= 32767:
            raise RejectedError("the tail of a frequency table")
        table, rest = rest[: 2 * tail + 2], rest[2 * tail + 2 :]
        if min(table) < 1 or sum(table) != 1 << 24:
            raise RejectedError("a frequency table")
        model.tables.append(table)
    {"photo": check_photo, "tiny": check_tiny, "autoencoder": check_autoencoder}[family](model)
    return model


def model_id(tensors: dict[str, Tensor]) -> bytes:
    """7.2."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        shape = ",".join(map(str, tensor.shape))
        digest.update(f"{name} {tensor.kind} {shape}\n".encode() + tensor.raw)
    return digest.digest()[:4]


# 7.3 and 7.4: what a model of networks in integers must be


def check_tensor(
    model: Model, name: str, kind: str, shape: tuple[int, ...], low: int = -(1 << 31), high: int = (1 << 31) - 1
) -> None:
    """Rejects a tensor of another type or shape, or with a value out of low..high."""
    tensor = model.tensor(name)
    if tensor.kind != kind or tensor.shape != shape:
        raise RejectedError(f"tensor {name} is of another type or shape")
    if tensor.values and not (low <= min(tensor.values) and max(tensor.values) <= high):
        raise RejectedError(f"tensor {name} holds a value out of range")


def check_layer(model: Model, name: str, inputs: int, outputs: int, stream: bool = False) -> int:
    """Of a layer, one that reads a stream or not -> the largest that a sum of any output can be, shifted."""
    check_tensor(model, f"{name}.weight", "I16", (inputs, outputs))
    check_tensor(model, f"{name}.bias", "I32", (outputs,))
    check_tensor(model, f"{name}.shift", "I32", (1,), 0, 30)
    if stream:
        check_tensor(model, f"{name}.narrow", "I32", (1,), 0, 15)
    layer = model.layer(name)
    sums = [M * sum(map(abs, w)) + abs(b) for w, b in zip(layer.columns, layer.biases, strict=True)]
    if max(sums) >= (1 << 31) - (1 << 27):
        raise RejectedError(f"a sum of layer {name} could leave 32 bits")
    return max(sums) >> layer.shift


def check_block(model: Model, name: str, width: int) -> None:
    check_layer(model, f"{name}.mix_in", width, width, stream=True)
    check_layer(model, f"{name}.depthwise", 9, width)
    check_layer(model, f"{name}.mix_out", width, width)
    check_layer(model, f"{name}.expand", width, 2 * width, stream=True)
    check_layer(model, f"{name}.project", 2 * width, width)


def check_multiplier(model: Model, name: str, channels: int, rows: int = 100) -> None:
    check_tensor(model, f"quality.{name}", "I32", (rows, channels), -(1 << 30), 1 << 30)
    check_tensor(model, f"quality.{name}.shift", "I32", (channels,), 1, 60)


def check_g_s(model: Model, n: int, side: int, rows: int = 100) -> None:
    """Of a family whose cells have side x side pixels."""
    g = model.tensor("g_s.stem.bias").shape[0] // 4
    check_multiplier(model, "to_g_s", n, rows)
    check_tensor(model, "quality.modulation", "I32", (rows, g), -(1 << 13) + 1, (1 << 13) - 1)
    check_layer(model, "g_s.stem", n, 4 * g)
    for number in range(model.depth("g_s.blocks")):
        check_block(model, f"g_s.blocks.{number}", g)
    head = check_layer(model, "g_s.head", 9 * g, 3 * side * side // 4, stream=True)
    if head + check_layer(model, "g_s.linear", n, 3 * side * side) >= 1 << 30:
        raise RejectedError("samples could leave 32 bits")


@dataclass(frozen=True)
class Walk:
    """9: names of what a walk reads."""

    layers: str
    tables: str


OVER_Z, OVER_Y = Walk("int.context_z", "z_"), Walk("int.context", "")


def rows_of(model: Model) -> int:
    """7.3: R."""
    return model.tensor("quality.to_u").shape[0] if "quality.to_u" in model.tensors else 100


def check_photo(model: Model) -> None:
    n, z = model.tensor("quality.to_u").shape[-1], model.tensor("quality.z_to_u").shape[-1]
    rows = rows_of(model)
    if rows not in (100, 200):
        raise RejectedError("the tables have neither 100 rows nor 200")
    c, of_z = model.tensor("quality.psi").shape[-1], model.tensor("quality.z_psi").shape[-1]
    check_tensor(model, "quality.psi", "I32", (rows, c), -(1 << 26), 1 << 26)
    check_tensor(model, "quality.z_psi", "I32", (rows, of_z), -M, M)
    if model.tensor("table.tail").shape[0] > 64:
        check_tensor(model, "quality.step", "I32", (rows, 1), 1, 1 << 10)
    elif "quality.step" in model.tensors:
        raise RejectedError("a step without tables for it")
    check_tensor(model, "int.h_s.narrow", "I32", (1,), 0, 15)
    check_layer(model, "int.h_s.up1", z, 4 * c)
    check_block(model, "int.h_s.block1", c)
    check_layer(model, "int.h_s.up2", c, 4 * c, stream=True)
    check_block(model, "int.h_s.block2", c)
    check_walk(model, OVER_Z, z, of_z, rows)
    check_walk(model, OVER_Y, n, c, rows)
    check_g_s(model, n, 16, rows)


def check_walk(model: Model, names: Walk, n: int, c: int, rows: int) -> None:
    """Over n channels, with a psi of c channels."""
    k = model.tensor(f"{names.layers}.first.bias").shape[0]
    if n % 4 or min(n, c, k) < 1:
        raise RejectedError("the channels are not four groups, or there are none")
    check_multiplier(model, f"{names.tables}to_u", n, rows)
    check_multiplier(model, f"{names.tables}to_y", n, rows)
    check_tensor(model, f"quality.{names.tables}index", "I32", (rows, n), -(1 << 26), 1 << 26)
    check_tensor(model, f"{names.layers}.narrow", "I32", (1,), 0, 15)
    check_layer(model, f"{names.layers}.first", c, k)
    for step in range(3):
        check_layer(model, f"{names.layers}.adaptors.{step}", n + c, k)
    for number in range(model.depth(f"{names.layers}.trunk")):
        check_block(model, f"{names.layers}.trunk.{number}", k)
    for step in range(4):
        for group in range(4):
            check_layer(model, f"{names.layers}.head.{step}.{group}", k, n // 2)


# 8 Layers


def clamped(cell: Sequence[int], low: int, high: int) -> list[int]:
    return [min(max(v, low), high) for v in cell]


def narrowed(cell: Sequence[int], n: int) -> list[int]:
    """8.2."""
    half = 1 << (n - 1) if n else 0
    return [min(max((v + half) >> n, -M), M) for v in cell]


def each(x: Cells[int], f: Callable[[list[int]], list[int]]) -> Cells[int]:
    """`f` on every cell."""
    return [[f(cell) for cell in row] for row in x]


def neighbours(x: Cells[T], r: int, k: int) -> list[list[T] | None]:
    """The nine cells around (r, k) in raster order, None outside."""
    return [
        x[i][j] if 0 <= i < len(x) and 0 <= j < len(x[0]) else None
        for i in range(r - 1, r + 2)
        for j in range(k - 1, k + 2)
    ]


def around(x: Cells[int], r: int, k: int) -> list[int]:
    """What a 3x3 layer reads at (r, k): nine cells one after the other, zeros outside."""
    zeros = [0] * len(x[0][0])
    return [value for cell in neighbours(x, r, k) for value in cell or zeros]


def depthwise(x: Cells[int], layer: Layer) -> Cells[int]:
    """8.1: a layer of nine taps on each channel for itself."""
    out: Cells[int] = []
    for r in range(len(x)):
        out.append([])
        for k in range(len(x[0])):
            taps = neighbours(x, r, k)
            cell = []
            for o, (column, bias) in enumerate(zip(layer.columns, layer.biases, strict=True)):
                total = bias
                for tap, weight in zip(taps, column, strict=True):
                    if tap is not None:
                        total += tap[o] * weight
                cell.append(total >> layer.shift)
            out[r].append(cell)
    return out


def plus(r: Cells[int], a: Cells[int]) -> Cells[int]:
    """clamp(r + a, -S, S)."""
    return [
        [[min(max(p + q, -S), S) for p, q in zip(c, d, strict=True)] for c, d in zip(s, t, strict=True)]
        for s, t in zip(r, a, strict=True)
    ]


def block(r: Cells[int], model: Model, name: str) -> Cells[int]:
    """8.3."""
    mix_in, mix_out = model.layer(f"{name}.mix_in"), model.layer(f"{name}.mix_out")
    expand, project = model.layer(f"{name}.expand"), model.layer(f"{name}.project")
    a = each(r, lambda cell: clamped(mix_in(mix_in.read(cell)), 0, M))
    a = each(depthwise(a, model.layer(f"{name}.depthwise")), lambda cell: clamped(cell, -M, M))
    r = plus(r, each(a, mix_out))
    return plus(r, each(r, lambda cell: project(clamped(expand(expand.read(cell)), 0, M))))


def blocks(r: Cells[int], model: Model, prefix: str) -> Cells[int]:
    """PREFIX.0, PREFIX.1, ..."""
    for number in range(model.depth(prefix)):
        r = block(r, model, f"{prefix}.{number}")
    return r


def depth_to_space(x: Cells[T], r: int) -> Cells[T]:
    """8.4."""
    c = len(x[0][0]) // (r * r)
    return [
        [cell[(i * r + j) * c : (i * r + j + 1) * c] for cell in row for j in range(r)] for row in x for i in range(r)
    ]


def hyper(z_hat: Cells[int], model: Model, quality: int) -> Cells[int]:
    """8.5: z_hat -> psi."""
    up1, up2 = model.layer("int.h_s.up1"), model.layer("int.h_s.up2")
    x = each(z_hat, model.multiplier("z_to_u", quality).cell)
    r = depth_to_space(each(x, lambda cell: clamped(up1(cell), -S, S)), 2)
    r = block(r, model, "int.h_s.block1")
    r = depth_to_space(each(r, lambda cell: clamped(up2(up2.read(cell)), -S, S)), 2)
    r = block(r, model, "int.h_s.block2")
    more, (narrow,) = model.row("psi", quality), model.tensor("int.h_s.narrow").integers()
    return each(r, lambda cell: narrowed([v + m for v, m in zip(cell, more, strict=True)], narrow))


# 9 Decoding a tile


def decode_tile(data: bytes, h: int, w: int, quality: int, model: Model) -> Cells[int]:
    """A tile of h x w cells -> y_hat."""
    decoder = RangeDecoder(data[2:])
    hz, wz = up(h, 4), up(w, 4)
    same = list(model.row("z_psi", quality))
    psi_z = [[same for _ in range(wz + wz % 2)] for _ in range(hz + hz % 2)]
    z_hat = walk(decoder, hz, wz, psi_z, OVER_Z, quality, model)
    psi = [row[: w + w % 2] for row in hyper(z_hat, model, quality)[: h + h % 2]]
    y_hat = walk(decoder, h, w, psi, OVER_Y, quality, model)
    check(flat(y_hat), data)
    return y_hat


def walk(decoder: RangeDecoder, h: int, w: int, psi: Cells[int], names: Walk, quality: int, model: Model) -> Cells[int]:
    """9, over h x w cells: the next four batches -> y_hat, or z_hat. psi has cells up to even numbers of both."""
    to_u, to_y = (model.multiplier(f"{names.tables}{name}", quality) for name in ("to_u", "to_y"))
    more = model.row(f"{names.tables}index", quality)
    has_step = not names.tables and "quality.step" in model.tensors
    fine = model.row("step", quality)[0] if has_step else None
    n = len(more)
    quarter = n // 4
    u = [[[0] * n for _ in row] for row in psi]
    y_hat = [[[0] * n for _ in range(w)] for _ in range(h)]
    for step in range(4):
        features = context(step, u, psi, names, model)
        positions, means, indices = [], [], []
        for phase, (i, j) in enumerate(PHASES):
            group = step ^ phase
            head = model.layer(f"{names.layers}.head.{step}.{group}")
            for row in range(i, h, 2):
                for column in range(j, w, 2):
                    out = head(features[row][column])
                    for m in range(quarter):
                        k = group * quarter + m
                        positions.append((row, column, k))
                        means.append(to_y.times(out[m], k, 1 << 25))
                        indices.append(min(max((out[quarter + m] + more[k] + 512) >> 10, 0), 63))
        for (row, column, k), mean, offset in zip(positions, means, decoder.offsets(indices, model, fine), strict=True):
            value = offset + mean
            y_hat[row][column][k] = value
            u[row][column][k] = to_u.times(value, k, M)
    return y_hat


def context(step: int, u: Cells[int], psi: Cells[int], names: Walk, model: Model) -> Cells[int]:
    """9, the features of a step."""
    if step == 0:
        first = model.layer(f"{names.layers}.first")
        return each(psi, lambda cell: clamped(first(cell), 0, M))
    adaptor = model.layer(f"{names.layers}.adaptors.{step - 1}")
    (narrow,) = model.tensor(f"{names.layers}.narrow").integers()
    both = [[known + given for known, given in zip(*rows, strict=True)] for rows in zip(u, psi, strict=True)]
    r = blocks(each(both, lambda cell: clamped(adaptor(cell), 0, S)), model, f"{names.layers}.trunk")
    return each(r, lambda cell: narrowed(cell, narrow))


def flat(x: Cells[int]) -> list[int]:
    """Raster order."""
    return [value for row in x for cell in row for value in cell]


def check(latents: Sequence[int], tile: bytes) -> None:
    """4: rejects a tile whose latents do not match its check."""
    crc = zlib.crc32(struct.pack(f"<{len(latents)}i", *latents))
    if (crc & 0xFFFF).to_bytes(2, "little") != tile[:2]:
        raise RejectedError("the latents do not match their check")


def opened(data: bytes, model: Model, family: str) -> File:
    """A parsed file that the model, one of the family, made."""
    file = parse(data)
    if file.model_id != model.id or model.family != family:
        raise RejectedError("made by another model")
    if file.quality > rows_of(model):
        raise RejectedError("a quality that the model has not")
    return file


def decode_latents(data: bytes, model: Model) -> list[Cells[int]]:
    """A file of the family `photo` -> y_hat of each tile, in raster order."""
    file = opened(data, model, "photo")
    return [
        decode_tile(tile, h, w, file.quality, model) for tile, (h, w) in zip(file.tiles, extents(file), strict=True)
    ]


# 10 Pixels


def sample(x: int) -> int:
    """10.3."""
    return min(max((x + 128 * 4096) >> 12, 0), 255)


def sample16(x: int) -> int:
    """10.6."""
    return min(max((257 * (x + 255 * 2048) + 2048) >> 12, 0), 65535)


def gray16(red: int, green: int, blue: int) -> int:
    """10.6."""
    g = (sum((c + 128) // 257 for c in (red, green, blue)) + 1) // 3
    m = (red + green + blue + 1) // 3
    return min(max(min(max(m, 257 * g - 128), 257 * g + 128), 0), 65535)


def synthesise(y_hat: Cells[int], quality: int, model: Model, rounded: Callable[[int], int] = sample) -> Pixels:
    """10.1 and 10.3, or 15.4; or 10.6: a rectangle of cells -> its rows of (red, green, blue)."""
    side = 8 if model.family == "tiny" else 16  # of a cell
    stem, head, linear = (model.layer(f"g_s.{name}") for name in ("stem", "head", "linear"))
    modulation = model.row("modulation", quality)
    y = each(y_hat, model.multiplier("to_g_s", quality).cell)
    v = depth_to_space(each(y, lambda cell: clamped(stem(cell), -131071, 131071)), 2)
    r = each(v, lambda cell: [(x * m + 64) >> 7 for x, m in zip(cell, modulation, strict=True)])
    r = each(blocks(r, model, "g_s.blocks"), head.read)
    detail = [[head(around(r, row, column)) for column in range(len(r[0]))] for row in range(len(r))]
    return [
        [tuple(rounded(p + q) for p, q in zip(c, d, strict=True)) for c, d in zip(s, t, strict=True)]
        for s, t in zip(depth_to_space(detail, side // 2), depth_to_space(each(y, linear), side), strict=True)
    ]


def joined(file: File, tiles: list[Cells[int]]) -> Cells[int]:
    """10.2: tiles in raster order -> all cells of the picture as one rectangle."""
    across = up(file.width, 1024)
    return [
        [cell for tile in tiles[first : first + across] for cell in tile[row]]
        for first in range(0, len(tiles), across)
        for row in range(len(tiles[first]))
    ]


def finished(pixels: Pixels, file: File) -> Pixels:
    """10.3 and 10.4: cut to the picture, and of one channel with flag GRAY."""
    rows = [row[: file.width] for row in pixels[: file.height]]
    if file.gray and len(rows[0][0]) == 3:
        return [[((red + green + blue + 1) // 3,) for red, green, blue in row] for row in rows]
    return rows


def decode(data: bytes, model: Model) -> Pixels:
    """A file -> its pixels, of one channel with flag GRAY and of three without."""
    file = parse(data)
    if model.family == "autoencoder":
        return finished(synthesise_autoencoder(decode_autoencoder(data, model), file.quality, model), file)
    y_hat = decode_tiny(data, model) if model.family == "tiny" else joined(file, decode_latents(data, model))
    return finished(synthesise(y_hat, file.quality, model), file)


# 11.1 Alpha, and the picture files of section 16


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """A PNG -> names and contents of its chunks, IEND the last."""
    cursor, found = Cursor(data, 8, len(data)), []
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise RejectedError("neither PNG nor WebP")
    while not found or found[-1][0] != b"IEND":
        length = int.from_bytes(cursor.take(4), "big")
        name_and_body = cursor.take(4 + length)
        if zlib.crc32(name_and_body) != int.from_bytes(cursor.take(4), "big"):
            raise RejectedError("the CRC of a chunk")
        found.append((name_and_body[:4], name_and_body[4:]))
    if found[-1][1] or cursor.at != cursor.end:
        raise RejectedError("something at the end of a PNG")
    return found


def png_rows(data: bytes, width: int, height: int) -> bytes:
    """A PNG of this size -> its rows, each with its filter."""
    found = chunks(data)
    names = [name for name, _ in found]
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    critical = [name for name in names if not name.isalpha() or not name[0] & 0x20]
    places = [place for place, name in enumerate(names) if name == b"IDAT"]
    if not places or found[0] != (b"IHDR", head) or critical != [b"IHDR", *[b"IDAT"] * len(places), b"IEND"]:
        raise RejectedError("not a plain PNG of this size and kind")
    if {b"acTL", b"fcTL", b"fdAT"} & set(names) or places != list(range(places[0], places[0] + len(places))):
        raise RejectedError("an animation, or pixels that do not stand together")
    stream = zlib.decompressobj()
    try:
        rows = stream.decompress(b"".join(found[place][1] for place in places), height * (width + 1) + 1)
        rows += stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error as exc:
        raise RejectedError("a zlib stream") from exc
    if len(rows) != height * (width + 1) or not stream.eof or stream.unused_data:
        raise RejectedError("pixels of another size")
    return rows


def png_samples(data: bytes, width: int, height: int) -> bytes:
    """A PNG -> its samples in raster order."""
    rows, above, samples = png_rows(data, width, height), bytes(width), bytearray()
    for start in range(0, len(rows), width + 1):
        row = bytearray()
        for k in range(width):
            left, up_left = (row[k - 1], above[k - 1]) if k else (0, 0)
            guess = left + above[k] - up_left
            nearest = min((abs(guess - v), order, v) for order, v in enumerate((left, above[k], up_left)))[2]
            if rows[start] > 4:
                raise RejectedError("a filter")
            before = (0, left, above[k], (left + above[k]) // 2, nearest)[rows[start]]
            row.append((rows[start + 1 + k] + before) & 0xFF)
        above = bytes(row)
        samples += row
    return bytes(samples)


def check_webp(data: bytes, width: int, height: int) -> None:
    """The form of a WebP. Its VP8L stream is not decoded here."""
    riff, size, kind, length = struct.unpack("<4sI8sI", data[:20].ljust(20))
    whole = 20 + length + length % 2
    if riff != b"RIFF" or kind != b"WEBPVP8L" or length < 5 or len(data) != whole or size != whole - 8:
        raise RejectedError("not a WebP of one chunk VP8L and nothing else")
    bits = int.from_bytes(data[21:25], "little")
    if data[20] != 0x2F or bits >> 28 or (length % 2 and data[-1]):
        raise RejectedError("the head of a VP8L chunk, or its padding")
    if (bits % (1 << 14) + 1, (bits >> 14) % (1 << 14) + 1) != (width, height):
        raise RejectedError("another size")


def picture_file(data: bytes, width: int, height: int, gray: bool) -> bytes | None:
    """The samples of a PNG; None of a WebP, of which only the form is checked."""
    if gray and data[:4] != b"RIFF":
        return png_samples(data, width, height)
    check_webp(data, width, height)
    return None


def crc_16(samples: bytes) -> bytes:
    """The check (4) of samples."""
    return (zlib.crc32(samples) & 0xFFFF).to_bytes(2, "little")


def alpha(data: bytes) -> bytes | None:
    """A file -> samples of its alpha in raster order; None without alpha, and where a WebP would have to be decoded."""
    file = parse(data)
    if b"A" not in file.sections:
        return None
    samples = picture_file(file.sections[b"A"], file.width, file.height, True)
    if samples is not None and b"a" in file.sections and file.sections[b"a"] != crc_16(samples):
        raise RejectedError("alpha does not match its check")
    return samples


# 14 The family `autoencoder`


def linear(cell: Sequence[float], rows: Sequence[Sequence[float]], biases: Sequence[float]) -> list[float]:
    """A 1x1 layer at one place."""
    return [bias + sum(map(mul, cell, row)) for row, bias in zip(rows, biases, strict=True)]


def weights(model: Model, name: str) -> tuple[list[tuple[float, ...]], list[float]]:
    """Of a layer: weights, a row for each first subscript, and biases."""
    return model.tensor(f"{name}.weight").reals(), [float(b) for b in model.tensor(f"{name}.bias").values]


def convolved(x: Cells[float], rows: list[tuple[float, ...]], biases: Sequence[float]) -> Cells[float]:
    """A 3x3 layer over all channels, zero outside."""
    zeros = [0.0] * len(x[0][0])
    out: Cells[float] = []
    for r in range(len(x)):
        out.append([])
        for k in range(len(x[0])):
            taps = [tap or zeros for tap in neighbours(x, r, k)]
            by_weight = [tap[channel] for channel in range(len(zeros)) for tap in taps]  # as they lie: channel, tap
            out[r].append(linear(by_weight, rows, biases))
    return out


@dataclass(frozen=True)
class Kind:
    """14.1 and 14.4."""

    side: int  # of the picture
    channels: int
    latent: tuple[int, int, int]  # rows and columns of y, and L; 0: any
    layers: str


KINDS = {
    "cifar10": Kind(
        32,
        3,
        (4, 4, 512),
        "up2 decoder.0, norm decoder.1, relu, up2 decoder.3, norm decoder.4, relu,"
        "up2 decoder.6, norm decoder.7, relu, conv decoder.9",
    ),
    "cifar100": Kind(
        32,
        3,
        (1, 1, 0),
        "dense4 decoder.1, relu, up1 decoder.4, norm decoder.5, relu, double, up1 decoder.8, norm decoder.9, relu,"
        "double, up1 decoder.12, norm decoder.13, relu, double, up1 decoder.16",
    ),
    "cifar10-dense": Kind(32, 3, (1, 1, 0), "dense8 decoder.1, relu, up2 decoder.4, relu, up2 decoder.6"),
    "fashion-mnist": Kind(
        28,
        1,
        (4, 4, 8),
        "conv decoder.0, relu, double, conv decoder.3, relu, double, inside decoder.6, relu, double, conv decoder.9",
    ),
    "mnist": Kind(28, 1, (7, 7, 4), "unpool inner, up1 up2, norm norm3, relu, unpool outer, up1 up1"),
}
OUTER, INNER = (14, 14, 8), (7, 7, 4)  # cells of the unpoolings
PLACES = 14 * 14 * 8 + 7 * 7 * 4


def check_autoencoder(model: Model) -> None:
    """14.1 and 14.2, of what decides latents: rejects a model that is malformed."""
    if model.kind not in KINDS:
        raise RejectedError("an unknown kind")
    inside = KINDS[model.kind].latent[2] or model.tensors["turn_back.bias"].shape[0]
    if "steps.groups" in model.tensors:
        if any(side % 2 for side in KINDS[model.kind].latent[:2]):
            raise RejectedError("a context over an odd number of cells")
        coded = check_context(model)
        if model.tensors["turn_back.weight"].shape != (inside, coded, 1, 1):
            raise RejectedError("the layer behind the channels")
        return
    table, places = model.tensors["quality.table"], model.tensors["place.table"]
    if len(table.shape) != 2 or table.shape[0] != 100:
        raise RejectedError("the table of the channels")
    if model.tensors["turn_back.weight"].shape != (inside, table.shape[1], 1, 1):
        raise RejectedError("the layer behind the channels")
    if places.shape not in (((0,), (PLACES,)) if model.kind == "mnist" else ((0,),)):
        raise RejectedError("the table of the places")
    if any(63 < index < 255 for index in table.values) or any(index > 63 for index in places.values):
        raise RejectedError("a table that is not there")
    if any(model.tails[int(index)] < 2 for index in places.values):
        raise RejectedError("a table that holds too few symbols for places")


@dataclass(frozen=True)
class Coded:
    """Latents of an autoencoder."""

    symbols: Cells[int]
    places: list[int]  # of the outer unpooling, then of the inner one


def decode_autoencoder(data: bytes, model: Model) -> Coded:
    """14.3: a file -> its latents."""
    file = opened(data, model, "autoencoder")
    kind = KINDS[model.kind]
    if file.width != kind.side or file.height != kind.side or (kind.channels == 1 and not file.gray):
        raise RejectedError("no picture of this model")
    rows, columns, _ = kind.latent
    if "steps.groups" in model.tensors:
        return Coded(decode_tiny_tile(file.tiles[0], rows, columns, file.quality, False, model), [])
    table = model.row("table", file.quality)
    indices = [index for index in table * (rows * columns) if index != 255]
    indices += [int(index) for index in model.tensors["place.table"].values]
    decoded = iter(RangeDecoder(file.tiles[0][2:]).batch(indices, model))
    symbols = [[[0 if index == 255 else next(decoded) for index in table] for _ in range(columns)] for _ in range(rows)]
    places = [symbol + 1 for symbol in decoded]
    if not all(0 <= place <= 3 for place in places):
        raise RejectedError("no place")
    check(flat(symbols) + places, file.tiles[0])
    return Coded(symbols, places)


def cells_of(values: Sequence[T], shape: tuple[int, int, int]) -> Cells[T]:
    """The inverse of raster order."""
    rows, columns, channels = shape
    at = iter(values)
    return [[[next(at) for _ in range(channels)] for _ in range(columns)] for _ in range(rows)]


def up_convolved(x: Cells[float], rows: list[tuple[float, ...]], biases: list[float], stride: int) -> Cells[float]:
    """14.4: up."""
    high, wide = stride * len(x), stride * len(x[0])
    out = [[list(biases) for _ in range(wide)] for _ in range(high)]
    # by tap: for each output the weights of all inputs
    taps = [[[row[9 * o + tap] for row in rows] for o in range(len(biases))] for tap in range(9)]
    for r, row in enumerate(x):
        for k, cell in enumerate(row):
            for tap, by_output in enumerate(taps):
                i, j = stride * r + tap // 3 - 1, stride * k + tap % 3 - 1
                if 0 <= i < high and 0 <= j < wide:
                    out[i][j] = linear(cell, by_output, out[i][j])
    return out


def unpool(x: Cells[float], places: Cells[int]) -> Cells[float]:
    """14.4."""
    out = [[[0.0] * len(x[0][0]) for _ in range(2 * len(x[0]))] for _ in range(2 * len(x))]
    for r, row in enumerate(x):
        for k, cell in enumerate(row):
            for c, (value, place) in enumerate(zip(cell, places[r][k], strict=True)):
                out[2 * r + place // 2][2 * k + place % 2][c] = value
    return out


def synthesise_autoencoder(coded: Coded, quality: int, model: Model) -> Pixels:
    """14.4: latents -> rows of pixels of one channel or three."""
    kind = KINDS[model.kind]
    offset, gain = (model.tensors[f"float.{name}"].reals()[quality - 1] for name in ("offset", "gain_out"))
    turn_back = weights(model, "turn_back")
    x = [
        [linear([(s + o) * g for s, o, g in zip(cell, offset, gain, strict=True)], *turn_back) for cell in row]
        for row in coded.symbols
    ]
    split = 14 * 14 * 8
    places = coded.places or [0] * PLACES
    for layer in kind.layers.split(","):
        what, _, short = layer.strip().partition(" ")
        name = f"network.{short}"
        if what == "relu":
            x = [[[max(v, 0.0) for v in cell] for cell in row] for row in x]
        elif what == "double":
            x = [[cell for cell in row for _ in range(2)] for row in x for _ in range(2)]
        elif what == "unpool":
            x = unpool(x, cells_of(places[:split], OUTER) if short == "outer" else cells_of(places[split:], INNER))
        elif what == "norm":
            parts = ("weight", "bias", "running_mean", "running_var")
            table = list(zip(*(model.tensors[f"{name}.{part}"].values for part in parts), strict=True))
            x = [
                [
                    [(v - mean) / sqrt(var + 1e-5) * w + b for v, (w, b, mean, var) in zip(cell, table, strict=True)]
                    for cell in row
                ]
                for row in x
            ]
        elif what.startswith("dense"):
            side = int(what[5:])
            product = linear(x[0][0], *weights(model, name))
            area = side * side
            x = [
                [[product[c * area + r * side + k] for c in range(len(product) // area)] for k in range(side)]
                for r in range(side)
            ]
        elif what.startswith("up"):
            x = up_convolved(x, *weights(model, name), int(what[2:]))
        else:
            x = convolved(x, *weights(model, name))
            if what == "inside":
                x = [row[1:-1] for row in x[1:-1]]

    def sample(v: float) -> int:
        return min(max(floor(255 * (1 + tanh(v / 2)) / 2 + 0.5), 0), 255)  # sigmoid that cannot overflow

    return [[tuple(sample(v) for v in cell) for cell in row] for row in x]


# 15 The family `tiny`


def check_tiny(model: Model) -> None:
    """15.2: rejects a model that is malformed or could leave the bounds of 7.4."""
    check_g_s(model, check_context(model), 8)


def check_context(model: Model) -> int:
    """15.2, of what decides latents -> channels of y."""
    groups, splits = model.tensor("steps.groups"), model.tensor("steps.splits")
    if len(groups.shape) != 1 or groups.shape == (0,):
        raise RejectedError("the groups of channels")
    check_tensor(model, "steps.groups", "I32", groups.shape, 1)
    check_tensor(model, "steps.splits", "I32", groups.shape, 1, 4)
    if 3 in splits.values:
        raise RejectedError("a group in three steps")
    n, c = sum(groups.integers()), model.tensor("quality.bias").shape[-1]
    h = model.tensor("int.context.mix.bias").shape[0]
    check_multiplier(model, "to_u", n)
    check_multiplier(model, "to_y", n)
    check_tensor(model, "quality.index", "I32", (100, n), -(1 << 26), 1 << 26)
    check_tensor(model, "quality.bias", "I32", (2, 100, c), -(1 << 26), 1 << 26)
    check_tensor(model, "int.context.narrow", "I32", (1,), 0, 15)
    for step, (_, size, _) in enumerate(tiny_steps(model)):
        check_layer(model, f"int.context.adaptors.{step}", n, c)
        check_layer(model, f"int.context.heads.{step}", h, 2 * size)
    check_layer(model, "int.context.mix", 9 * c, h)
    check_layer(model, "int.context.expand", h, 2 * h, stream=True)
    check_layer(model, "int.context.project", 2 * h, h)
    return n


def decode_tiny(data: bytes, model: Model) -> Cells[int]:
    """A file -> y_hat."""
    file = opened(data, model, "tiny")
    if file.width > 64 or file.height > 64:
        raise RejectedError("no picture of this model")
    return decode_tiny_tile(file.tiles[0], up(file.height, 8), up(file.width, 8), file.quality, file.gray, model)


def tiny_steps(model: Model) -> list[tuple[int, int, list[int]]]:
    """15.1: of each step the first channel, the number of channels, the phases."""
    steps, first = [], 0
    groups, splits = (model.tensors[f"steps.{name}"].values for name in ("groups", "splits"))
    for size, split in zip(map(int, groups), map(int, splits), strict=True):
        share = {4: [[0], [1], [2], [3]], 2: [[0, 1], [2, 3]], 1: [[0, 1, 2, 3]]}[split]
        steps += [(first, size, phases) for phases in share]
        first += size
    return steps


def decode_tiny_tile(data: bytes, h: int, w: int, quality: int, gray: bool, model: Model) -> Cells[int]:
    """15.3."""
    decoder = RangeDecoder(data[2:])
    to_u, to_y = model.multiplier("to_u", quality), model.multiplier("to_y", quality)
    more, bias = model.row("index", quality), model.row("bias", 100 * gray + quality)
    mix, expand, project = (model.layer(f"int.context.{name}") for name in ("mix", "expand", "project"))
    (narrow,) = model.tensor("int.context.narrow").integers()
    u = [[[0] * len(more) for _ in range(w)] for _ in range(h)]
    y_hat = [[[0] * len(more) for _ in range(w)] for _ in range(h)]
    for step, (first, size, phases) in enumerate(tiny_steps(model)):
        adaptor, head = model.layer(f"int.context.adaptors.{step}"), model.layer(f"int.context.heads.{step}")
        a = [[[min(max(v + b, 0), M) for v, b in zip(adaptor(cell), bias, strict=True)] for cell in row] for row in u]
        positions, means, indices = [], [], []
        for i, j in (PHASES[phase] for phase in phases):
            for row in range(i, h, 2):
                for column in range(j, w, 2):
                    b = clamped(mix(around(a, row, column)), 0, S)
                    added = project(clamped(expand(expand.read(b)), 0, M))
                    b = clamped([p + q for p, q in zip(b, added, strict=True)], -S, S)
                    out = head(narrowed(b, narrow))
                    for m in range(size):
                        c = first + m
                        positions.append((row, column, c))
                        means.append(to_y.times(out[m], c, 1 << 25))
                        indices.append(min(max((out[size + m] + more[c] + 512) >> 10, 0), 63))
        for (row, column, c), mean, symbol in zip(positions, means, decoder.batch(indices, model), strict=True):
            value = symbol * 1024 + mean
            y_hat[row][column][c] = value
            u[row][column][c] = to_u.times(value, c, M)
    check(flat(y_hat), data)
    return y_hat


# 16 Pixels as they are


def exact(data: bytes) -> list[bytes | None]:
    """A file without a model -> the samples of each tile in raster order; None of one that is a WebP."""
    file = parse(data)
    if file.model_id != bytes(4):
        raise RejectedError("the file has a model")
    found: list[bytes | None] = []
    for number, tile in enumerate(file.tiles):
        row, column = divmod(number, up(file.width, 1024))
        width, height = min(1024, file.width - 1024 * column), min(1024, file.height - 1024 * row)
        samples: bytes | None = tile[2:-1]
        if len(tile) < 3 or tile[-1] not in (1, 2):
            raise RejectedError("a tile of another kind")
        if tile[-1] == 2:
            samples = picture_file(tile[2:-1], width, height, file.gray)
        elif len(tile) - 3 != width * height * (1 if file.gray else 3):
            raise RejectedError("another number of samples")
        if samples is not None and crc_16(samples) != tile[:2]:
            raise RejectedError("the samples do not match their check")
        found.append(samples)
    return found


def decoded_or_rejected(data: bytes, models: Callable[[bytes], Model | None]) -> Pixels | None:
    """A file -> its pixels, None of those in a file without a model; alpha is decoded too. `models`: by their ids."""
    file = parse(data)
    if file.model_id == bytes(4):
        exact(data)
        alpha(data)
        return None
    model = models(file.model_id)
    if model is None:
        raise RejectedError("no such model")
    alpha(data)
    return decode(data, model)
