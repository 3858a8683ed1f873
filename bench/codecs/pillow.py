"""Codecs of the formats that Pillow writes: JPEG, WebP, AVIF, JPEG 2000."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import PIL
from PIL import Image, features

from caecodec.bench.codecs.protocol import BenchCodec, Maker
from caecodec.bench.pictures import Pixels

_EXTENSIONS = {"JPEG": "jpg", "JPEG2000": "jp2"}
_JPEG_GRID = (5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 95, 97)
_WEBP_GRID = (1, 10, 25, 40, 55, 70, 80, 88, 94, 99)
_DECIBELS = (24, 26, 28, 30, 32, 34, 36, 38, 40, 42)


@dataclass(frozen=True, slots=True)
class PillowCodec:
    """A format that Pillow writes, with fixed options; `quality_option` maps a quality to the options it sets.

    thread_option: the one that takes the number of threads to encode with, where there is one. AVIF is decoded with as
    many as there are cores, whatever it says: that does not change the pixels.
    """

    name: str
    version: str
    qualities: tuple[int, ...]
    format: str
    options: Mapping[str, Any]
    quality_option: Callable[[int], Mapping[str, Any]]
    thread_option: str | None = None
    threads: int = 1

    @property
    def extension(self) -> str:
        return _EXTENSIONS.get(self.format, self.format.lower())

    def encode(self, array: Pixels, quality: int) -> bytes:
        stream = io.BytesIO()
        threads = {self.thread_option: self.threads} if self.thread_option else {}
        Image.fromarray(array).save(stream, self.format, **self.options, **threads, **self.quality_option(quality))
        return stream.getvalue()

    def decode(self, data: bytes) -> Pixels:
        with Image.open(io.BytesIO(data), formats=[self.format]) as image:
            return np.asarray(image.convert("RGB"))


def _quality(quality: int) -> Mapping[str, Any]:
    return {"quality": quality}


def _decibels(quality: int) -> Mapping[str, Any]:
    return {"quality_layers": [quality]}


def maker(
    feature: str,
    file_format: str,
    qualities: tuple[int, ...],
    options: Mapping[str, Any],
    quality_option: Callable[[int], Mapping[str, Any]] = _quality,
    thread_option: str | None = None,
) -> Maker:
    """What makes the codec of a format; `feature` is what Pillow calls the library behind it."""

    def make(name: str) -> BenchCodec:
        library = "libjpeg_turbo" if feature == "jpg" and features.check("libjpeg_turbo") else feature
        version = f"{library} {features.version(library)}, Pillow {PIL.__version__}"
        return PillowCodec(name, version, qualities, file_format, options, quality_option, thread_option)

    return make


jpeg = partial(maker, "jpg", "JPEG", _JPEG_GRID)
webp = partial(maker, "webp", "WEBP", _WEBP_GRID)
# With more threads than one, libavif splits a picture into tiles and the file depends on their number.
avif = partial(maker, "avif", "AVIF", thread_option="max_threads")
jpeg2000 = partial(maker, "jpg_2000", "JPEG2000", _DECIBELS, quality_option=_decibels)
