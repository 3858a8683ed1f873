"""Run one command and print its wall clock and peak memory.

`python -m caecodec.bench.timing.launch THREADS COMMAND...`

A process of its own because the peak that the system reports of a child counts the parent it was forked from: this
one is small.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from caecodec.bench.timing.processes import limit_cores, rusage_mib


def main(arguments: list[str]) -> int:
    """The status of the command; negative, as a signal has it, becomes 1."""
    limit_cores(int(arguments[0]))
    start = time.perf_counter()
    done = subprocess.run(arguments[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    if done.returncode < 0:
        print(f"{arguments[1]} was ended by signal {-done.returncode}", file=sys.stderr)
        return 1
    if done.returncode == 0:
        print(json.dumps({"seconds": seconds, "peak_mib": rusage_mib(children=True)}))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
