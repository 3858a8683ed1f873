"""A file written on one machine decodes on another: every encoder's latents under every decoder, bit for bit.

Machines are played by environments: oneDNN's, MKL's and ATen's instruction sets, OpenBLAS's kernels, one or two
threads. Half of the files are coded with torch's sums, the other half with numpy's, and read again with either.
CAECODEC_ALL_MACHINES=1 plays all 72 combinations instead of the six that cover every value and most pairs.
"""

from __future__ import annotations

import itertools
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support import photograph

Machine = tuple[str, str, str, str]  # oneDNN ISA, threads, ATen capability, OpenBLAS kernel

COVERING: tuple[Machine, ...] = (
    ("SSE41", "1", "default", "Nehalem"),
    ("AVX2", "2", "avx2", "Haswell"),
    ("AVX512_CORE", "1", "avx512", "SkylakeX"),
    ("AVX512_CORE", "2", "default", "Zen"),
    ("SSE41", "2", "avx512", "Zen"),
    ("AVX2", "1", "default", "SkylakeX"),
)
ALL = tuple(
    itertools.product(
        ("SSE41", "AVX2", "AVX512_CORE"),
        ("1", "2"),
        ("default", "avx2", "avx512"),
        ("Nehalem", "Haswell", "SkylakeX", "Zen"),
    )
)
MKL = {"SSE41": "SSE4_2", "AVX2": "AVX2", "AVX512_CORE": "AVX512"}
SIZES = (
    (64, 64),
    (96, 128),
    (33, 47),
    (1, 1),
    (16, 200),
    (130, 70),
    (80, 80),
    (48, 96),
    (100, 31),
    (72, 72),
    (17, 90),
    (60, 44),
)
SMALL_SIZES = ((32, 32), (64, 64), (17, 40), (5, 9))
pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or sys.platform != "linux",
    reason="the switches that play other machines exist on x86-64 Linux only",
)


def machines() -> list[Machine]:
    flags = Path("/proc/cpuinfo").read_text()
    wanted = ALL if os.environ.get("CAECODEC_ALL_MACHINES") else COVERING
    has_avx512, has_avx2 = "avx512f" in flags, " avx2" in flags
    # a kernel for instructions this CPU lacks would crash, not fall back
    able = [m for m in wanted if (has_avx512 or m[3] != "SkylakeX") and (has_avx2 or m[3] == "Nehalem")]
    if len(able) < 2:
        pytest.skip("this CPU can play only one machine")
    return able


def run(machine: Machine, *arguments: str) -> None:
    isa, threads, capability, kernel = machine
    environment = os.environ | {
        "ONEDNN_MAX_CPU_ISA": isa,
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_ENABLE_INSTRUCTIONS": MKL[isa],
        "ATEN_CPU_CAPABILITY": capability,
        "OPENBLAS_CORETYPE": kernel,
    }
    worker = Path(__file__).with_name("worker.py")
    done = subprocess.run(
        [sys.executable, str(worker), *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{machine}: {done.stderr[-2000:]}"


def test_every_encoder_decodes_under_every_other_with_equal_latents_and_nearly_equal_pixels(tmp_path: Path) -> None:
    pictures = {f"p{i}": photograph(h, w, seed=i) for i, (h, w) in enumerate(SIZES)}
    pictures |= {f"tiny-{i}": photograph(h, w, seed=i) for i, (h, w) in enumerate(SMALL_SIZES)}
    pictures |= {"tiny-gray": photograph(28, 28)[..., 0], "mnist-0": photograph(28, 28)[..., 0]}
    pictures["cifar100-0"] = photograph(32, 32)
    np.savez(tmp_path / "pictures.npz", **pictures)
    todo = machines()
    folders = {machine: tmp_path / "-".join(machine) for machine in todo}
    for machine, folder in folders.items():
        folder.mkdir()
        run(machine, "encode", str(tmp_path / "pictures.npz"), str(folder))
    reference: dict[str, NDArray[np.uint8]] = {}
    for machine in todo:
        # beyond the covering six, each decoder reads the six encoders' files, and the six read everybody's
        sources = folders if machine in COVERING else {m: f for m, f in folders.items() if m in COVERING}
        out = tmp_path / "decoded.npz"
        run(machine, "decode", str(out), "float32", *map(str, sources.values()))
        for name, pixels in np.load(out).items():
            expected = reference.setdefault(name, pixels)
            worst = int(np.abs(pixels.astype(int) - expected.astype(int)).max())
            assert worst <= 1, f"{name} under {machine}: a pixel moved by {worst}"
    assert len(reference) == len(todo) * len(pictures)


def test_a_bfloat16_body_moves_pixels_by_at_most_two_steps(tmp_path: Path) -> None:
    pictures = {f"p{i}": photograph(h, w, seed=i) for i, (h, w) in enumerate(SIZES)}
    pictures |= {f"tiny-{i}": photograph(h, w, seed=i) for i, (h, w) in enumerate(SMALL_SIZES)}
    pictures |= {"tiny-gray": photograph(28, 28)[..., 0], "mnist-0": photograph(28, 28)[..., 0]}
    pictures["cifar100-0"] = photograph(32, 32)
    np.savez(tmp_path / "pictures.npz", **pictures)
    (tmp_path / "cae").mkdir()
    machine = machines()[0]
    run(machine, "encode", str(tmp_path / "pictures.npz"), str(tmp_path / "cae"))
    for precision in ("float32", "bfloat16"):
        run(machine, "decode", str(tmp_path / f"{precision}.npz"), precision, str(tmp_path / "cae"))
    exact, fast = np.load(tmp_path / "float32.npz"), np.load(tmp_path / "bfloat16.npz")
    worst = max(int(np.abs(exact[name].astype(int) - fast[name].astype(int)).max()) for name in exact.files)
    assert worst <= 2
