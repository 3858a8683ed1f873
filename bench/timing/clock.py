"""Exclusive time by stage: what a stage calls that is a stage itself counts there. See `caecodec.stages`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from caecodec import stages

THE_REST = "the rest"  # what no stage takes


class Clock:
    """Seconds of every stage, in the order given, and of the rest."""

    def __init__(self, names: Iterable[str]) -> None:
        self._seconds = dict.fromkeys((*names, THE_REST), 0.0)
        self._stack = [THE_REST]
        self._since = 0.0

    def lap(self, work: Callable[[], Any]) -> dict[str, float]:
        """Seconds of every stage of `work`; they sum to what it took."""
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        self._since = time.perf_counter()
        with stages.watched(self.inside):
            work()
        self._switch()
        return dict(self._seconds)

    @contextmanager
    def inside(self, stage: str) -> Iterator[None]:
        """Within, time is charged to `stage`."""
        self._switch()
        self._stack.append(stage)
        try:
            yield
        finally:
            self._switch()
            self._stack.pop()

    def _switch(self) -> None:
        """Charge what has passed to the innermost stage."""
        now = time.perf_counter()
        self._seconds[self._stack[-1]] += now - self._since
        self._since = now
