"""What every campaign shares: inputs by number, tried in children that may die, with their time and their memory."""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

MIB = 1 << 20
TOGETHER = 64  # inputs whose memory is looked at together: that takes as long as a small input
JOBS, FIRST = [1], [0]  # children at once; the first input
UNTIL = [float("inf")]  # on the monotonic clock: a campaign ends then, with the inputs that it has tried
_LOOK = 0.02  # seconds between two looks at a child
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
        self.merge(Report(1, [], seconds, memory, {outcome: 1}, [(seconds, number)]))

    def merge(self, other: Report) -> None:
        """Add what another part of the campaign found."""
        self.inputs += other.inputs
        self.failures += other.failures
        self.seconds, self.memory = max(self.seconds, other.seconds), max(self.memory, other.memory)
        self.outcomes = dict(Counter(self.outcomes) + Counter(other.outcomes))
        self.slowest = sorted([*self.slowest, *map(tuple, other.slowest)], reverse=True)[:10]

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
    """Try inputs FIRST to count - 1, each made from its number, JOBS of them at once.

    attempt: an outcome in a word; whatever it raises is a failure, as is a child that dies or is silent for `patience`
    times the seconds that an input may take.
    """
    numbers = range(FIRST[0], count)
    if JOBS[0] == 1:
        return _part(numbers, make, attempt, bounds, patience)
    report = Report()
    parts = [numbers[first :: JOBS[0]] for first in range(JOBS[0])]
    with ThreadPoolExecutor(len(parts)) as pool:  # threads that only wait for their children
        for part in pool.map(lambda numbers: _part(numbers, make, attempt, bounds, patience), parts):
            report.merge(part)
    return report


def _part(
    numbers: range, make: Callable[[int], bytes], attempt: Callable[[bytes], str], bounds: Bounds, patience: float
) -> Report:
    """Some of the inputs, in one child after the other: each begins behind the input that the one before died of."""
    report, start = Report(), 0
    while start < len(numbers):
        clock = mmap.mmap(-1, _CLOCK.size)
        with tempfile.TemporaryFile("w+") as told:
            child = os.fork()
            if child == 0:
                ended = 1
                try:
                    clock[:] = _CLOCK.pack(numbers[start], 0.0)
                    _child(numbers[start:], make, attempt, bounds, clock, told)
                    ended = 0
                finally:
                    told.flush()
                    os._exit(ended)
            status, killed = _watch(child, clock, patience * bounds.seconds)
            told.seek(0)
            tried = 0
            for line in told:
                part = Report(**json.loads(line))
                tried += part.inputs
                report.merge(part)
        if os.waitstatus_to_exitcode(status) == 0:
            break
        number, _ = _CLOCK.unpack(clock[:])
        at = numbers.index(number)
        lost = max(0, at - start - tried)  # tried in the group that was under way, of which nothing was told
        report.merge(Report(inputs=lost, outcomes={"untold": lost}))
        report.add(number, "died", patience * bounds.seconds if killed else 0.0)
        report.failures.append(f"input {number}: {'no answer' if killed else f'the process died ({status})'}")
        start = at + 1
    return report


def _watch(child: int, clock: mmap.mmap, longest: float) -> tuple[int, bool]:
    """Wait for a child; kill it where one input takes longer. Its status, and whether it was killed.

    Time is counted in looks at the clock: a campaign that is stopped and goes on has not waited meanwhile.
    """
    killed, input_begun, looks = False, 0.0, 0
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status, killed
        _, began = _CLOCK.unpack(clock[:])
        looks = looks + 1 if began == input_begun else 0
        input_begun = began
        if began and looks * _LOOK > longest and not killed:
            os.kill(child, signal.SIGKILL)
            killed = True
        time.sleep(_LOOK)


def _child(
    numbers: range,
    make: Callable[[int], bytes],
    attempt: Callable[[bytes], str],
    bounds: Bounds,
    clock: mmap.mmap,
    told: IO[str],
) -> None:
    """Try inputs and write a report, one line, of each TOGETHER of them."""
    for start in range(0, len(numbers), TOGETHER):
        if time.monotonic() > UNTIL[0]:
            break
        group, report = numbers[start : start + TOGETHER], Report()
        clock[:] = _CLOCK.pack(group[0], 0.0)
        inputs = [(number, make(number)) for number in group]
        forget_peak()
        base = memory_peak()
        for number, data in inputs:
            failure, outcome = "", "failed"
            clock[:] = _CLOCK.pack(number, time.monotonic())
            start_of_input = time.process_time()  # another program beside changes nothing in that
            try:
                outcome = attempt(data)
            except BaseException:
                failure = traceback.format_exc(limit=-3)
            seconds = time.process_time() - start_of_input
            if not failure and seconds > bounds.seconds:
                failure = f"{seconds:.2f} s"
            report.add(number, outcome, seconds)
            report.failures += [f"input {number}: {failure}"] if failure else []
        clock[:] = _CLOCK.pack(group[-1], 0.0)
        report.memory = max(0, memory_peak() - base)
        if report.memory > bounds.memory:
            report.failures.append(f"inputs {group[0]} to {group[-1]}: {report.memory / MIB:.0f} MiB")
        told.write(json.dumps(asdict(report)) + "\n")
        told.flush()
