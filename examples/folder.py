"""Encode the pictures of a folder, going on where one cannot be read: python examples/folder.py photos/ out/

`caecodec encode photos/ -r --output-dir out/` does this from the command line.
"""

from __future__ import annotations

import sys
from pathlib import Path

import caecodec

SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}


def main(source: Path, target: Path, quality: int = 60) -> int:
    """Every picture below `source` to the same place below `target`; how many failed."""
    before = after = failed = 0
    limits = caecodec.Limits(pixels=100_000_000)  # of pictures from anywhere, what this machine has memory for
    for path in sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES):
        output = target / path.relative_to(source).with_suffix(".cae")
        try:
            data = caecodec.encode(path, quality, limits=limits)
        except (caecodec.CaecodecError, OSError) as error:  # OSError: a file that cannot be read
            print(f"{path}: {error}", file=sys.stderr)
            failed += 1
            continue
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(data)
        before, after = before + path.stat().st_size, after + len(data)
        print(f"{output}: {len(data)} bytes")
    print(f"{before} bytes became {after}; {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1]), Path(sys.argv[2])) else 0)
