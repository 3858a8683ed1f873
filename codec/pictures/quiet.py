"""Pillow's warnings, held back while its short work is done: filters are the process's, not the thread's."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

_filters = threading.RLock()


def _renew() -> None:
    """A child begins with a lock that no thread of it holds, whoever held it while it was forked."""
    global _filters
    _filters = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@contextmanager
def quietly() -> Iterator[list[warnings.WarningMessage]]:
    """Within, nothing warns of damaged tags or large pictures; gives what would have been said.

    One thread at a time: headers and metadata, no pixels but those of JPEG XL, whose plugin decodes as it opens.
    """
    with _filters, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield said
