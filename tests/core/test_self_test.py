"""Kernels that compute wrongly on a machine are noticed before they are used."""

from __future__ import annotations

import subprocess
from pathlib import Path

from core_library import compiler, kernels

CORE = Path(__file__).parents[2] / "codec" / "core"


def test_kernels_that_compute_wrongly_are_noticed(tmp_path: Path) -> None:
    program = tmp_path / "program"
    sources = [str(path) for path in sorted(CORE.glob("*.c"))]
    made = [compiler(), "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{CORE}", *sources]
    made += [str(Path(__file__).with_name("self_test_program.c")), "-o", str(program), "-lm", "-pthread"]
    subprocess.run(made, check=True)
    shown = subprocess.run([str(program), *kernels()], check=True, capture_output=True, text=True).stdout
    assert shown.splitlines() == [f"{name}: 1 0 0 0 0" for name in kernels()]
