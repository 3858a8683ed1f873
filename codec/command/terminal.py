"""What the command says: progress, warnings, errors, and the exit status that goes with them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TextIO

import click

from caecodec.errors import BatchError, CaecodecError, FileSystemError, LimitError, UsageError, is_out_of_memory

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

DELAY_SECONDS = 1.0
_NAME = 12  # characters of a name that stay, however narrow the terminal is
_MOST_SAID = 2000  # bytes of what a library says of one file
_PARTS = 4  # of a line that stay
# what a plain install lacks -> the extra that brings it
_EXTRAS = {"torch": "torch", "safetensors": "train", "torchvision": "train", "matplotlib": "train"}
DEBUG = "caecodec.debug"  # in the meta of the root context: --debug was given


class ProgressLine:
    """A bar on standard error, only on a terminal and only for work over a second; removed when done.

    `with ProgressLine(name, enabled=True) as p: p.update(0.5)`
    """

    def __init__(self, name: str, *, enabled: bool) -> None:
        self._name = name
        self._enabled = enabled and on_terminal(sys.stderr)
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
            from rich.markup import escape
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(escape(shown(self._name)), total=1.0)
            self._bar.start()
        if self._task is not None:
            self._bar.update(self._task, completed=share)


class FilesBar:
    """A bar of a batch on standard error, only on a terminal: files, megapixels a second, time left; removed when done.

    sizes: bytes of each input. Files are of all sizes, so the time left is judged by what is left of their bytes.
    """

    def __init__(self, sizes: Mapping[str, int], *, enabled: bool) -> None:
        self._sizes = sizes
        self._enabled = enabled and on_terminal(sys.stderr)
        self._start = time.perf_counter()
        self._count = self._pixels = 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> FilesBar:
        if self._enabled:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("left")
            # lines that are printed meanwhile go above it, unless they go elsewhere
            above = on_terminal(sys.stdout)
            self._bar = Progress(
                *columns, console=Console(stderr=True), transient=True, redirect_stdout=above, speed_estimate_period=120
            )
            self._task = self._bar.add_task(self.text, total=max(1, sum(self._sizes.values())))
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def text(self) -> str:
        """'3 of 24 files, 5.1 megapixels/s'."""
        rate = self._pixels / 1e6 / max(1e-3, time.perf_counter() - self._start)
        return f"{self._count} of {len(self._sizes)} files, {rate:.1f} megapixels/s"

    def done(self, source: str, facts: Mapping[str, Any]) -> None:
        """One input is over."""
        self._count += 1
        self._pixels += facts.get("width", 0) * facts.get("height", 0)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=self._sizes.get(source, 0), description=self.text)


@contextlib.contextmanager
def interruptible(*, enabled: bool) -> Iterator[Callable[[], bool]]:
    """Within, the first Ctrl-C is only noted, for work that can end early: gives what tells. The second is as ever."""
    pressed = threading.Event()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    def note(_signal: int, _frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


class ReportedError(Exception):
    """Leave with a status; the error has been reported."""

    def __init__(self, code: int) -> None:
        self.code = code


def shown(name: str) -> str:
    """A file name on one line: what a terminal would not print as one character is escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def fitted(place: str, target: str, parts: list[str], stream: TextIO | None) -> str:
    """A line of one file; on a terminal no wider than that, by leaving out parts, then by the middle of the name."""
    name, parts = shown(target), list(parts)
    if on_terminal(stream):
        from rich.cells import cell_len, set_cell_size

        width = shutil.get_terminal_size().columns
        while len(parts) > _PARTS and cell_len(f"{place}{name}: {'  '.join(parts)}") > width:
            del parts[-2]
        room = max(_NAME, width - len(f"{place}: {'  '.join(parts)}"))
        if cell_len(name) > room:
            head, tail = room // 2, (room - 1) - room // 2
            end = name
            while cell_len(end) > tail:
                end = end[1:]
            name = f"{set_cell_size(name, head).rstrip()}…{end}"
    return f"{place}{name}: {'  '.join(parts)}"


def warn(message: str) -> None:
    """One line on standard error."""
    click.echo(f"caecodec: warning: {message}", err=True)


@contextlib.contextmanager
def library_errors() -> Iterator[list[str]]:
    """Within, what is written to the process's standard error is kept back; gives its lines afterwards, each once."""
    lines: list[str] = []
    try:
        before = os.dup(2)
    except OSError:  # closed
        yield lines
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(before, 2)
            os.close(before)
            kept.seek(0)
            told = kept.read(_MOST_SAID).decode("utf-8", "replace").splitlines()
            lines += dict.fromkeys(shown(line.strip()) for line in told if line.strip())


def on_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads a stream, which may be closed."""
    return stream is not None and stream.isatty()


def known(error: BaseException) -> BaseException:
    """What the system said, as one of our errors."""
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        return UsageError(f"this needs {error.name}, not installed: pip install 'caecodec[{_EXTRAS[error.name]}]'")
    if not isinstance(error, LimitError) and is_out_of_memory(error):
        return LimitError("out of memory")
    if isinstance(error, OSError):  # one that no room expected: a full standard output, say
        return FileSystemError(error.strerror or str(error))
    return error


def said(error: BaseException) -> str:
    """The message on one line, naming options; never empty."""
    text = error.for_command() if isinstance(error, CaecodecError) else str(error)
    return " ".join(text.split()) or type(error).__name__


def report(source: str | None, error: BaseException) -> int:
    """One line on standard error; the exit code."""
    where = f"{shown(source)}: " if source else ""
    error = known(error)
    text = said(error)
    if isinstance(error, CaecodecError):
        click.echo(f"caecodec: error: {where}{text}", err=True)
        return error.exit_code
    click.echo(
        f"caecodec: internal error: {where}{type(error).__name__}: {text} (a bug; --debug shows where)", err=True
    )
    return 1


def _debugging() -> bool:
    return bool(click.get_current_context().find_root().meta.get(DEBUG))


def each(sources: Sequence[str], work: Callable[[str], None]) -> None:
    """Do `work` for every source, going on after a failure, and exit with the status that says so."""

    def outcomes() -> Iterator[tuple[str, Exception | None]]:
        for source in sources:
            try:
                work(source)
            except Exception as exc:
                yield source, exc
            else:
                yield source, None

    report_failures(outcomes())


def report_failures(outcomes: Iterable[tuple[str, Exception | None]]) -> None:
    """Report every source that failed as it comes, and exit with the status that says so."""
    codes, count = [], 0
    for source, failure in outcomes:
        count += 1
        if isinstance(failure, BrokenPipeError):
            raise ReportedError(FileSystemError.exit_code) from failure  # nobody reads on; say nothing more
        if failure is not None:
            if _debugging():
                traceback.print_exception(failure)
            codes.append(report(source, failure))
    if codes and count == 1:
        raise ReportedError(codes[0])
    if codes:
        raise BatchError(f"{len(codes)} of {count} inputs failed")
