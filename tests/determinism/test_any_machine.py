"""A file written on one machine decodes on another: to the same latents and pixels, bit for bit.

Machines are engines with an instruction set and a number of threads. What is exact, the native core with each of its
kernel sets and numpy with OpenBLAS's, writes the same bytes too. The engine on torch finds the same latents and pixels
within one step, and all others read what it writes. All machines read the same files, so every pair of them is held
equal. The quick test plays five machines on a few pictures, of which torch only reads; the one marked slow
plays all on many.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from machine_pictures import LARGE, Arrays, few_pictures, golden, many_pictures

from caecodec.engines.native import library
from caecodec.engines.opening import torch_lacks

HERE = Path(__file__).parent
LINUX = sys.platform == "linux"
FLAGS = Path("/proc/cpuinfo").read_text() if LINUX else ""
NEEDS = {  # instruction set -> what the CPU says of itself
    "portable": "",
    "sse2": " sse2",
    "avx2": " avx2",
    "avxvnni": " avx_vnni",
    "avx512": " avx512bw",
    "avx512vnni": " avx512_vnni",
    "neon": " asimd",
    "Nehalem": " sse4_2",
    "Haswell": " avx2",
    "Zen": " avx2",
    "SkylakeX": " avx512bw",
    "default": "",
}
ONEDNN = {"default": "SSE41", "avx2": "AVX2", "avx512": "AVX512_CORE"}  # beside what ATen is told


@dataclass(frozen=True)
class Machine:
    """kernels: the core's, OpenBLAS's or ATen's name of an instruction set; '' is what the library chooses."""

    engine: str
    kernels: str
    threads: int

    @property
    def name(self) -> str:
        return f"{self.engine}-{self.kernels or 'any'}-{self.threads}"

    @property
    def exact(self) -> bool:
        return self.engine != "torch"

    @property
    def environment(self) -> dict[str, str]:
        variables = ("CAECODEC_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        found = dict.fromkeys(variables, str(self.threads))
        found["OMP_WAIT_POLICY"] = "PASSIVE"  # other tests run beside these: threads that spin take twice the time
        if self.kernels and self.engine == "torch":
            found |= {"ATEN_CPU_CAPABILITY": self.kernels, "ONEDNN_MAX_CPU_ISA": ONEDNN[self.kernels]}
        elif self.kernels:
            found["OPENBLAS_CORETYPE" if self.engine == "numpy" else "CAECODEC_KERNELS"] = self.kernels
        return found

    @property
    def able(self) -> bool:
        """Whether it can be played here: a kernel for instructions that the CPU lacks would crash."""
        if self.engine == "native" and not library.available():
            return False
        if self.engine == "torch" and torch_lacks():
            return False
        return not self.kernels or (LINUX and NEEDS[self.kernels] in FLAGS)


THREADS = (1, 2, 8)
SETS = ("portable", "sse2", "avx2", "avxvnni", "avx512", "avx512vnni", "neon")
NATIVE = [Machine("native", k, n) for k in SETS for n in THREADS]
NUMPY = [Machine("numpy", k, n) for k, n in (("", 1), ("Haswell", 8), ("Nehalem", 2), ("Zen", 1), ("SkylakeX", 2))]
TORCH = [Machine("torch", k, n) for k, n in (("", 1), ("default", 2), ("avx2", 8), ("avx512", 2))]
ALL = (*NATIVE, *NUMPY, *TORCH)
FEW = (
    Machine("native", "portable", 1),
    Machine("native", "avx2" if platform.machine() in ("x86_64", "AMD64") else "neon", 8),
    Machine("native", "avx512vnni", 2),
    Machine("numpy", "", 2),
    Machine("torch", "", 2),
)


def play(machine: Machine, *arguments: str | Path) -> None:
    """Run the worker on a machine."""
    command = [sys.executable, HERE / "worker.py", machine.engine, *arguments]
    done = subprocess.run(
        [str(part) for part in command],
        env=os.environ | machine.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{machine.name}: {done.stderr[-2000:]}"


def encoded(machines: list[Machine], pictures: Arrays, out: Path) -> list[Path]:
    """Encode everywhere, hold what exact machines write equal, and return one folder of each kind of file."""
    np.savez(out / "exact.npz", **pictures)
    np.savez(out / "torch.npz", **{name: pictures[name] for name in pictures.keys() - {LARGE}})
    kept: list[Path] = []
    expected: dict[str, bytes] = {}
    for machine in machines:
        folder = out / machine.name
        folder.mkdir()
        play(machine, "encode", out / f"{'exact' if machine.exact else 'torch'}.npz", folder)
        files = {path.name: path.read_bytes() for path in folder.glob("*.cae")}
        if machine.exact and expected:
            assert files.keys() == expected.keys()
            assert [name for name in files if files[name] != expected[name]] == [], machine.name
            continue
        expected = files if machine.exact else expected
        kept.append(folder)
    return kept


@pytest.mark.long
@pytest.mark.parametrize(
    ("machines", "pictures"),
    [
        pytest.param(FEW, few_pictures, id="few machines"),
        pytest.param(ALL, many_pictures, id="all machines", marks=pytest.mark.slow),
    ],
)
def test_what_one_machine_writes_is_the_same_picture_on_every_other(
    tmp_path: Path, machines: tuple[Machine, ...], pictures: object
) -> None:
    able = [machine for machine in machines if machine.able]
    writers = [machine for machine in able if machine.exact or machines is ALL]  # torch is slow to start
    files = encoded(writers, pictures(), tmp_path)  # type: ignore[operator]
    files += [golden(tmp_path)] if machines is ALL else []
    expected: Arrays = {}
    for machine in able:
        play(machine, "decode", tmp_path / "decoded.npz", *files)
        with np.load(tmp_path / "decoded.npz") as stored:
            found = dict(stored)
        expected = expected or found  # the first is an exact one
        assert found.keys() == expected.keys()
        for name, array in found.items():
            off = int(np.abs(array.astype(int) - expected[name].astype(int)).max())
            allowed = 0 if machine.exact or name.endswith("latents") else 1
            assert off <= allowed, f"{name} on {machine.name} is {off} off"
