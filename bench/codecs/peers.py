"""Codecs of other packages than Pillow: mozjpeg, jpegli, JPEG XL, HEIC. Each package is imported when its codec is.

They are given what `pillow.PillowCodec` is given, and their JPEG files are decoded as it decodes them.
"""

from __future__ import annotations

import importlib.metadata
import io
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import PIL
from PIL import Image, features

from caecodec.bench.pictures import Pixels
from caecodec.errors import UsageError

_MOZJPEG_GRID = (5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 95, 97)
_JPEGLI_GRID = (1, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 95, 97)
_JXL_GRIDS = {7: (10, 20, 30, 40, 50, 60, 70, 80, 88, 93, 96, 98), 9: (15, 25, 45, 65, 82, 92, 97)}
_HEIC_GRID = (15, 20, 30, 40, 50, 60, 70)


@dataclass(frozen=True, slots=True)
class MozjpegCodec:
    """mozjpeg through libvips: progressive, 4:2:0, trellis quantisation, deringing, scans chosen by trial.

    quant_table: 3 is ImageMagick's (mozjpeg's own default), 1 is flat.
    """

    name: str
    version: str
    quant_table: int
    qualities: tuple[int, ...] = _MOZJPEG_GRID
    extension: str = "jpg"

    def encode(self, array: Pixels, quality: int) -> bytes:
        height, width, bands = array.shape
        pixels = np.ascontiguousarray(array)
        image = _pyvips().Image.new_from_memory(pixels.data, width, height, bands, "uchar")
        data: bytes = image.jpegsave_buffer(
            Q=quality,
            quant_table=self.quant_table,
            subsample_mode="on",  # "auto" is 4:4:4 from quality 90 on
            trellis_quant=True,
            overshoot_deringing=True,
            optimize_scans=True,
            optimize_coding=True,
            interlace=True,
            keep="none",
        )
        return data

    def decode(self, data: bytes) -> Pixels:
        return _decode_jpeg(data)


@dataclass(frozen=True, slots=True)
class JpegliCodec:
    """jpegli with the settings of its binding, which has none but quality: progressive, 4:2:0."""

    name: str
    version: str
    qualities: tuple[int, ...] = _JPEGLI_GRID
    extension: str = "jpg"

    def encode(self, array: Pixels, quality: int) -> bytes:
        height, width, _ = array.shape
        data: bytes = _pyjpegli().encode(array.tobytes(), width, height, quality)
        return data

    def decode(self, data: bytes) -> Pixels:
        return _decode_jpeg(data)


@dataclass(frozen=True, slots=True)
class JxlCodec:
    """JPEG XL, lossy, a bare codestream. The bytes do not depend on the threads."""

    name: str
    version: str
    effort: int
    qualities: tuple[int, ...]
    threads: int = 1
    extension: str = "jxl"

    @property
    def _workers(self) -> int:
        return 0 if self.threads == 1 else self.threads  # 0: in the calling thread

    def encode(self, array: Pixels, quality: int) -> bytes:
        height, width, _ = array.shape
        encoder = _pillow_jxl().Encoder(
            mode="RGB",
            lossless=False,
            quality=quality,
            decoding_speed=0,
            effort=self.effort,
            use_container=False,
            use_original_profile=False,
            num_threads=self._workers,
        )
        data: bytes = encoder(array.tobytes(), width, height, jpeg_encode=False)
        return data

    def decode(self, data: bytes) -> Pixels:
        _, head, samples, _, _ = _pillow_jxl().Decoder(num_threads=self._workers)(data)
        return np.frombuffer(samples, np.uint8).reshape(head.height, head.width, 3)


@dataclass(frozen=True, slots=True)
class HeicCodec:
    """HEVC by x265 in a HEIF file, 4:4:4, 8 bits. It decodes with up to four threads."""

    name: str
    version: str
    qualities: tuple[int, ...] = _HEIC_GRID
    extension: str = "heic"

    def encode(self, array: Pixels, quality: int) -> bytes:
        height, width, _ = array.shape
        stream = io.BytesIO()
        # with a pool of threads x265 codes rows in parallel, and the file depends on whether there is one
        one_thread = {"x265:pools": "none"}
        picture = _pillow_heif().from_bytes("RGB", (width, height), array.tobytes())
        picture.save(stream, quality=quality, chroma=444, enc_params=one_thread)
        return stream.getvalue()

    def decode(self, data: bytes) -> Pixels:
        return np.asarray(_pillow_heif().open_heif(io.BytesIO(data)).to_pillow().convert("RGB"))


def open_mozjpeg(name: str, quant_table: int) -> MozjpegCodec:
    """Raises UsageError where pyvips is missing, or is built with another libjpeg."""
    vips = _pyvips()
    codec = MozjpegCodec(name, f"{_version('pyvips-binary')}, decoded by {_jpeg_decoder()}", quant_table)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    image = vips.Image.new_from_memory(noise.data, 64, 64, 3, "uchar")
    if image.jpegsave_buffer(trellis_quant=True, keep="none") == image.jpegsave_buffer(keep="none"):
        raise UsageError("this libvips is built without mozjpeg: pip install pyvips-binary")
    return codec


def open_jpegli(name: str) -> JpegliCodec:
    """Raises UsageError where the package is missing."""
    _pyjpegli()
    return JpegliCodec(name, f"{_version('pyjpegli')}, decoded by {_jpeg_decoder()}")


def open_jxl(name: str, effort: int) -> JxlCodec:
    """Raises UsageError where the package is missing."""
    _pillow_jxl()
    return JxlCodec(name, f"{_version('pillow-jxl-plugin')}, effort {effort}", effort, _JXL_GRIDS[effort])


def open_heic(name: str) -> HeicCodec:
    """Raises UsageError where the package is missing."""
    versions = _pillow_heif().libheif_info()
    return HeicCodec(name, f"libheif {versions['libheif']}, {versions['HEIF']}, {_version('pillow-heif')}")


def _decode_jpeg(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        return np.asarray(image.convert("RGB"))


def _jpeg_decoder() -> str:
    return f"libjpeg_turbo {features.version('libjpeg_turbo')}, Pillow {PIL.__version__}"


def _version(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


def _pyvips() -> ModuleType:
    try:
        import pyvips
    except (ImportError, OSError) as exc:  # OSError: the library below it is missing
        raise _missing("mozjpeg", exc) from exc
    return _module(pyvips)


def _pyjpegli() -> ModuleType:
    try:
        import pyjpegli
    except ImportError as exc:
        raise _missing("jpegli", exc) from exc
    return _module(pyjpegli)


def _pillow_jxl() -> ModuleType:
    try:
        import pillow_jxl
    except ImportError as exc:
        raise _missing("JPEG XL", exc) from exc
    return _module(pillow_jxl)


def _pillow_heif() -> ModuleType:
    try:
        import pillow_heif
    except ImportError as exc:
        raise _missing("HEIC", exc) from exc
    return _module(pillow_heif)


def _module(imported: Any) -> ModuleType:
    module: ModuleType = imported
    return module


def _missing(what: str, exc: Exception) -> UsageError:
    return UsageError(f"{what} needs more packages ({exc}): pip install caecodec[bench]")
