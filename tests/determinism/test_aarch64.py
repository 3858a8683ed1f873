"""The core on 64-bit ARM, by qemu: the golden files' latents and pixels, and all that an encoder computes, bit for bit.

A small program (other_machine.c) with the core in it is compiled for this machine and, by zig, for that one; both get
the same streams and pictures and must print the same bytes.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from core_library import CORE, compiler
from support import opened

from caecodec.codecs import tiling
from caecodec.format import container
from caecodec.pictures import cells
from caecodec.zoo import find

QEMU = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
HAS_ZIG = importlib.util.find_spec("ziglang") is not None
ZIG = [sys.executable, "-m", "ziglang", "cc"] if HAS_ZIG else [shutil.which("zig") or "", "cc"]
GOLDEN = Path(__file__).parents[1] / "golden" / "v2"
FLAGS = ("-O3", "-std=c11", "-pthread", f"-I{CORE}")
CELL = {"photo": cells.CELL, "tiny": cells.TINY_CELL}

pytestmark = [
    pytest.mark.slow,  # zig compiles for minutes
    pytest.mark.skipif(not QEMU, reason="there is no qemu-aarch64 (Debian: qemu-user)"),
    pytest.mark.skipif(not ZIG[0], reason="there is no zig (pip install ziglang)"),
]


def built(command: list[str], out: Path) -> Path:
    sources = [*sorted(CORE.glob("*.c")), Path(__file__).with_name("other_machine.c")]
    subprocess.run([*command, *FLAGS, *map(str, sources), "-o", str(out), "-lm"], check=True)
    return out


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """For this machine, for the other."""
    folder = tmp_path_factory.mktemp("programs")
    other = built([*ZIG, "-target", "aarch64-linux-musl", "-static"], folder / "other")
    return built([compiler()], folder / "here"), other


def jobs(family: str) -> bytes:
    """Every tile of the golden files of a family, with their pictures; as other_machine.c reads them."""
    found = b""
    cell = CELL[family]
    for path in sorted(GOLDEN.glob("*.cae")):
        parsed = container.parse(path.read_bytes())
        if parsed.model_id != find.find(family).id:
            continue
        pixels = np.asarray(opened(path.with_suffix(".png")).convert("RGB"))
        shapes = [tile.shape for tile in tiling.tiles(parsed.width, parsed.height)]
        if family == "tiny":
            shapes = [cells.count(parsed.width, parsed.height, cell)]
        for (rows, columns), stream in zip(shapes, parsed.tiles, strict=True):
            numbers = np.array([parsed.quality, parsed.gray, rows, columns, len(stream)], np.int32)
            found += numbers.tobytes() + stream + np.resize(pixels, (rows * cell, columns * cell, 3)).tobytes()
    return found


def results(command: list[str], family: str, kernels: str, threads: int) -> bytes:
    environment = os.environ | {"CAECODEC_KERNELS": kernels}
    arguments = [*command, str(find.find(family).path), str(threads)]
    done = subprocess.run(arguments, input=jobs(family), capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("family", ["photo", "tiny"])
def test_arm_computes_what_this_machine_does(programs: tuple[Path, Path], family: str) -> None:
    here, other = programs
    expected = results([str(here)], family, "", 1)
    assert len(expected) > 10_000
    for kernels, threads in (("neon", 1), ("neon", 8), ("portable", 2)):
        assert results([str(QEMU), str(other)], family, kernels, threads) == expected, (kernels, threads)
