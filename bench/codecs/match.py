"""The quality of a codec that fits a size or a rate: how pictures are compared at equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from caecodec.bench.codecs.protocol import BenchCodec
from caecodec.bench.metrics import metrics
from caecodec.bench.pictures import Pixels


@dataclass(frozen=True, slots=True)
class Coded:
    """A picture after one codec at one quality."""

    quality: int
    data: bytes
    pixels: Pixels
    bpp: float
    psnr: float  # of the whole picture, dB


def coded(codec: BenchCodec, array: Pixels, quality: int) -> Coded:
    """Encode, decode and measure."""
    return _measured(codec, array, quality, codec.encode(array, quality))


def best_within(codec: BenchCodec, array: Pixels, size_bytes: int, qualities: Sequence[int] = range(1, 101)) -> Coded:
    """The highest of the rising `qualities` whose file is at most `size_bytes`, or the lowest where none is.

    A bisection: it takes the size to rise with quality.
    """
    files = {}
    low, high = 0, len(qualities)  # the first `low` fit, those from `high` on do not
    while low < high:
        middle = (low + high) // 2
        files[middle] = codec.encode(array, qualities[middle])
        if len(files[middle]) <= size_bytes:
            low = middle + 1
        else:
            high = middle
    place = max(low - 1, 0)
    data = files[place] if place in files else codec.encode(array, qualities[place])
    return _measured(codec, array, qualities[place], data)


def nearest(rate: Callable[[int], float], qualities: range, bpp: float) -> int:
    """Of rising `qualities` the one whose rate is nearest to `bpp`.

    A bisection: it takes rates to rise with quality.
    """
    rates: dict[int, float] = {}
    low, high = 0, len(qualities) - 1  # the last one is taken as enough, whether it is or not
    while low < high:
        middle = (low + high) // 2
        rates[middle] = rate(qualities[middle])
        if rates[middle] < bpp:
            low = middle + 1
        else:
            high = middle
    for place in (low - 1, low):
        if place >= 0 and place not in rates:
            rates[place] = rate(qualities[place])
    return qualities[min((place for place in (low, low - 1) if place >= 0), key=lambda place: abs(rates[place] - bpp))]


def _measured(codec: BenchCodec, array: Pixels, quality: int, data: bytes) -> Coded:
    height, width, _ = array.shape
    pixels = codec.decode(data)
    return Coded(quality, data, pixels, metrics.bpp(len(data), width, height), metrics.psnr(metrics.mse(array, pixels)))
