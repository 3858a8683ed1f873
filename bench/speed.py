"""Warm speed of caecodec models: megapixels per second of encode and decode, start-up left out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import caecodec


@dataclass(frozen=True, slots=True)
class Speed:
    """Megapixels per second over all pictures: one figure for each round."""

    model: str
    threads: int
    encode: tuple[float, ...]
    decode: tuple[float, ...]

    def __str__(self) -> str:
        parts = []
        for name, values in (("encode", self.encode), ("decode", self.decode)):
            parts.append(f"{name} {statistics.median(values):.2f} MP/s ({min(values):.2f} to {max(values):.2f})")
        return f"{self.model}, {self.threads} threads: " + ", ".join(parts)


def measure(pictures: Sequence[Path], model: str | None, quality: int, threads: int, rounds: int) -> Speed:
    """Encode and decode every picture `rounds` times after one warm-up; pixels in memory at both ends."""
    torch.set_num_threads(threads)
    arrays: list[NDArray[np.uint8]] = [np.asarray(Image.open(path).convert("RGB")) for path in pictures]
    megapixels = sum(a.shape[0] * a.shape[1] for a in arrays) / 1e6
    encoded = [caecodec.encode(array, quality, model=model) for array in arrays]
    for data in encoded[:2]:
        caecodec.decode(data)
    encode, decode = [], []
    for _ in range(rounds):
        encode.append(megapixels / _seconds(lambda: [caecodec.encode(a, quality, model=model) for a in arrays]))
        decode.append(megapixels / _seconds(lambda: [caecodec.decode(data) for data in encoded]))
    return Speed(caecodec.info(encoded[0]).model or str(model), threads, tuple(encode), tuple(decode))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
