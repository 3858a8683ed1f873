"""How torch is loaded and its threads wait: asleep, so that programs on the same cores do not hinder each other.

Threads of OpenMP that have nothing to do spin for a while before they sleep. That is a fifth faster on an idle machine.
But two decoders that spin on the same cores keep each other waiting: 2.8 seconds for a picture that takes 0.06 alone
and 0.09 each when they sleep.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

from caecodec.errors import UsageError

_WAITING = "OMP_WAIT_POLICY"
_lock = threading.Lock()
_started = False


def load() -> None:
    """Import torch such that its threads sleep while they wait, unless OMP_WAIT_POLICY decides.

    Also where torch was imported before: see `_calm`. A process forked later computes with one thread, for the pool of
    its parent is not there. Raises UsageError where torch is not installed.
    """
    global _started
    with _lock:
        if _started:
            return
        if "torch" in sys.modules:
            if _WAITING not in os.environ:
                _calm()
        else:
            try:
                _import_torch()
            except ModuleNotFoundError as exc:
                if exc.name != "torch":
                    raise
                raise UsageError("this needs torch, which is not installed: pip install 'caecodec[torch]'") from exc
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_one_thread)
        _started = True


def _import_torch() -> None:
    if _WAITING in os.environ:
        import torch

        return
    os.environ[_WAITING] = "PASSIVE"  # OpenMP reads it when it is loaded
    try:
        import torch  # noqa: F401
    finally:
        del os.environ[_WAITING]


def _calm() -> None:
    """Make the threads of an OpenMP that is loaded already sleep soon.

    GNU's OpenMP spins 300,000 times before a thread sleeps, but 1,000 times only while it manages more threads than
    there are processors. A second pool, which then waits for ever, makes it so.
    """
    import torch

    if torch.get_num_threads() < 2:
        return
    done = threading.Event()

    def wait() -> None:
        try:
            torch.ones(1 << 20).exp_()  # on all threads: a pool of this thread's own
        finally:
            done.set()
        threading.Event().wait()

    threading.Thread(target=wait, name="caecodec-calm", daemon=True).start()
    done.wait()


def _one_thread() -> None:
    torch = sys.modules["torch"]
    torch.set_num_threads(1)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Within, networks may be made without moving the state of torch's random numbers, which is the user's."""
    import torch

    with torch.random.fork_rng(devices=[]):
        yield
