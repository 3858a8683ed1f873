"""What a run says on standard error: what it is doing, how far it is, and how fast."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

FIRST_LINE_SECONDS, LINE_SECONDS = 5.0, 30.0  # of silence; twice as long each time


class Teller:
    """A bar on a terminal; elsewhere a line for each thing when it is first begun, and one at least every 30 seconds.

    `quiet`: warnings only, as of all processes of a run but the first.
    """

    def __init__(self, name: str, *, quiet: bool = False, console: Console | None = None) -> None:
        self._name, self._quiet = name, quiet
        self._console = console or Console(stderr=True)
        self._doing = self._status = ""
        self._begun: set[str] = set()
        self._share = 0.0
        self._spoke, self._silence = time.monotonic(), FIRST_LINE_SECONDS
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_speaking, daemon=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        times = (TextColumn("{task.fields[status]}"), TimeElapsedColumn(), TimeRemainingColumn())
        lively = not quiet and self._console.is_terminal
        self._bar = Progress(*columns, *times, console=self._console, disable=not lively)
        self._shown = self._bar.add_task(name, total=1.0, status="")

    def __enter__(self) -> Self:
        self._bar.start()
        if not self._quiet and not self._console.is_terminal:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._bar.stop()

    def doing(self, what: str) -> None:
        """What is begun now, and goes on until the next call."""
        self._doing, self._status, self._silence = what, "", FIRST_LINE_SECONDS
        self._bar.update(self._shown, status=what)
        if what not in self._begun and not self._quiet and not self._console.is_terminal:
            self._print(f"{self._name}: {what}")
        self._begun.add(what)

    def at(self, share: float, status: str) -> None:
        """How far the run is, 0..1, and what else to say of what it is doing. Cheap: may be called at every step."""
        self._share, self._status = share, status
        self._bar.update(self._shown, completed=share, status=f"{self._doing}, {status}")

    def say(self, line: str) -> None:
        """A line that stays."""
        if not self._quiet:
            self._print(f"{self._name}: {line}")

    def warn(self, message: str) -> None:
        """A warning."""
        self._print(f"caecodec: warning: {message}")

    def _print(self, line: str) -> None:
        self._spoke = time.monotonic()
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)

    def _keep_speaking(self) -> None:
        while not self._ended.wait(max(0.01, min(1.0, self._left()))):
            if self._left() <= 0:
                self._silence *= 2
                share = [f"{self._share:.0%} of the run"] if self._share else []
                self._print(f"{self._name}: " + ", ".join((self._doing, *share, *filter(None, [self._status]))))

    def _left(self) -> float:
        """Seconds until something must be said again."""
        return self._spoke + min(self._silence, LINE_SECONDS) - time.monotonic()
