"""Room for libraries where a process has a limit of memory: without it, some end the process in words of their own."""

from __future__ import annotations

import mmap
import os

from caecodec.errors import LimitError

_LIBRARIES = 112 << 20  # numpy with one thread of its BLAS, and Pillow, until a small picture is coded: measured


def leave_room() -> None:
    """Raise LimitError where memory is bounded (`ulimit -v`) below what libraries take when they are loaded."""
    try:
        import resource
    except ImportError:  # not on this system
        return
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each thread maps memory; with none left it raises a SIGINT
    try:
        mmap.mmap(-1, _LIBRARIES).close()
    except (OSError, MemoryError) as exc:
        raise LimitError(f"out of memory: under a limit, libraries alone take about {_LIBRARIES >> 20} MiB") from exc
