"""Where files lie: on disk, or anywhere else that the package fsspec knows, by an address like s3://bucket/a.png."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells whether a file changed: its size in bytes, and when it changed or what stands for its contents."""

    size: int
    changed: str


def stamp(path: str) -> Stamp | None:
    """Of a file that is there."""
    try:
        found = os.stat(path)  # noqa: PTH116 (Path.stat is slower, and this is called for each of millions)
    except OSError:
        return None
    return Stamp(found.st_size, str(found.st_mtime_ns))
