"""The native core, built for tests and called through ctypes: the functions of cae.h, for kernels of one's choice."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

OK, MEMORY, MODEL, STREAM, CHECK, ARGUMENT = range(6)  # errors of cae.h
ROOT = Path(__file__).parents[1]
CORE, BUILD = ROOT / "codec" / "core", ROOT / "build" / "tests"
KERNELS = ("portable", "sse2", "avx2", "avxvnni", "avx512", "avx512vnni", "neon", "wasm")


def compiler() -> str:
    """Name of a C compiler; skips the test where there is none."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return name
    pytest.skip("no C compiler: install gcc or clang, or name one in CC")


class Unrounded(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_void_p) for name in ("y", "z", "weight", "strength"))


class Shape(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_int) for name in ("family", "cell", "n", "z", "halo_in", "halo_out"))


@functools.cache
def library() -> ctypes.CDLL:
    """Compiled with warnings as errors, and kept in build/ until a source changes.

    CAECODEC_TEST_CFLAGS: more flags, such as sanitizers.
    """
    more = shlex.split(os.environ.get("CAECODEC_TEST_CFLAGS", ""))
    command = [compiler(), "-std=gnu11", "-O3", "-fPIC", "-Wall", "-Wextra", "-Werror", *more]
    digest = hashlib.sha256(repr(command).encode())
    for source in sorted(CORE.iterdir()):
        digest.update(source.name.encode() + source.read_bytes())
    out = BUILD / f"core-{digest.hexdigest()[:16]}.so"
    if not out.exists():
        _build(command, out)
    found = ctypes.CDLL(str(out))
    found.cae_kernels_named.restype = found.cae_chosen_kernels.restype = ctypes.c_void_p
    found.cae_error_text.restype = found.cae_kernels.restype = ctypes.c_char_p
    found.cae_stream_bound.restype = ctypes.c_size_t
    found.cae_file_tensor.restype = ctypes.c_void_p
    found.cae_symbols_cost.restype = ctypes.c_double
    found.cae_crc32.restype = ctypes.c_uint32
    return found


def _build(command: list[str], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        objects, running = [], []
        for source in sorted(CORE.glob("*.c")):  # side by side: some of the kernels take as long as all else
            objects.append(f"{folder}/{source.stem}.o")
            running.append(subprocess.Popen([*command, "-c", str(source), "-o", objects[-1]], stderr=subprocess.PIPE))
        for process in running:
            _, errors = process.communicate()
            assert process.returncode == 0, errors.decode()
        made = Path(folder) / out.name
        subprocess.run([*command, "-shared", *objects, "-o", str(made), "-lpthread", "-lm"], check=True)
        made.replace(out)  # whole, whoever else builds the same


class KernelSet(ctypes.Structure):
    """The beginning of the core's own, in kernels.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        *((name, ctypes.c_int) for name in ("lanes", "panel", "side_by_side", "depthwise_group")),
        *(
            (name, ctypes.c_void_p)
            for name in ("product", "depthwise", "narrow", "times_to_activation", "times_to_mean")
        ),
    )

    @classmethod
    def of(cls, name: str) -> KernelSet:
        return cls.from_address(library().cae_kernels_named(name.encode()))

    def times(
        self, x: NDArray[np.int32], factor: NDArray[np.int32], shift: NDArray[np.int32]
    ) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
        """times of FORMAT.md, 8.4, to activations and to means."""
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int, ctypes.c_void_p)
        short, wide = np.empty(len(x), np.int16), np.empty(len(x), np.int32)
        given = (x.ctypes.data, factor.ctypes.data, shift.ctypes.data, len(x))
        function(self.times_to_activation)(*given, short.ctypes.data)
        function(self.times_to_mean)(*given, wide.ctypes.data)
        return short, wide


def kernels() -> list[str]:
    """The sets that this machine has."""
    return [name for name in KERNELS if library().cae_kernels_named(name.encode())]


class CoreError(Exception):
    """A function of the core returned one of the errors of cae.h."""

    def __init__(self, number: int) -> None:
        super().__init__(library().cae_error_text(number).decode())
        self.number = number


def sure(error: int) -> None:
    if error:
        raise CoreError(error)


def _pointer(array: NDArray[np.generic] | None) -> ctypes.c_void_p | None:
    if array is None:
        return None
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)


class Pool:
    """Threads."""

    def __init__(self, count: int) -> None:
        self.pointer = ctypes.c_void_p()
        sure(library().cae_threads_new(count, ctypes.byref(self.pointer)))

    def __del__(self) -> None:
        library().cae_threads_free(self.pointer)


class Model:
    """A model of the core. Arrays as in cae.h; shapes (rows, columns) are in cells."""

    def __init__(self, data: bytes, name: str = "", threads: int = 1) -> None:
        self._model = ctypes.c_void_p()
        core = library()
        chosen = core.cae_kernels_named(name.encode()) if name else core.cae_chosen_kernels()
        size = ctypes.c_size_t(len(data))
        sure(core.cae_model_open_for(ctypes.c_void_p(chosen), data, size, ctypes.byref(self._model)))
        self.shape = Shape()
        core.cae_model_shape(self._model, ctypes.byref(self.shape))
        self._threads = Pool(threads) if threads > 1 else None
        self._pool = self._threads.pointer if self._threads else None

    def __del__(self) -> None:
        library().cae_model_close(self._model)

    def _y_hat(self, shape: tuple[int, int]) -> NDArray[np.int32]:
        return np.empty((*shape, self.shape.n), np.int32)

    def decode(self, data: bytes, shape: tuple[int, int], quality: int, gray: bool = False) -> NDArray[np.int32]:
        y_hat = self._y_hat(shape)
        size = ctypes.c_size_t(len(data))
        args = (self._model, self._pool, quality, int(gray), *shape, data, size, _pointer(y_hat))
        sure(library().cae_decode_latents(*args))
        return y_hat

    def measure(
        self, data: bytes, shape: tuple[int, int], quality: int, gray: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        y_hat, of_y = self._y_hat(shape), np.empty(shape, np.float32)
        of_z = np.empty((-(-shape[0] // 4), -(-shape[1] // 4)), np.float32)
        size = ctypes.c_size_t(len(data))
        args = (self._model, self._pool, quality, int(gray), *shape, data, size)
        sure(library().cae_measure_latents(*args, _pointer(y_hat), _pointer(of_y), _pointer(of_z)))
        return of_y, of_z

    def _given(self, arrays: tuple[NDArray[np.float32] | None, ...]) -> Unrounded:
        return Unrounded(*(_pointer(array) for array in arrays))

    def encode(
        self,
        y: NDArray[np.float32],
        z: NDArray[np.float32] | None,
        quality: int,
        weight: NDArray[np.float32] | None = None,
        strength: NDArray[np.float32] | None = None,
        gray: bool = False,
        capacity: int | None = None,
    ) -> tuple[bytes, NDArray[np.int32]]:
        given, shape = self._given((y, z, weight, strength)), y.shape[:2]
        y_hat = self._y_hat(shape)
        room = library().cae_stream_bound(self._model, *shape) if capacity is None else capacity
        stream, size = np.empty(room, np.uint8), ctypes.c_size_t(room)
        args = (self._model, self._pool, quality, int(gray), *shape, ctypes.byref(given), _pointer(stream))
        sure(library().cae_encode_latents(*args, ctypes.byref(size), _pointer(y_hat)))
        return stream[: size.value].tobytes(), y_hat

    def cost(
        self,
        y: NDArray[np.float32],
        z: NDArray[np.float32] | None,
        quality: int,
        weight: NDArray[np.float32] | None = None,
        strength: NDArray[np.float32] | None = None,
        gray: bool = False,
    ) -> tuple[float, NDArray[np.int32]]:
        given, shape = self._given((y, z, weight, strength)), y.shape[:2]
        y_hat, bits = self._y_hat(shape), ctypes.c_double()
        args = (self._model, self._pool, quality, int(gray), *shape, ctypes.byref(given), ctypes.byref(bits))
        sure(library().cae_cost_latents(*args, _pointer(y_hat)))
        return bits.value, y_hat

    def synthesise(self, y_hat: NDArray[np.int32], quality: int) -> NDArray[np.uint8]:
        rows, columns, _ = y_hat.shape
        samples = np.empty((rows * self.shape.cell, columns * self.shape.cell, 3), np.uint8)
        args = (self._model, self._pool, quality, rows, columns, _pointer(y_hat), _pointer(samples))
        sure(library().cae_synthesise(*args))
        return samples

    def analyse(
        self, samples: NDArray[np.uint8], inner: tuple[slice, slice]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows, columns = (side // self.shape.cell for side in samples.shape[:2])
        top, left = (part.start for part in inner)
        h, w = (part.stop - part.start for part in inner)
        y = np.empty((h, w, self.shape.n), np.float32)
        z = np.empty((-(-h // 4), -(-w // 4), self.shape.z), np.float32)
        args = (self._model, self._pool, rows, columns, _pointer(samples), top, left, h, w, _pointer(y), _pointer(z))
        sure(library().cae_analyse(*args))
        return y, z
