"""Pixels of a Pillow image as an array that shares its memory: a large picture is held once.

Pillow keeps colour in four bytes a pixel, in many pieces of memory, and `np.asarray` copies all of it. In one piece it
can be lent, by the Arrow C data interface (https://arrow.apache.org/docs/format/CDataInterface.html).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_core: Any = Image.core  # type: ignore[attr-defined]
_CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}
_BYTES = {"L": 1, "RGB": 4, "RGBA": 4}  # a pixel


@contextmanager
def in_one_piece() -> Iterator[None]:
    """Within, new images have their memory in one piece. So have those that other threads make meanwhile: no harm."""
    before = _core.get_use_block_allocator()
    _core.set_use_block_allocator(1)
    try:
        yield
    finally:
        _core.set_use_block_allocator(before)


def samples(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W) or (H, W, channels) uint8, not to be written to: the image's own memory where it is in one piece.

    It lives as long as the array. What is no image of 8 bits is copied.
    """
    if image.mode in _CHANNELS:
        try:
            _, exported = image.__arrow_c_array__()
        except ValueError:  # in many pieces
            pass
        else:
            return np.asarray(_Lent(exported, image.mode, image.size))
    return np.asarray(image)


class _ArrowArray(ctypes.Structure):
    """As the interface defines it."""


_ArrowArray._fields_ = [
    *((name, ctypes.c_int64) for name in ("length", "null_count", "offset", "n_buffers", "n_children")),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_ArrowArray))),
    *((name, ctypes.c_void_p) for name in ("dictionary", "release", "private_data")),
]


class _Lent:
    """What an image has lent, given back with this."""

    def __init__(self, exported: object, mode: str, size: tuple[int, int]) -> None:
        """exported: the capsule of an ArrowArray; of colour its only child has the bytes."""
        self._exported = exported
        of_capsule = ctypes.pythonapi.PyCapsule_GetPointer
        of_capsule.restype, of_capsule.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        array = _ArrowArray.from_address(of_capsule(exported, b"arrow_array"))
        if array.n_children:
            array = array.children[0].contents
        width, height = size
        each = _BYTES[mode]
        self.__array_interface__: dict[str, Any] = {
            "version": 3,
            "typestr": "|u1",
            "shape": (height, width) if mode == "L" else (height, width, _CHANNELS[mode]),
            "strides": (width, 1) if mode == "L" else (width * each, each, 1),
            "data": (array.buffers[1], True),
        }
