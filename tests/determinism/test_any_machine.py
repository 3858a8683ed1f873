"""A file written on one machine decodes on another: every encoder's latents under every decoder, bit for bit.

Machines are played by environments: oneDNN's, MKL's and ATen's instruction sets, OpenBLAS's kernels, one or two
threads. Half of the files are coded with torch's sums, the other half with numpy's, and read again with either.
The quick test plays six machines that cover every value and most pairs, on a picture of each kind; the one marked
slow plays all 72, on pictures of many more shapes (half an hour).
"""

from __future__ import annotations

import itertools
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
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
PICTURES = {f"p{i}": photograph(h, w, seed=i) for i, (h, w) in enumerate(SIZES)}
PICTURES |= {f"tiny-{i}": photograph(h, w, seed=i) for i, (h, w) in enumerate(SMALL_SIZES)}
PICTURES |= {"tiny-gray": photograph(28, 28)[..., 0], "mnist-0": photograph(28, 28)[..., 0]}
PICTURES["cifar100-0"] = photograph(32, 32)
# a square, a large and a narrow one, one pixel, those of other efforts (worker.py), and one of each small model
FEW = ("p0", "p1", "p2", "p3", "p5", "p10", "tiny-2", "tiny-gray", "mnist-0", "cifar100-0")
pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or sys.platform != "linux",
    reason="the variables that choose instruction sets work on x86-64 Linux only",
)


def able(machines: tuple[Machine, ...]) -> list[Machine]:
    """Those of the machines that this CPU can play: a kernel for instructions it lacks would crash, not fall back."""
    flags = Path("/proc/cpuinfo").read_text()
    has_avx512, has_avx2 = "avx512f" in flags, " avx2" in flags
    found = [m for m in machines if (has_avx512 or m[3] != "SkylakeX") and (has_avx2 or m[3] == "Nehalem")]
    if len(found) < 2:
        pytest.skip("this CPU has no AVX2, so it can play one kind of machine only")
    return found


def run(machine: Machine, *arguments: str) -> None:
    isa, threads, capability, kernel = machine
    environment = os.environ | {
        "ONEDNN_MAX_CPU_ISA": isa,
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_ENABLE_INSTRUCTIONS": MKL[isa],
        "ATEN_CPU_CAPABILITY": capability,
        "OPENBLAS_CORETYPE": kernel,
        "OMP_WAIT_POLICY": "PASSIVE",  # other tests run beside these: two threads that spin take twice the time
    }
    worker = Path(__file__).with_name("worker.py")
    done = subprocess.run(
        [sys.executable, str(worker), *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{machine}: {done.stderr[-2000:]}"


def save(folder: Path, names: Iterable[str]) -> str:
    """Pictures as a file for the worker; its path."""
    path = folder / "pictures.npz"
    np.savez(path, **{name: PICTURES[name] for name in names})
    return str(path)


@pytest.mark.long
@pytest.mark.parametrize(
    ("machines", "names"),
    [
        pytest.param(COVERING, FEW, id="six machines"),
        pytest.param(ALL, tuple(PICTURES), id="all machines", marks=pytest.mark.slow),
    ],
)
def test_every_encoder_decodes_under_every_other_with_equal_latents_and_nearly_equal_pixels(
    tmp_path: Path, machines: tuple[Machine, ...], names: tuple[str, ...]
) -> None:
    pictures = save(tmp_path, names)
    folders = {machine: tmp_path / "-".join(machine) for machine in able(machines)}
    for machine, folder in folders.items():
        folder.mkdir()
        run(machine, "encode", pictures, str(folder))
    reference: dict[str, NDArray[np.uint8]] = {}
    for machine in folders:
        # beyond the covering six, each decoder reads the six encoders' files, and the six read everybody's
        sources = folders if machine in COVERING else {m: f for m, f in folders.items() if m in COVERING}
        out = tmp_path / "decoded.npz"
        run(machine, "decode", str(out), "float32", *map(str, sources.values()))
        for name, pixels in np.load(out).items():
            expected = reference.setdefault(name, pixels)
            worst = int(np.abs(pixels.astype(int) - expected.astype(int)).max())
            assert worst <= 1, f"{name} under {machine}: a pixel moved by {worst}"
    assert len(reference) == len(folders) * len(names)


def test_a_bfloat16_body_moves_pixels_by_at_most_two_steps(tmp_path: Path) -> None:
    pictures = save(tmp_path, PICTURES)
    (tmp_path / "cae").mkdir()
    machine = able(COVERING)[0]
    run(machine, "encode", pictures, str(tmp_path / "cae"))
    for precision in ("float32", "bfloat16"):
        run(machine, "decode", str(tmp_path / f"{precision}.npz"), precision, str(tmp_path / "cae"))
    exact, fast = np.load(tmp_path / "float32.npz"), np.load(tmp_path / "bfloat16.npz")
    worst = max(int(np.abs(exact[name].astype(int) - fast[name].astype(int)).max()) for name in exact.files)
    assert worst <= 2
