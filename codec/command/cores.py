"""How many cores numpy's matrix products take, which is settled when numpy is imported."""

from __future__ import annotations

import os


def take_one_core() -> None:
    """Let a product take one core, unless the user said otherwise or numpy is there already.

    Small products are done sooner than a second thread has woken, and on a busy machine a thread that spins keeps
    others from the core it has: verifying 512x512 pixels took 0.9 seconds beside another program in place of 0.3, and
    a batch of small pictures half as long again.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
