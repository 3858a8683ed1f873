"""The core's inner parts, which `cae.h` does not show, called through ctypes: of what core_library builds."""

from __future__ import annotations

import ctypes
import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from core_library import CORE, compiler, library, sure
from numpy.typing import NDArray

from caecodec.entropy.fixed_point import SCALES, Indices
from caecodec.entropy.tables import Numbers, Symbols

U8, I16, I32, I64, F16, F32 = range(6)

Size = ctypes.c_size_t


def build(sources: Sequence[Path], out: Path, *flags: str) -> Path:
    """Compile C11, warnings being errors. CAECODEC_TEST_CFLAGS: more flags, such as sanitizers."""
    more = shlex.split(os.environ.get("CAECODEC_TEST_CFLAGS", ""))
    strict = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{CORE}")
    done = subprocess.run([compiler(), *strict, *more, *flags, *map(str, sources), "-o", str(out)], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return out


class Table(ctypes.Structure):
    _fields_ = (
        ("start", ctypes.POINTER(ctypes.c_uint32)),
        ("bits", ctypes.POINTER(ctypes.c_double)),
        ("guess", ctypes.c_void_p),
        ("guessed", ctypes.c_void_p),
        ("tail", ctypes.c_int32),
        ("mode", ctypes.c_uint32),
    )


class TablesStruct(ctypes.Structure):
    _fields_ = (("table", Table * (3 * SCALES)), ("dense", ctypes.c_int), ("memory", ctypes.c_void_p))


class DecoderStruct(ctypes.Structure):
    _fields_ = (
        ("range", ctypes.c_uint64),
        ("distance", ctypes.c_uint64),
        ("next", ctypes.c_void_p),
        ("end", ctypes.c_void_p),
    )


class EncoderStruct(ctypes.Structure):
    _fields_ = (
        ("low", ctypes.c_uint64),
        ("range", ctypes.c_uint64),
        ("bytes", ctypes.c_void_p),
        ("size", Size),
        ("capacity", Size),
    )


class FileStruct(ctypes.Structure):
    _fields_ = (
        ("tensors", ctypes.c_void_p),
        ("count", Size),
        ("family", ctypes.c_void_p),
        ("format", ctypes.c_void_p),
        ("family_length", Size),
        ("format_length", Size),
    )


def pointer(array: NDArray[np.generic]) -> ctypes.c_void_p:
    assert array.flags.c_contiguous
    return array.ctypes.data_as(ctypes.c_void_p)


class CTables:
    """As `caecodec.entropy.tables.Tables`."""

    def __init__(self, frequencies: NDArray[np.generic], tail: NDArray[np.generic]) -> None:
        self.struct = TablesStruct()
        flat, tails = np.ascontiguousarray(frequencies, np.int32), np.ascontiguousarray(tail, np.int32)
        sizes = Size(len(tails)), Size(len(flat))
        sure(library().cae_tables_open(ctypes.byref(self.struct), pointer(tails), sizes[0], pointer(flat), sizes[1]))

    def __del__(self) -> None:
        if self.struct.memory:
            library().cae_tables_close(ctypes.byref(self.struct))

    def bits(self, index: int) -> NDArray[np.float64]:
        """Of every entry of one table."""
        table = self.struct.table[index]
        return np.ctypeslib.as_array(table.bits, (2 * table.tail + 2,)).copy()

    def cost(self, symbols: Symbols, indices: Indices) -> float:
        given, index = symbols.astype(np.int16), np.ascontiguousarray(indices)
        count = Size(len(given))
        return float(library().cae_symbols_cost(ctypes.byref(self.struct), pointer(given), pointer(index), count))


class CEncoder:
    """As `caecodec.entropy.range_coder.Encoder`, into a buffer of `capacity` bytes."""

    def __init__(self, tables: CTables, capacity: int = 1 << 20) -> None:
        self.tables, self.struct = tables, EncoderStruct()
        self.bytes = np.zeros(capacity, np.uint8)
        library().cae_encoder_start(ctypes.byref(self.struct), pointer(self.bytes), Size(capacity))

    def encode(self, symbols: Symbols, indices: Indices) -> None:
        given, index = symbols.astype(np.int16), np.ascontiguousarray(indices)
        work = np.empty_like(given)
        args = (ctypes.byref(self.struct), ctypes.byref(self.tables.struct), pointer(index), Size(len(given)))
        sure(library().cae_encoder_batch(*args, pointer(given), pointer(work)))

    def encode_dependent(self, symbols: Symbols, indices: Indices, numbers: Numbers) -> None:
        """numbers: of the tables of symbols, along a path of states."""
        given, index, number = symbols.astype(np.int16), np.ascontiguousarray(indices), np.ascontiguousarray(numbers)
        work = np.empty(2 * len(given), np.int16)
        args = (ctypes.byref(self.struct), ctypes.byref(self.tables.struct), pointer(index), pointer(number))
        sure(library().cae_encoder_dependent(*args, Size(len(given)), pointer(given), pointer(work)))

    def finish(self) -> bytes:
        size = Size()
        sure(library().cae_encoder_finish(ctypes.byref(self.struct), ctypes.byref(size)))
        return self.bytes[: size.value].tobytes()


class CDecoder:
    """As `caecodec.entropy.range_coder.Decoder`."""

    def __init__(self, tables: CTables, data: bytes) -> None:
        self.tables, self.struct = tables, DecoderStruct()
        # exactly as long as the stream, so that a sanitizer sees what is read past its end
        self.data = np.frombuffer(data, np.uint8).copy()
        library().cae_decoder_start(ctypes.byref(self.struct), pointer(self.data), Size(len(data)))

    def decode(self, indices: Indices) -> Symbols:
        index = np.ascontiguousarray(indices)
        symbols, work = np.empty(len(index), np.int16), np.empty(len(index), np.int16)
        args = (ctypes.byref(self.struct), ctypes.byref(self.tables.struct), pointer(index), Size(len(index)))
        sure(library().cae_decoder_batch(*args, pointer(symbols), pointer(work)))
        return symbols.astype(np.int32)

    def decode_dependent(self, indices: Indices) -> tuple[Symbols, Numbers]:
        index = np.ascontiguousarray(indices)
        symbols, work = np.empty(len(index), np.int16), np.empty(len(index), np.int16)
        numbers = np.empty(len(index), np.uint8)
        args = (ctypes.byref(self.struct), ctypes.byref(self.tables.struct), pointer(index), Size(len(index)))
        sure(library().cae_decoder_dependent(*args, pointer(symbols), pointer(numbers), pointer(work)))
        return symbols.astype(np.int32), numbers


class OnPath(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_double) for name in ("residual", "weight", "strength")),
        ("index", ctypes.c_uint8),
        ("place", ctypes.c_uint32),
    )


def best_path(
    tables: CTables, latents: Sequence[tuple[float, float, float, int]], step: int
) -> tuple[Symbols, Numbers]:
    """`cae_best_path` of latents (residual, weight, strength, scale index) in the order of coding."""
    count = len(latents)
    path = (OnPath * count)(*(OnPath(*latent, place) for place, latent in enumerate(latents)))
    symbols, numbers = np.empty(count, np.int16), np.empty(count, np.uint8)
    room = library().cae_path_room
    room.restype = Size
    space = np.empty(room(Size(count)), np.uint8)
    args = (ctypes.byref(tables.struct), path, Size(count), step, pointer(space))
    library().cae_best_path(*args, pointer(symbols), pointer(numbers))
    return symbols.astype(np.int32), numbers
