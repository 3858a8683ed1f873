"""The core on 64-bit ARM, by qemu: the golden files' latents and pixels, and all that an encoder computes, bit for bit.

A small program (other_machine.c) with the core in it is compiled for this machine and, by zig, for that one; both get
the same streams and pictures and must print the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from core_library import compiler
from other_machine import QEMU, ZIG, built, results

pytestmark = [
    pytest.mark.slow,  # zig compiles for minutes
    pytest.mark.skipif(not QEMU, reason="there is no qemu-aarch64 (Debian: qemu-user)"),
    pytest.mark.skipif(not ZIG[0], reason="there is no zig (pip install ziglang)"),
]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """For this machine, for the other."""
    folder = tmp_path_factory.mktemp("programs")
    other = built([*ZIG, "-target", "aarch64-linux-musl", "-static"], folder / "other")
    return built([compiler()], folder / "here"), other


@pytest.mark.parametrize("family", ["photo", "tiny"])
def test_arm_computes_what_this_machine_does(programs: tuple[Path, Path], family: str) -> None:
    here, other = programs
    expected = results([str(here)], family, "", 1)
    assert len(expected) > 10_000
    for kernels, threads in (("neon", 1), ("neon", 8), ("portable", 2)):
        assert results([str(QEMU), str(other)], family, kernels, threads) == expected, (kernels, threads)
