"""A progress bar on standard error that appears only on a terminal and only for work over a second."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

DELAY_SECONDS = 1.0


class ProgressLine:
    """`with ProgressLine(name) as p: p.update(0.5)`; removed when done."""

    def __init__(self, name: str, *, enabled: bool) -> None:
        self._name = name
        self._enabled = enabled and sys.stderr.isatty()
        self._start = time.perf_counter()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, share: float) -> None:
        """Share done, 0..1."""
        if not self._enabled or time.perf_counter() - self._start < DELAY_SECONDS:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._name, total=1.0)
            self._bar.start()
        if self._task is not None:
            self._bar.update(self._task, completed=share)
