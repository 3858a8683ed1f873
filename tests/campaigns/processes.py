"""C6: kills at any moment. C7: limits of memory. C9: threads and forks. Whole processes, as a user starts them."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from harness import Report
from PIL import Image

TESTS = Path(__file__).parents[1]
GOLDEN = TESTS / "golden" / "v2"
COMMAND = [sys.executable, "-m", "caecodec"]


def _picture(path: Path) -> None:
    noise = np.random.default_rng(0).integers(90, 160, (200, 300, 3), np.uint8)
    Image.fromarray(noise).save(path)


def kills(count: int) -> Report:
    """C6: `encode -f` and `decode -f` are killed; the old file or the new one is there, whole, and nothing else."""
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _picture(folder / "in.png")
        subprocess.run([*COMMAND, "encode", "--quiet", "in.png", "-o", "in.cae"], cwd=folder, check=True)
        works = {"out.cae": ["encode", "in.png"], "out.png": ["decode", "in.cae"]}
        old, new, took = b"the old file", {}, {}
        for target, words in works.items():
            start = time.monotonic()
            subprocess.run([*COMMAND, *words, "--quiet", "-f", "-o", target], cwd=folder, check=True)
            new[target], took[target] = (folder / target).read_bytes(), time.monotonic() - start
        for number in range(count):
            dice = random.Random(number)
            target = dice.choice(sorted(works))
            (folder / target).write_bytes(old)
            process = subprocess.Popen([*COMMAND, *works[target], "--quiet", "-f", "-o", target], cwd=folder)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(dice.uniform(0.5, 1.1) * took[target])  # mostly late: that is when files are written
            process.send_signal(signal.SIGKILL)
            process.wait()
            found = (folder / target).read_bytes() if (folder / target).exists() else b"nothing"
            report.add(number, "new" if found == new[target] else "old", 0.0)
            if found not in (old, new[target]):
                report.failures.append(f"kill {number}: {target} is neither the old file nor the new one")
        for target, words in works.items():  # the next run removes what a kill between two names left behind
            subprocess.run([*COMMAND, *words, "--quiet", "-f", "-o", target], cwd=folder, check=True)
        left = {path.name for path in folder.iterdir()} - {"in.png", "in.cae", *works}
        if left:
            report.failures.append(f"{sorted(left)} left behind")
    return report


def memory(count: int) -> Report:
    """C7: limits of address space from 100 MB to 4 GB; success or exit status 6."""
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _picture(folder / "in.png")
        subprocess.run([*COMMAND, "encode", "--quiet", "in.png", "-o", "in.cae"], cwd=folder, check=True)
        limits = [round(100e6 * 40 ** (n / max(1, count - 1))) for n in range(count)]
        for number, limit in enumerate(limits):
            for target, words in (("out.cae", ["encode", "in.png"]), ("out.png", ["decode", "in.cae"])):

                def bound(limit: int = limit) -> None:
                    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

                command = [*COMMAND, *words, "--quiet", "-f", "-o", target]
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True, preexec_fn=bound)
                report.add(number, str(done.returncode), 0.0)
                if done.returncode not in (0, 6) or (done.returncode == 6) != ("memory" in done.stderr):
                    report.failures.append(f"{limit} bytes, {words[0]}: {done.returncode} {done.stderr[-300:]}")
    return report


_THREADS = """
import hashlib, multiprocessing, os, sys, threading
from pathlib import Path
WHEN, COUNT, FILES = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
if WHEN == "before":
    import torch
import numpy as np
import caecodec

def seen(path):
    return hashlib.sha256(np.asarray(caecodec.decode(Path(path).read_bytes(), engine="native")).tobytes()).hexdigest()

def work(first):
    for number in range(first, COUNT, 8):
        path = FILES[number % len(FILES)]
        if seen(path) != EXPECTED[path]:
            WRONG.append(path)

def child(path, expected):
    sys.exit(seen(path) != expected)

WRONG = []
if __name__ == "__main__":
    EXPECTED = {path: seen(path) for path in FILES}
    threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    forked = []
    for path in FILES[:4]:  # while threads decode
        child_id = os.fork()
        if child_id == 0:
            os._exit(seen(path) != EXPECTED[path])
        forked.append(child_id)
    for thread in threads:
        thread.join()
    WRONG += [f"fork {n}" for n in forked if os.waitpid(n, 0)[1]]
    if WHEN == "after":
        import torch
    spawned = multiprocessing.get_context("spawn").Process(target=child, args=(FILES[0], EXPECTED[FILES[0]]))
    spawned.start()
    spawned.join(120)
    WRONG += ["spawn"] if spawned.exitcode else []
    assert seen(FILES[0]) == EXPECTED[FILES[0]]
    print(len(WRONG), *WRONG)
"""


def threads(count: int) -> Report:
    """C9: eight threads, each an eighth of `count` decodes, with forks in their midst and torch before and after."""
    report = Report()
    files = [str(path) for path in sorted(GOLDEN.glob("*.cae")) if path.stat().st_size < 4000]
    exact = [path for path in files if Path(path).stem in (GOLDEN / "pixels.sha256").read_text()]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program.py"
        program.write_text(_THREADS)
        for when in ("never", "before", "after"):
            command = [sys.executable, str(program), when, str(count // 3), *exact]
            environment = os.environ | {"PYTHONPATH": str(TESTS)}
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60 + count)
            for number in range(count // 3):
                report.add(number, when, 0.0)
            if done.returncode or done.stdout.split() != ["0"]:
                report.failures.append(f"torch {when}: {done.stdout[-200:]} {done.stderr[-300:]}")
    return report
