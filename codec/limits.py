"""What caecodec agrees to process. Checked before anything large is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from caecodec.errors import LimitError, Remedy


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds on untrusted input.

    `pixels`: width * height. `side`: width or height. `metadata_bytes`: each of EXIF, ICC, XMP.
    """

    pixels: int = 2**28
    side: int = 2**24
    metadata_bytes: int = 2**26

    def check_size(self, width: int, height: int) -> None:
        """Raise LimitError where a picture of this size (in pixels) is too large."""
        if max(width, height) > self.side:
            raise LimitError(f"{width}x{height} pixels: a side is over the limit of {self.side}")
        if width * height > self.pixels:
            raise LimitError(
                f"{width}x{height} is {width * height} pixels, over the limit of {self.pixels}",
                Remedy("raise it with limits=Limits(pixels=...)", "raise it with --max-pixels"),
            )


DEFAULT_LIMITS = Limits()
