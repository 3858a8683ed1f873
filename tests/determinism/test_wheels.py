"""The cores in the wheels of `make wheels`, those for Linux: what a program prints with each, on the golden files.

Unlike test_aarch64.py it compiles nothing of the core: the library that a release uploads is the one that runs, with
the C library that it was linked for.
"""

from __future__ import annotations

import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from core_library import CORE, compiler
from other_machine import PROGRAM, QEMU, ZIG, built, results

WHEELS = Path(__file__).parents[2] / "dist"


@dataclass(frozen=True)
class Machine:
    """wheel: part of its name. loader: what starts its programs, and the package of Debian that has it."""

    wheel: str
    triple: str
    loader: str
    package: str
    emulated: bool = False


MACHINES = [
    Machine("manylinux2014_x86_64", "x86_64-linux-gnu.2.17", "/lib64/ld-linux-x86-64.so.2", "libc6"),
    Machine("musllinux_1_2_x86_64", "x86_64-linux-musl", "/lib/ld-musl-x86_64.so.1", "musl"),
    Machine(
        "manylinux2014_aarch64",
        "aarch64-linux-gnu.2.17",
        "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1",
        "libc6-arm64-cross",
        emulated=True,
    ),
    Machine("musllinux_1_2_aarch64", "aarch64-linux-musl", "/lib/ld-musl-aarch64.so.1", "musl:arm64", emulated=True),
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not WHEELS.is_dir(), reason="there are no wheels (make wheels)"),
    pytest.mark.skipif(not ZIG[0], reason="there is no zig (pip install ziglang)"),
]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """By family: what this machine prints, with a core compiled here."""
    here = built([compiler()], tmp_path_factory.mktemp("here") / "program")
    return {family: results([str(here)], family, "", 1) for family in ("photo", "tiny")}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.wheel)
def test_wheels_core_computes_the_same(machine: Machine, expected: dict[str, bytes], tmp_path: Path) -> None:
    wheel = next(WHEELS.glob(f"*{machine.wheel}.whl"), None)
    if not wheel:
        pytest.skip(f"there is no wheel for {machine.wheel} (make wheels)")
    if not Path(machine.loader).exists() or (machine.emulated and not QEMU):
        pytest.skip(f"its programs do not run here (Debian: {machine.package}, qemu-user)")
    with zipfile.ZipFile(wheel) as archive:
        library = Path(archive.extract("caecodec/engines/native/_core.so", tmp_path))
    program = tmp_path / "program"
    command = [*ZIG, "-target", machine.triple, "-dynamic", "-O1", "-std=c11", f"-I{CORE}", str(PROGRAM), str(library)]
    subprocess.run([*command, f"-Wl,-rpath,{library.parent}", "-o", str(program)], check=True)
    root = str(Path(machine.loader).parents[1])
    start = [str(QEMU), "-L", root, str(program)] if machine.emulated else [str(program)]
    for family, of_here in expected.items():
        for kernels in ("", "portable"):
            assert results(start, family, kernels, 2) == of_here, (family, kernels)
