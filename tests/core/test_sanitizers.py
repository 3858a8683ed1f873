"""The tests of the core's inner parts, built so that reads outside and undefined behaviour end the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from core_library import compiler

HERE = Path(__file__).parent
TESTED = ("checksum", "model_file", "range_coder", "rounding", "search", "tables")
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -g"


@pytest.mark.slow
def test_nothing_is_read_outside_and_nothing_is_undefined() -> None:
    cc = compiler()
    name = "libclang_rt.asan-x86_64.so" if "clang" in cc else "libasan.so"
    asked = subprocess.run([cc, f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    runtime = asked.stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip(f"{cc} has no sanitizers here: install its runtime library")
    sanitized = {
        "CAECODEC_TEST_CFLAGS": FLAGS + (" -shared-libasan" if "clang" in cc else ""),
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own
    }
    tests = [str(HERE / f"test_{part}.py") for part in TESTED]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests],
        env=os.environ | sanitized,
        capture_output=True,
        text=True,
        cwd=HERE.parents[1],
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
