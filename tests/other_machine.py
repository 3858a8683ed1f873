"""other_machine.c: a program with the core in it, compiled for this machine or another, and what it is given to do."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from core_library import CORE
from support import opened

from caecodec.codecs import tiling
from caecodec.format import container
from caecodec.pictures import cells
from caecodec.zoo import find

QEMU = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
HAS_ZIG = importlib.util.find_spec("ziglang") is not None
ZIG = [sys.executable, "-m", "ziglang", "cc"] if HAS_ZIG else [shutil.which("zig") or "", "cc"]
PROGRAM = Path(__file__).parent / "determinism" / "other_machine.c"
GOLDEN = Path(__file__).parent / "golden" / "v2"
FLAGS = ("-O3", "-std=c11", "-pthread", f"-I{CORE}")
CELL = {"photo": cells.CELL, "tiny": cells.TINY_CELL}


def built(command: list[str], out: Path) -> Path:
    sources = [*sorted(CORE.glob("*.c")), PROGRAM]
    subprocess.run([*command, *FLAGS, *map(str, sources), "-o", str(out), "-lm"], check=True)
    return out


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
