"""Codecs behind one protocol. A new one is a class or a `PillowCodec`, and a line in `CODECS`.

Whatever a codec's file needs counts: `encode` gives the bytes of the whole file. They are made in one thread, so that
they are the same on every machine; a codec that can take more has a field `threads` (`with_threads`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Protocol, cast

import numpy as np
import PIL
from PIL import Image, features

import caecodec
from caecodec.bench.codecs import peers, vvc
from caecodec.bench.pictures import Pixels
from caecodec.errors import UsageError
from caecodec.search.effort import Tune
from caecodec.zoo import find

_JPEG_GRID = (5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 95, 97)
_WEBP_GRID = (1, 10, 25, 40, 55, 70, 80, 88, 94, 99)
_AVIF_GRID = (5, 10, 20, 30, 40, 50, 60, 70, 80, 88, 95)
_AVIF_SLOW_GRID = (4, 16, 30, 45, 60, 75, 88)  # several seconds a file
_DECIBELS = (24, 26, 28, 30, 32, 34, 36, 38, 40, 42)
_EXTENSIONS = {"JPEG": "jpg", "JPEG2000": "jp2"}
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

    @property
    def extension(self) -> str:
        """Of its files, without the dot."""
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
    effort: int = 2
    tune: Tune = "eye"
    extension: str = "cae"

    def encode(self, array: Pixels, quality: int) -> bytes:
        return caecodec.encode(array, quality, model=self.model, effort=self.effort, tune=self.tune)

    def decode(self, data: bytes) -> Pixels:
        return np.asarray(caecodec.decode(data).convert("RGB"))


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


Maker = Callable[[str], BenchCodec]  # called with the codec's name; raises what keeps it from working
_OURS = re.compile(r"caecodec(?::(?P<model>[^@]+))?(?:@(?P<effort>[1-9]))?(?:@(?P<tune>psnr))?")


def _caecodec(name: str) -> BenchCodec:
    asked = _OURS.fullmatch(name)
    assert asked is not None
    found = find.find(asked["model"])
    effort = int(asked["effort"] or 2)
    tune: Tune = "psnr" if asked["tune"] else "eye"
    version = f"{caecodec.__version__}, model {found.name} {found.id.hex()}"
    return CaecodecCodec(name, version, model=asked["model"], effort=effort, tune=tune)


def _pillow(
    feature: str,
    file_format: str,
    qualities: tuple[int, ...],
    options: Mapping[str, Any],
    quality_option: Callable[[int], Mapping[str, Any]] = _quality,
    thread_option: str | None = None,
) -> Maker:
    def make(name: str) -> BenchCodec:
        library = "libjpeg_turbo" if feature == "jpg" and features.check("libjpeg_turbo") else feature
        version = f"{library} {features.version(library)}, Pillow {PIL.__version__}"
        return PillowCodec(name, version, qualities, file_format, options, quality_option, thread_option)

    return make


_jpeg = partial(_pillow, "jpg", "JPEG", _JPEG_GRID)
_webp = partial(_pillow, "webp", "WEBP", _WEBP_GRID)
# With more threads than one, libavif splits a picture into tiles and the file depends on their number.
_avif = partial(_pillow, "avif", "AVIF", thread_option="max_threads")
_PROGRESSIVE = {"optimize": True, "progressive": True}
_PROGRESSIVE_444 = _PROGRESSIVE | {"subsampling": "4:4:4"}
_AVIF_444 = {"subsampling": "4:4:4", "speed": 3, "advanced": {"tune": "psnr"}}
# Pillow's default is without the colour transform, which more than doubles the files of photographs.
_JPEG2000 = {"irreversible": True, "mct": 1, "quality_mode": "dB"}

CODECS: Mapping[str, Maker] = {
    "caecodec": _caecodec,
    "jpeg": _jpeg({}),
    "jpeg-progressive": _jpeg(_PROGRESSIVE),
    "jpeg-progressive-444": _jpeg(_PROGRESSIVE_444),
    "mozjpeg": partial(peers.open_mozjpeg, quant_table=3),
    "mozjpeg-q1": partial(peers.open_mozjpeg, quant_table=1),
    "jpegli": peers.open_jpegli,
    "webp": _webp({"method": 4}),
    "webp-6": _webp({"method": 6}),
    "jxl-7": partial(peers.open_jxl, effort=7),
    "jxl-9": partial(peers.open_jxl, effort=9),
    "avif": _avif(_AVIF_GRID, {}),
    "avif-444": _avif(_AVIF_SLOW_GRID, _AVIF_444),
    "heic-444": peers.open_heic,
    "vvc": vvc.open_vvc,
    "jpeg2000": _pillow("jpg_2000", "JPEG2000", _DECIBELS, _JPEG2000, _decibels),
}


def options_of_caecodec(name: str) -> tuple[str, ...] | None:
    """What `caecodec encode` takes for a name of caecodec with some model and effort; None for other codecs."""
    asked = _OURS.fullmatch(name)
    if asked is None:
        return None
    return tuple(part for key in ("model", "effort", "tune") if asked[key] for part in (f"--{key}", asked[key]))


def effort_of(name: str) -> tuple[int, Tune] | None:
    """Effort and tune of the default model: 'caecodec@5@psnr' -> 5, 'psnr'; None for other codecs and models."""
    asked = _OURS.fullmatch(name)
    if asked is None or asked["model"]:
        return None
    return int(asked["effort"] or 2), "psnr" if asked["tune"] else "eye"


def of_caecodec(name: str) -> bool:
    """Whether a name stands for caecodec with some model and effort."""
    return _OURS.fullmatch(name) is not None


def open_codecs(names: Sequence[str]) -> tuple[list[BenchCodec], dict[str, str]]:
    """Names -> the codecs that work here, and why each of the others does not.

    'all' stands for all of `CODECS`; 'caecodec:NAME' is caecodec with another model, 'caecodec@6' with another effort,
    'caecodec@psnr' and 'caecodec@6@psnr' with --tune psnr.
    Raises UsageError for a name that is neither.
    """
    every = [one for name in names for one in (CODECS if name == "all" else [name])]
    wanted = {name: _caecodec if of_caecodec(name) else CODECS.get(name) for name in every}
    unknown = [name for name, maker in wanted.items() if maker is None]
    if unknown:
        choices = f"{', '.join(CODECS)}, caecodec:MODEL, caecodec@EFFORT or all"
        raise UsageError(f"no codec {', '.join(unknown)}; choose from {choices}")
    codecs, missing = [], {}
    for name, maker in wanted.items():
        try:
            codecs.append(_tried(cast(Maker, maker)(name)))
        except Exception as exc:  # whatever keeps a codec from working is the reason that is shown
            missing[name] = f"{type(exc).__name__}: {exc}"
    return codecs, missing


def open_codec(name: str) -> BenchCodec:
    """One codec by name. Raises UsageError, with the reason where it does not work here."""
    codecs, missing = open_codecs([name])
    if missing:
        raise UsageError(f"{name} does not work here: {missing[name]}")
    return codecs[0]


def with_threads(codec: BenchCodec, threads: int) -> BenchCodec:
    """The codec, allowed so many threads of its own where it has any; the file may depend on them."""
    if any(field.name == "threads" for field in fields(cast(Any, codec))):
        return cast(BenchCodec, replace(cast(Any, codec), threads=threads))
    return codec


def _tried(codec: BenchCodec) -> BenchCodec:
    """The codec, after it has coded a small picture."""
    flat = np.full((32, 32, 3), 128, np.uint8)
    if codec.decode(codec.encode(flat, codec.qualities[-1])).shape != flat.shape:
        raise ValueError("a picture comes back in another shape")
    return codec
