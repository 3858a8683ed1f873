"""What caecodec agrees to process. Checked before anything large is allocated. Standard library only."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field

from caecodec.errors import LimitError, Remedy

_GIB = 1 << 30
_MIB = 1 << 20
PIXELS_PER_BYTE = 1 << 15  # a file of a photograph at the lowest quality has a hundred times the bytes
DECODING = 12  # bytes a pixel at the peak of decoding a whole picture, its image or PNG included: 11 measured
ALPHA = 6  # more where there is alpha: 5.1 measured
ALPHA_ALONE = 20  # bytes a pixel while it is decoded, as WebP: 18 measured
DECODING_BASE = 96 * _MIB


@functools.cache
def default_memory() -> int:
    """2 GiB, or half of the machine's memory where that is less, in bytes."""
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not every system says
        return 2 * _GIB
    return min(2 * _GIB, machine // 2) if machine > 0 else 2 * _GIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds on untrusted input.

    `pixels`: width * height. `side`: width or height. `metadata_bytes`: each of EXIF, ICC, XMP. `memory`: bytes that a
    picture may take while it is read or decoded whole, estimated from headers; what search and encoding take beside it
    is not counted. `blank_pixels`: width * height of a .cae file that has less than a byte for 32768 pixels, which
    costs its sender nothing and its reader as much time as a photograph of that size.
    """

    pixels: int = 2**28
    side: int = 2**24
    metadata_bytes: int = 2**26
    memory: int = field(default_factory=default_memory)
    blank_pixels: int = 2**26

    @classmethod
    def for_strangers(cls) -> Limits:
        """Lower ones, for a service that takes files from anyone: 33 megapixels, 1 MiB of metadata, 512 MiB."""
        return cls(pixels=2**25, side=2**15, metadata_bytes=2**20, memory=2**29, blank_pixels=2**24)

    def check_size(self, width: int, height: int) -> None:
        """Raise LimitError where a picture of this size (in pixels) is too large."""
        if max(width, height) > self.side:
            raise LimitError(f"{width}x{height} pixels: a side is over the limit of {self.side}")
        if width * height > self.pixels:
            raise LimitError(
                f"{width}x{height} is {width * height} pixels, over the limit of {self.pixels}",
                Remedy("raise it with limits=Limits(pixels=...)", "raise it with --max-pixels"),
            )

    def check_worth(self, width: int, height: int, size_bytes: int) -> None:
        """Raise LimitError where so few bytes of a .cae file state so many pixels that only its reader pays."""
        pixels = width * height
        if pixels > self.blank_pixels and pixels > size_bytes * PIXELS_PER_BYTE:
            raise LimitError(
                f"{size_bytes} bytes state {width}x{height} pixels, over the limit of {self.blank_pixels} for so few",
                Remedy("raise it with limits=Limits(blank_pixels=...)", "raise it with --max-pixels"),
            )

    def check_memory(self, needed: int, what: str) -> None:
        """Raise LimitError where `what` would take more memory, in bytes, than it may."""
        if needed > self.memory:
            raise LimitError(
                f"{what} takes about {-(-needed // _MIB)} MiB of memory, over the limit of {self.memory // _MIB} MiB",
                Remedy("raise it with limits=Limits(memory=...)", "raise it with --max-memory"),
            )

    def check_alpha(self, width: int, height: int) -> None:
        """Raise LimitError where decoding alpha, which is done whole, would take more memory than it may."""
        self.check_memory(ALPHA_ALONE * width * height, f"decoding alpha of {width}x{height} pixels")

    def check_decoding(self, width: int, height: int, *, alpha: bool) -> None:
        """Raise LimitError where decoding a .cae file whole would take more memory than it may."""
        price = DECODING + ALPHA * alpha
        self.check_memory(DECODING_BASE + price * width * height, f"decoding {width}x{height} pixels whole")


DEFAULT_LIMITS = Limits()
UNLIMITED = Limits(pixels=1 << 62, side=1 << 62, metadata_bytes=1 << 62, memory=1 << 62, blank_pixels=1 << 62)
