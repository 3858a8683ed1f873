"""Encode a picture to a .cae file and decode it again: python examples/one_picture.py img.png

Writes img.cae and img.decoded.png beside the picture.
"""

from __future__ import annotations

import sys
from pathlib import Path

import caecodec


def main(path: Path, quality: int = 75) -> None:
    """Both ways, and what the file says of itself. Raises CaecodecError; OSError where a file cannot be used."""
    data = caecodec.encode(path, quality)
    path.with_suffix(".cae").write_bytes(data)

    facts = caecodec.info(data)  # decodes nothing
    print(f"{facts.width}x{facts.height}, quality {facts.quality}: {facts.size_bytes} bytes, {facts.bpp:.3f} bpp")
    for part, size_bytes in facts.sections.items():
        print(f"  {part}: {size_bytes} bytes")

    decoded = caecodec.decode(path.with_suffix(".cae"))
    decoded.save(path.with_suffix(".decoded.png"), icc_profile=decoded.info.get("icc_profile"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
