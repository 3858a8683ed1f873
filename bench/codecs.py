"""Codecs behind one protocol. A new one is a class or a `PillowCodec`, and a line in `CODECS`.

Whatever a codec's file needs counts: `encode` gives the bytes of the whole file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, features

import caecodec
from caecodec.errors import UsageError

Pixels = NDArray[np.uint8]

_JPEG_GRID = (5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 95)
_WEBP_GRID = (1, 10, 25, 40, 55, 70, 80, 88, 94, 99)
_AVIF_GRID = (10, 20, 30, 40, 50, 60, 70, 80, 88, 95)
_AVIF_SLOW_GRID = (10, 25, 40, 55, 68, 80, 90)  # several seconds a file
_DECIBELS = (24, 26, 28, 30, 32, 34, 36, 38, 40, 42)
_CAECODEC_GRID = (1, 8, 15, 22, 30, 38, 46, 54, 62, 70, 78, 86, 93, 100)


class BenchCodec(Protocol):
    """A codec with its settings. Instances are pickled into worker processes."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Of the library and of whatever else decides the bytes; rows of another version are measured anew."""
        ...

    @property
    def qualities(self) -> tuple[int, ...]:
        """The grid measured by default, from the smallest file to the largest."""
        ...

    def encode(self, array: Pixels, quality: int) -> bytes:
        """(H, W, 3) RGB -> the whole file."""
        ...

    def decode(self, data: bytes) -> Pixels:
        """The whole file -> (H, W, 3) RGB."""
        ...


@dataclass(frozen=True, slots=True)
class CaecodecCodec:
    """By the public API of caecodec; `model` None is the default model."""

    name: str
    version: str
    qualities: tuple[int, ...] = _CAECODEC_GRID
    model: str | None = None

    def encode(self, array: Pixels, quality: int) -> bytes:
        return caecodec.encode(array, quality, model=self.model)

    def decode(self, data: bytes) -> Pixels:
        return np.asarray(caecodec.decode(data).convert("RGB"))


@dataclass(frozen=True, slots=True)
class PillowCodec:
    """A format that Pillow writes, with fixed options; `quality_option` maps a quality to the options it sets."""

    name: str
    version: str
    qualities: tuple[int, ...]
    format: str
    options: Mapping[str, Any]
    quality_option: Callable[[int], Mapping[str, Any]]

    def encode(self, array: Pixels, quality: int) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(array).save(stream, self.format, **self.options, **self.quality_option(quality))
        return stream.getvalue()

    def decode(self, data: bytes) -> Pixels:
        with Image.open(io.BytesIO(data), formats=[self.format]) as image:
            return np.asarray(image.convert("RGB"))


def _quality(quality: int) -> Mapping[str, Any]:
    return {"quality": quality}


def _decibels(quality: int) -> Mapping[str, Any]:
    return {"quality_layers": [quality]}


Maker = Callable[[str], BenchCodec]  # called with the codec's name; raises what keeps it from working


def _caecodec(name: str) -> BenchCodec:
    model = caecodec.info(caecodec.encode(np.zeros((16, 16, 3), np.uint8)))
    return CaecodecCodec(name, f"{caecodec.__version__}, model {model.model} {model.model_id}")


def _pillow(
    feature: str,
    file_format: str,
    qualities: tuple[int, ...],
    options: Mapping[str, Any],
    quality_option: Callable[[int], Mapping[str, Any]] = _quality,
) -> Maker:
    def make(name: str) -> BenchCodec:
        library = "libjpeg_turbo" if feature == "jpg" and features.check("libjpeg_turbo") else feature
        version = f"{library} {features.version(library)}, Pillow {PIL.__version__}"
        return PillowCodec(name, version, qualities, file_format, options, quality_option)

    return make


_PROGRESSIVE = {"optimize": True, "progressive": True}
_PROGRESSIVE_444 = _PROGRESSIVE | {"subsampling": "4:4:4"}
# One thread: with more, libavif splits a picture into tiles and the file depends on the number of cores.
_AVIF = {"max_threads": 1}
_AVIF_444 = _AVIF | {"subsampling": "4:4:4", "speed": 3, "advanced": {"tune": "psnr"}}
# Pillow's default is without the colour transform, which more than doubles the files of photographs.
_JPEG2000 = {"irreversible": True, "mct": 1, "quality_mode": "dB"}

CODECS: Mapping[str, Maker] = {
    "caecodec": _caecodec,
    "jpeg": _pillow("jpg", "JPEG", _JPEG_GRID, {}),
    "jpeg-progressive": _pillow("jpg", "JPEG", _JPEG_GRID, _PROGRESSIVE),
    "jpeg-progressive-444": _pillow("jpg", "JPEG", _JPEG_GRID, _PROGRESSIVE_444),
    "webp": _pillow("webp", "WEBP", _WEBP_GRID, {"method": 4}),
    "webp-6": _pillow("webp", "WEBP", _WEBP_GRID, {"method": 6}),
    "avif": _pillow("avif", "AVIF", _AVIF_GRID, _AVIF),
    "avif-444": _pillow("avif", "AVIF", _AVIF_SLOW_GRID, _AVIF_444),
    "jpeg2000": _pillow("jpg_2000", "JPEG2000", _DECIBELS, _JPEG2000, _decibels),
}


def open_codecs(names: Sequence[str]) -> tuple[list[BenchCodec], dict[str, str]]:
    """Names (or 'all') -> the codecs that work here, and why each of the others does not.

    Raises UsageError for a name that is not in `CODECS`.
    """
    wanted = list(CODECS) if "all" in names else list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in CODECS]
    if unknown:
        raise UsageError(f"no codec {', '.join(unknown)}; choose from {', '.join(CODECS)} or all")
    codecs, missing = [], {}
    for name in wanted:
        try:
            codecs.append(_tried(CODECS[name](name)))
        except Exception as exc:  # whatever keeps a codec from working is the reason that is shown
            missing[name] = f"{type(exc).__name__}: {exc}"
    return codecs, missing


def open_codec(name: str) -> BenchCodec:
    """One codec by name. Raises UsageError, with the reason where it does not work here."""
    codecs, missing = open_codecs([name])
    if missing:
        raise UsageError(f"{name} does not work here: {missing[name]}")
    return codecs[0]


def _tried(codec: BenchCodec) -> BenchCodec:
    """The codec, after it has coded a small picture."""
    flat = np.full((32, 32, 3), 128, np.uint8)
    if codec.decode(codec.encode(flat, codec.qualities[-1])).shape != flat.shape:
        raise ValueError("a picture comes back in another shape")
    return codec
