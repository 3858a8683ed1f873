"""What every campaign shares: inputs by number, each tried in a child that may die, with its time and its memory."""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

MIB = 1 << 20
UNTIL = [float("inf")]  # on the monotonic clock: a campaign ends then, with the inputs that it has tried
_CLOCK = struct.Struct("<qd")  # number of the input being tried, and when it was begun


@dataclass(slots=True)
class Report:
    """inputs tried; failures in words; worst processor time in seconds, worst memory in bytes above what was there."""

    inputs: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    memory: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    slowest: list[tuple[float, int]] = field(default_factory=list)  # (seconds, number), the worst ten

    def add(self, number: int, outcome: str, seconds: float, memory: int = 0) -> None:
        self.inputs += 1
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.seconds, self.memory = max(self.seconds, seconds), max(self.memory, memory)
        self.slowest = sorted([*self.slowest, (seconds, number)], reverse=True)[:10]

    def line(self, name: str) -> str:
        """A row of the table."""
        memory = f"{self.memory / MIB:.0f} MiB" if self.memory else "-"
        return f"| {name} | {self.inputs} | {len(self.failures)} | {self.seconds:.2f} s | {memory} |"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What no input may take: seconds; bytes of memory above what the process had."""

    seconds: float
    memory: int


def memory_peak() -> int:
    """Of this process, in bytes, since it was last forgotten."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status[status.index("VmHWM:") + 6 :].split(None, 1)[0])


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def run(
    count: int, make: Callable[[int], bytes], attempt: Callable[[bytes], str], bounds: Bounds, *, patience: float = 10.0
) -> Report:
    """Try inputs 0 to count - 1, each made from its number.

    attempt: an outcome in a word; whatever it raises is a failure, as is a child that dies or is silent for `patience`
    times the seconds that an input may take.
    """
    report, start = Report(), 0
    while start < count:
        start = _from(start, count, make, attempt, bounds, patience, report)
    return report


def _from(
    start: int,
    count: int,
    make: Callable[[int], bytes],
    attempt: Callable[[bytes], str],
    bounds: Bounds,
    patience: float,
    report: Report,
) -> int:
    """Inputs from `start` on in one child; the number to go on with."""
    clock = mmap.mmap(-1, _CLOCK.size)
    with tempfile.TemporaryFile("w+") as told:
        child = os.fork()
        if child == 0:
            try:
                _child(range(start, count), make, attempt, bounds, clock, told)
            finally:
                told.flush()
                os._exit(0)
        killed = False
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            _, began = _CLOCK.unpack(clock[:])
            if began and time.monotonic() - began > patience * bounds.seconds and not killed:
                os.kill(child, signal.SIGKILL)
                killed = True
            time.sleep(0.02)
        told.seek(0)
        text = told.read()
    for line in text.splitlines():
        number, outcome, seconds, memory, failure = json.loads(line)
        report.add(number, outcome, seconds, memory)
        if failure:
            report.failures.append(f"input {number}: {failure}")
    if os.waitstatus_to_exitcode(status) == 0:
        return count
    number, _ = _CLOCK.unpack(clock[:])
    report.add(number, "died", patience * bounds.seconds if killed else 0.0)
    report.failures.append(f"input {number}: {'no answer' if killed else f'the process died ({status})'}")
    return int(number) + 1


def _child(
    numbers: range,
    make: Callable[[int], bytes],
    attempt: Callable[[bytes], str],
    bounds: Bounds,
    clock: mmap.mmap,
    told: IO[str],
) -> None:
    for number in numbers:
        if time.monotonic() > UNTIL[0]:
            break
        data, failure, outcome = make(number), "", "failed"
        forget_peak()
        base, start = memory_peak(), time.process_time()  # another program beside changes nothing in that
        clock[:] = _CLOCK.pack(number, time.monotonic())
        try:
            outcome = attempt(data)
        except BaseException:
            failure = traceback.format_exc(limit=-3)
        seconds = time.process_time() - start
        clock[:] = _CLOCK.pack(number + 1, 0.0)
        memory = max(0, memory_peak() - base)
        if not failure and seconds > bounds.seconds:
            failure = f"{seconds:.2f} s"
        if not failure and memory > bounds.memory:
            failure = f"{memory / MIB:.0f} MiB"
        told.write(json.dumps([number, outcome, seconds, memory, failure]) + "\n")
        told.flush()
