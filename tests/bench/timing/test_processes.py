from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from caecodec.bench.timing import launch, processes
from caecodec.bench.timing.processes import ChildError, Worker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="memory and time of children are read by getrusage")
ALLOCATE = "import numpy; numpy.ones({mib} * 2**17)"


@pytest.fixture
def webp() -> Iterator[Worker]:
    with contextlib.closing(Worker(1)) as asked:
        asked.ask("open", codec="webp", threads=1)
        yield asked


def test_a_worker_that_dies_says_how(webp: Worker) -> None:
    os.kill(webp._process.pid, signal.SIGKILL)
    with pytest.raises(ChildError, match="ended with status -9"):
        webp.ask("decode")


def test_a_child_that_allocates_100_mib_is_seen_to_hold_them() -> None:
    small = processes.run_command([sys.executable, "-c", ALLOCATE.format(mib=1)], 1)
    large = processes.run_command([sys.executable, "-c", ALLOCATE.format(mib=100)], 1)
    assert large.peak_mib > 100
    assert 95 < large.peak_mib - small.peak_mib < 110
    assert large.seconds > 0.02


def test_memory_of_the_parent_is_not_counted() -> None:
    held = np.ones(300 * 2**17)  # 300 MiB here
    assert processes.run_command([sys.executable, "-c", "pass"], 1).peak_mib < 100
    with contextlib.closing(Worker(1)) as asked:
        assert asked.ask("peak")["mib"] < 200
    assert held[-1] == 1


def test_the_peak_of_a_worker_grows_with_its_pictures(webp: Worker, tmp_path: Path) -> None:
    before = webp.ask("peak")["mib"]
    np.save(tmp_path / "large.npy", np.zeros((100 * 2**10, 1024, 1), np.uint8))
    webp.ask("load", pictures=[str(tmp_path / "large.npy")])
    assert webp.ask("peak")["mib"] >= before + 99


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(ChildError, match=r"status 3 \(no such thing\)"):
        processes.run_command(
            [sys.executable, "-c", "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"], 1
        )
    with pytest.raises(ChildError, match="ended by signal 9"):
        processes.run_command([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], 1)


def test_children_are_held_to_their_threads() -> None:
    show = "import os, sys; sys.exit(100 + 10 * len(os.sched_getaffinity(0)) + int(os.environ['OMP_NUM_THREADS']))"
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("only Linux holds a process to cores")
    with pytest.raises(ChildError, match="status 111"):
        processes.run_command([sys.executable, "-c", show], 1)
    assert launch.main([str(os.cpu_count() or 1), sys.executable, "-c", "raise SystemExit(5)"]) == 5
