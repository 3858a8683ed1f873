"""The core's CRC-32 against zlib's."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from core_parts import Size, library, pointer

NOISE = np.random.default_rng(1).integers(0, 256, 5000).astype(np.uint8)


def crc32(data: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> int:
    return int(library().cae_crc32(pointer(data), Size(len(data))))


def test_every_length_up_to_a_few_hundred_at_every_alignment() -> None:
    for length in range(300):
        for start in (0, 1, 3, 8, 15) if length % 8 else range(17):
            assert crc32(NOISE[start : start + length]) == zlib.crc32(NOISE[start : start + length])


@pytest.mark.parametrize("length", [1000, 4095, 4096, 4097, 5000])
def test_long_ones(length: int) -> None:
    assert crc32(NOISE[:length]) == zlib.crc32(NOISE[:length])


def test_the_check_value_of_the_algorithm() -> None:
    assert crc32(np.frombuffer(b"123456789", np.uint8)) == 0xCBF43926


def test_each_single_bit() -> None:
    for bit in range(8 * 100):
        data = np.zeros(100, np.uint8)
        data[bit // 8] = 1 << bit % 8
        assert crc32(data) == zlib.crc32(data)
