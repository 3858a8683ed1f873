"""Machines to play: engines with an instruction set and a number of threads, each in a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

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
    """Run the worker on a machine. Raises AssertionError where it fails."""
    command = [sys.executable, HERE / "machine_worker.py", machine.engine, *arguments]
    done = subprocess.run(
        [str(part) for part in command],
        env=os.environ | machine.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{machine.name}: {done.stderr[-2000:]}"
