"""Child processes to measure in: a worker that takes requests, and whole commands; both held to a number of threads.

Standard library only: what a child imports beside its codec would count as the codec's memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from caecodec.errors import CaecodecError

# read by OpenMP, MKL, OpenBLAS (and so by torch and numpy) and libvips when they start
THREAD_VARIABLES = (
    *("CAECODEC_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VIPS_CONCURRENCY"),
)
COMMAND = (sys.executable, "-m", "caecodec")
_CLOSE_SECONDS = 10.0
_SAID_CHARACTERS = 300


class ChildError(CaecodecError):
    """A child process could not do what was asked of it; the text is its reason."""


class Asked(Protocol):
    """What measures: requests in, replies out. `Worker` is one in a process of its own."""

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Raises ChildError with the reason of a failure."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended well: wall clock from its start to its end, and the most memory it ever held."""

    seconds: float
    peak_mib: float


def child_environment(threads: int) -> dict[str, str]:
    """The environment of a child: this one, with a number of threads for libraries that read one, and without a GPU."""
    return dict(os.environ) | dict.fromkeys(THREAD_VARIABLES, str(threads)) | {"CUDA_VISIBLE_DEVICES": ""}


def limit_cores(threads: int) -> None:
    """Hold this process and its children to so many cores, for libraries that read no variable. Linux only."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def peak_mib() -> float:
    """The most memory that this process has held, in MiB."""
    # VmHWM begins anew with the program; ru_maxrss still counts the parent that it was forked from
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return rusage_mib(children=False)


def rusage_mib(*, children: bool) -> float:
    """The same by getrusage: of this process, or of the largest child that has ended."""
    import resource  # not on Windows

    usage = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF)
    # kilobytes everywhere but on macOS
    return usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


class Worker:
    """`caecodec.bench.timing.worker` in a process of its own: a request is a line of JSON, and so is its reply."""

    def __init__(self, threads: int) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "caecodec.bench.timing.worker", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=child_environment(threads),
            encoding="utf-8",
        )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Raises ChildError where the worker reports an error, or dies."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps({"do": do} | arguments) + "\n")
            stdin.flush()
            line = stdout.readline()
        except OSError:  # nobody reads: it is dead
            line = ""
        if not line:
            raise ChildError(f"the process ended with status {self._process.wait()} {_tail(self._said)}".rstrip())
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise ChildError(reply["error"])
        return reply

    def close(self) -> None:
        """End the process: it ends by itself when nothing more can come."""
        with contextlib.suppress(OSError):  # it may be dead already
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()


def run_command(command: Sequence[str], threads: int) -> Ran:
    """A whole process, start-up included, from a small launcher. Raises ChildError with what it said on failure."""
    launcher = [sys.executable, "-m", "caecodec.bench.timing.launch", str(threads), *command]
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            launcher, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, env=child_environment(threads)
        )
        if done.returncode:
            raise ChildError(f"the process ended with status {done.returncode} {_tail(said)}".rstrip())
    reply = json.loads(done.stdout)
    return Ran(reply["seconds"], reply["peak_mib"])


def _tail(said: Any) -> str:
    """The last line that a process wrote on standard error, in brackets."""
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"({last[-_SAID_CHARACTERS:]})" if last else ""
