"""One picture against other files of it: sizes as on disk, and distances of the pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import caecodec
from caecodec.bench.metrics import metrics
from caecodec.bench.table import NOTHING, Table
from caecodec.errors import UsageError
from caecodec.files import jobs, writing
from caecodec.format import container
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.pictures.pillow import from_image, open_picture

_JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_INSTALL = "pip install caecodec[bench]"


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A file and what is compared of it.

    pixels: (H, W, 3) uint8 RGB as stored: no rotation, no colour management. bits: of each 16x16 pixels of a .cae
    file, or None. notes: what of the file is not in `pixels`, for the user.
    """

    name: str
    size_bytes: int
    pixels: NDArray[np.uint8]
    icc: bytes
    bits: NDArray[np.floating[Any]] | None
    notes: tuple[str, ...]

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.pixels.shape[0])

    @property
    def bpp(self) -> float:
        """Bits per pixel of the whole file."""
        return metrics.bpp(self.size_bytes, self.width, self.height)

    @property
    def compression_rate(self) -> float:
        """Share saved against raw 24-bit RGB."""
        return metrics.compression_rate(self.size_bytes, self.width, self.height)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One file against the original. psnr (dB): None where no pixel differs. Others: None where not measured."""

    file: str
    width: int
    height: int
    bytes: int
    bpp: float
    compression_rate: float  # share saved against raw 24-bit RGB
    mse: float
    psnr: float | None
    ms_ssim: float | None
    ssim: float | None
    ssimulacra2: float | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def read_file(name: str, limits: Limits = DEFAULT_LIMITS, *, with_bits: bool = False) -> PictureFile:
    """A file of any format, read. Raises CaecodecError; UsageError where a plugin of Pillow is missing."""
    data = writing.read_bytes(name)
    bits, notes = None, []
    if data.startswith(container.MAGIC) or name.lower().endswith(jobs.SUFFIX):
        picture = from_image(caecodec.decode(data, limits=limits), limits)
        if with_bits:
            try:
                bits = caecodec.bit_allocation(data, limits=limits).cells
            except UsageError as exc:  # not every family of models has one
                notes.append(f"no map of its bits: {exc}")
    else:
        _register_plugin(data)
        picture = open_picture(data, limits)
    notes += picture.notes
    if picture.alpha is not None and picture.alpha.min() < 255:
        notes.append("transparency is left out")
    colour = np.repeat(picture.pixels[..., None], 3, axis=2) if picture.gray else picture.pixels
    return PictureFile(name, len(data), colour, picture.icc, bits, tuple(notes))


def compare_files(original: PictureFile, other: PictureFile, *, ssimulacra2: bool = False) -> Comparison:
    """The figures of `other`. Raises UsageError on pictures of two sizes."""
    if (other.width, other.height) != (original.width, original.height):
        raise UsageError(
            f"it is {other.width}x{other.height} and {original.name} {original.width}x{original.height} pixels "
            "(as stored: orientation tags are not followed); only pictures of one size can be compared"
        )
    notes = list(other.notes)
    if original.icc and other.icc != original.icc:
        notes.append("its colour profile is not the original's; pixels are compared as stored")

    def measured(metric: str) -> float | None:
        try:
            return metrics.measure(metric, original.pixels, other.pixels)
        except UsageError as exc:  # its package is missing; the other figures stand
            if str(exc) not in notes:
                notes.append(str(exc))
            return None

    error = metrics.mse(original.pixels, other.pixels)
    return Comparison(
        file=other.name,
        width=other.width,
        height=other.height,
        bytes=other.size_bytes,
        bpp=other.bpp,
        compression_rate=other.compression_rate,
        mse=error,
        psnr=metrics.psnr(error) if error else None,
        ms_ssim=measured("ms_ssim"),
        ssim=measured("ssim"),
        ssimulacra2=measured("ssimulacra2") if ssimulacra2 else None,
        notes=tuple(notes),
    )


def figures_table(rows: Sequence[Comparison], *, ssimulacra2: bool = False) -> Table:
    """The figures as people read them."""
    columns = ("file", "bytes", "bpp", "saved", "PSNR", "MS-SSIM", "SSIM", *(("SSIMULACRA2",) if ssimulacra2 else ()))
    cells = []
    for row in rows:
        psnr = "no pixel differs" if row.psnr is None else f"{row.psnr:.2f} dB"
        last = (_number(row.ssimulacra2, 2),) if ssimulacra2 else ()
        size = (row.file, f"{row.bytes:,}", f"{row.bpp:.3f}", f"{row.compression_rate:.2%}")
        cells.append((*size, psnr, _number(row.ms_ssim, 4), _number(row.ssim, 4), *last))
    return Table(columns, tuple(cells))


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _register_plugin(data: bytes) -> None:
    """Let Pillow read JPEG XL and HEIC, where `data` is of that kind."""
    kind = ""
    try:
        if data.startswith(_JPEG_XL):
            kind = "JPEG XL"
            import pillow_jxl  # noqa: F401 (importing it registers it)
        elif data[4:8] == b"ftyp" and b"avi" not in data[8:64]:
            kind = "HEIC"
            import pillow_heif

            pillow_heif.register_heif_opener()
    except (ImportError, OSError) as exc:
        raise UsageError(f"reading {kind} needs a plugin of Pillow that does not load here: {_INSTALL}") from exc
