"""The core's CRC-32 against zlib's."""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from core_library import CORE, library
from core_parts import Size, build, pointer
from numpy.typing import NDArray

NOISE = np.random.default_rng(1).integers(0, 256, 5000).astype(np.uint8)
CRC = Callable[[NDArray[np.uint8]], int]


@pytest.fixture(scope="module", params=["this machine's", "portable"])
def crc32(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CRC:
    found = library()
    if request.param == "portable":
        out = tmp_path_factory.mktemp("portable") / "checksum.so"
        found = ctypes.CDLL(str(build([CORE / "checksum.c"], out, "-shared", "-fPIC", "-DCAE_PORTABLE")))
        found.cae_crc32.restype = ctypes.c_uint32
    return lambda data: int(found.cae_crc32(pointer(data), Size(len(data))))


def test_every_length_up_to_a_few_hundred_at_every_alignment(crc32: CRC) -> None:
    for length in range(300):
        for start in (0, 1, 3, 8, 15) if length % 8 else range(17):
            assert crc32(NOISE[start : start + length]) == zlib.crc32(NOISE[start : start + length])


@pytest.mark.parametrize("length", [1000, 4095, 4096, 4097, 5000])
def test_long_ones(crc32: CRC, length: int) -> None:
    assert crc32(NOISE[:length]) == zlib.crc32(NOISE[:length])


def test_the_check_value_of_the_algorithm(crc32: CRC) -> None:
    assert crc32(np.frombuffer(b"123456789", np.uint8)) == 0xCBF43926


def test_each_single_bit(crc32: CRC) -> None:
    for bit in range(8 * 100):
        data = np.zeros(100, np.uint8)
        data[bit // 8] = 1 << bit % 8
        assert crc32(data) == zlib.crc32(data)
