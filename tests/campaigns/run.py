"""Runs campaigns and prints their table: `python tests/campaigns/run.py [NAME...] [--count N] [--corpus PLACE]...`.

PLACE is a folder of pictures, or a git directory whose newest commit has them. Without --count each has the count that
docs/security.md states as whole. C2 is `tests/fuzz/test_core_fuzz.py`.
"""

from __future__ import annotations

import argparse
import functools
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import containers
import disks
import engines
import harness
import model_files
import pictures
import processes
from harness import Report

# name -> what runs it, the count of a whole campaign, and that of the share in continuous integration
CAMPAIGNS: dict[str, tuple[Callable[[int], Report], int, int]] = {
    "C1 containers": (containers.containers, 20_000_000, 300),
    "C3 pictures": (pictures.pictures, 1_000_000, 1000),
    "C4 golden files": (containers.golden, 10**9, 3000),
    "C5 models": (model_files.models, 1_000_000, 400),
    "C6 kills": (processes.kills, 1000, 6),
    "C7 memory": (processes.memory, 64, 4),
    "C8 machines": (engines.machines, 5000, 50),
    "C9 threads": (processes.threads, 24_000, 90),
    "C10 disks": (disks.disks, 10**9, 30),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="C1, C3, ...; all without any")
    parser.add_argument("--count", type=int)
    parser.add_argument("--seconds", type=float, help="end each of C1 to C5 after so long, whatever its count")
    parser.add_argument("--corpus", type=Path, action="append", default=[])
    parser.add_argument("--first", type=int, default=0, help="begin C1 to C5 with this input")
    parser.add_argument("--jobs", type=int, default=1, help="children at once in C1 to C5")
    asked = parser.parse_args()
    harness.FIRST[0], harness.JOBS[0] = asked.first, asked.jobs
    failed = False
    print("| campaign | inputs | failures | worst time | worst memory |\n|---|---:|---:|---:|---:|")
    for name, (campaign, whole, _) in CAMPAIGNS.items():
        if asked.names and name.split()[0] not in asked.names:
            continue
        if name.startswith("C3"):
            campaign = functools.partial(pictures.pictures, corpora=asked.corpus)
        start = time.monotonic()
        harness.UNTIL[0] = start + (asked.seconds or math.inf)
        report = campaign(whole if asked.count is None else asked.count)
        print(report.line(name), flush=True)
        took = f"{time.monotonic() - start:.0f} s"
        print(took, report.outcomes, "slowest:", report.slowest[:10], *report.failures[:20], sep="\n", file=sys.stderr)
        failed |= bool(report.failures)
    sys.exit(failed)


if __name__ == "__main__":
    main()
