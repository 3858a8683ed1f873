"""The parser and decoder of .cae files for atheris, as OSS-Fuzz runs it: `python container.py CORPUS [-runs=N]`.

A corpus to begin with: tests/golden/v2 and tests/conformance.
"""

from __future__ import annotations

import sys
import zlib

import caecodec
from caecodec.limits import Limits

LIMITS = Limits(pixels=2**12, blank_pixels=2**12)


def try_one(data: bytes) -> None:
    """Bytes as they are, and with a CRC that is true: a picture of the stated size, or one of our errors."""
    for file in (data, data + zlib.crc32(data).to_bytes(4, "little")):
        try:
            facts = caecodec.info(file, LIMITS)
            image = caecodec.decode(file, limits=LIMITS)
        except caecodec.CaecodecError:
            continue
        if image.size != (facts.width, facts.height):
            raise AssertionError(f"{image.size} pixels where {facts.width}x{facts.height} are stated")


def main() -> None:
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
