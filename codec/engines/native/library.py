"""The shared library beside this file (cae.h and cae_search.h of codec/core), by ctypes: functions, errors, threads.

It is opened when it is first asked for. A plain install where nothing could be compiled has none: `why_not` says so.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import (
    POINTER,
    Structure,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_int32,
    c_size_t,
    c_uint8,
    c_uint16,
    c_void_p,
)
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from caecodec.errors import CaecodecError, CorruptFileError, LimitError, ModelError, UsageError

PATH = Path(__file__).with_name("_core" + {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so"))
THREADS_VARIABLE = "CAECODEC_THREADS"
PHOTO, TINY = 1, 2  # families
_OK, _MEMORY, _MODEL, _STREAM, _CHECK, _ARGUMENT = range(6)


class Shape(Structure):
    """`cae_shape`: what a model is."""

    _fields_ = [(name, c_int) for name in ("family", "cell", "n", "z", "halo_in", "halo_out")]
    family: int
    cell: int
    n: int
    z: int
    halo_in: int
    halo_out: int


class Unrounded(Structure):
    """`cae_unrounded`: what an encoder codes. Its arrays must outlive it."""

    _fields_ = [(name, POINTER(c_float)) for name in ("y", "z", "weight", "strength")]


class Sought(Structure):
    """`cae_sought`: a tile whose symbols are to be chosen again. Its arrays must outlive it."""

    _fields_ = [
        *((name, c_int) for name in ("quality", "gray", "rows", "columns")),
        ("samples", POINTER(c_uint8)),
        *((name, POINTER(c_float)) for name in ("z", "weight")),
        *((name, c_double) for name in ("mse", "eye")),
    ]


_HANDLE, _SIZE = c_void_p, POINTER(c_size_t)
_BYTES, _WORDS, _INTS, _FLOATS = POINTER(c_uint8), POINTER(c_uint16), POINTER(c_int32), POINTER(c_float)
_TILE = [_HANDLE, _HANDLE, c_int, c_int, c_int, c_int]  # model, pool, quality, gray, rows, columns
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {  # result, arguments
    "cae_error_text": (c_char_p, [c_int]),
    "cae_kernels": (c_char_p, []),
    "cae_threads_new": (c_int, [c_int, POINTER(_HANDLE)]),
    "cae_threads_free": (None, [_HANDLE]),
    "cae_model_open": (c_int, [c_void_p, c_size_t, POINTER(_HANDLE)]),
    "cae_model_close": (None, [_HANDLE]),
    "cae_model_shape": (None, [_HANDLE, POINTER(Shape)]),
    "cae_decode_latents": (c_int, [*_TILE, _BYTES, c_size_t, _INTS]),
    "cae_measure_latents": (c_int, [*_TILE, _BYTES, c_size_t, _INTS, _FLOATS, _FLOATS]),
    "cae_synthesise": (c_int, [_HANDLE, _HANDLE, c_int, c_int, c_int, _INTS, _BYTES]),
    "cae_synthesise_deep": (c_int, [_HANDLE, _HANDLE, c_int, c_int, c_int, _INTS, _WORDS]),
    "cae_synthesise_small": (c_int, [_HANDLE, c_int, c_int, c_int, c_int, _INTS, _WORDS]),
    "cae_analyse": (c_int, [_HANDLE, _HANDLE, c_int, c_int, _BYTES, c_int, c_int, c_int, c_int, _FLOATS, _FLOATS]),
    "cae_stream_bound": (c_size_t, [_HANDLE, c_int, c_int]),
    "cae_encode_latents": (c_int, [*_TILE, POINTER(Unrounded), _BYTES, _SIZE, _INTS]),
    "cae_cost_latents": (c_int, [*_TILE, POINTER(Unrounded), POINTER(c_double), _INTS]),
    "cae_gradients_open": (c_int, [_HANDLE, c_void_p, c_size_t, POINTER(_HANDLE)]),
    "cae_gradients_close": (None, [_HANDLE]),
    "cae_search_new": (c_int, [_HANDLE, _HANDLE, POINTER(Sought), POINTER(_HANDLE)]),
    "cae_search_free": (None, [_HANDLE]),
    "cae_search_round": (c_int, [_HANDLE, _HANDLE, _FLOATS, _FLOATS, _FLOATS, POINTER(c_double), _FLOATS]),
}


class Core:
    """An opened library. Raises OSError, AttributeError where it is none of ours.

    `functions` are those of its headers by their names; `call` runs one that returns a status.
    """

    def __init__(self, path: Path) -> None:
        self.functions = ctypes.CDLL(str(path))
        for name, (result, arguments) in FUNCTIONS.items():
            function = getattr(self.functions, name)
            function.restype, function.argtypes = result, arguments
        self._pool: _Pool | None = None
        self._taken = threading.Lock()
        _cores.add(self)

    @property
    def kernels(self) -> str:
        """Which kernels this machine runs."""
        return str(self.functions.cae_kernels().decode())

    def call(self, name: str, *arguments: object) -> None:
        """Raises what the status of a function stands for: LimitError, ModelError, CorruptFileError, UsageError."""
        status = getattr(self.functions, name)(*arguments)
        if status != _OK:
            raise self._error(status)

    def _error(self, status: int) -> CaecodecError:
        if status == _CHECK:
            return CorruptFileError(
                "the decoded latents do not match their checksum: this decoder disagrees with the encoder; "
                "please report the file and `caecodec --version`"
            )
        kinds = {_MEMORY: LimitError, _MODEL: ModelError, _STREAM: CorruptFileError, _ARGUMENT: UsageError}
        return kinds.get(status, CaecodecError)(self.functions.cae_error_text(status).decode())

    @contextmanager
    def threads(self) -> Iterator[c_void_p | None]:
        """Within, the pool is the caller's alone. None, which is no thread but its own, while another has it.

        So callers on several threads share the processors in place of fighting for them.
        """
        if not self._taken.acquire(blocking=False):
            yield None
            return
        taken = self._taken  # after a fork, the child has another
        try:
            count = thread_count()
            if self._pool is None or self._pool.count != count:
                self._pool = None  # of another count: freed
                self._pool = _Pool(self, count) if count > 1 else None
            yield self._pool.handle if self._pool else None
        finally:
            taken.release()

    def forget_threads(self) -> None:
        """In a forked child: the threads of the pool are its parent's, so not even freeing it can end."""
        if self._pool is not None:
            self._pool.abandon()
        self._pool, self._taken = None, threading.Lock()


class _Pool:
    """Threads of one library, freed with this."""

    def __init__(self, core: Core, count: int) -> None:
        self.count, self.handle = count, c_void_p()
        core.call("cae_threads_new", count, ctypes.byref(self.handle))
        self._end = weakref.finalize(self, core.functions.cae_threads_free, self.handle)
        self._end.atexit = False  # a thread may still compute; the system takes all

    def abandon(self) -> None:
        self._end.detach()


class CoreModel:
    """A model in the library's form, closed with this. `handle`: for its functions. Raises ModelError, LimitError."""

    def __init__(self, core: Core, data: bytes | mmap.mmap) -> None:
        """data: of the whole file; nothing of it is kept."""
        self.core, self.handle, self.shape = core, c_void_p(), Shape()
        whole = np.frombuffer(data, np.uint8)
        core.call("cae_model_open", whole.ctypes.data, len(whole), ctypes.byref(self.handle))
        self._end = weakref.finalize(self, core.functions.cae_model_close, self.handle)
        self._end.atexit = False
        core.functions.cae_model_shape(self.handle, ctypes.byref(self.shape))


def pointer(array: NDArray[Any] | None, kind: DTypeLike) -> Any:
    """What the library takes of an array, which must be of this type, in raster order and outlive the call."""
    if array is None:
        return None
    if array.dtype != np.dtype(kind) or not array.flags.c_contiguous:
        raise TypeError(
            f"the core takes {np.dtype(kind)} in raster order, not {array.dtype} of strides {array.strides}"
        )
    made: Any = {"uint8": c_uint8, "uint16": c_uint16, "int32": c_int32, "float32": c_float}[np.dtype(kind).name]
    return ctypes.cast(array.ctypes.data, POINTER(made))


def thread_count() -> int:
    """Threads that the library may take: $CAECODEC_THREADS, or one for each processor of this process.

    Raises UsageError.
    """
    asked = os.environ.get(THREADS_VARIABLE, "")
    if asked:
        if not asked.isdecimal() or not 1 <= int(asked) <= 1024:
            raise UsageError(f"{THREADS_VARIABLE} is {asked!r}: give a number from 1 to 1024")
        return int(asked)
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return int(os.process_cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_cores: weakref.WeakSet[Core] = weakref.WeakSet()
_opening = threading.Lock()
_opened: tuple[Core | None, str] | None = None  # the library, or why there is none


def _open(path: Path) -> tuple[Core | None, str]:
    if not path.is_file():
        return None, "this install has no native core: no C compiler was there when it was built"
    try:
        return Core(path), ""
    except OSError as exc:
        return None, f"the native core cannot be opened ({exc})"
    except AttributeError as exc:
        return None, f"the native core is of another version ({exc})"


def _found() -> tuple[Core | None, str]:
    global _opened
    with _opening:
        if _opened is None:
            _opened = _open(PATH)
        return _opened


def available() -> bool:
    """Whether the library is there and can be opened."""
    return _found()[0] is not None


def why_not() -> str:
    """Why it is not available; nothing where it is."""
    return _found()[1]


def core() -> Core:
    """The library. Raises UsageError where it is not available."""
    found, reason = _found()
    if found is None:
        raise UsageError(reason)
    return found


def _in_child() -> None:
    global _opening
    _opening = threading.Lock()
    for one in list(_cores):
        one.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
