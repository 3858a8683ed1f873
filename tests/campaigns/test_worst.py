"""The worst inputs that campaigns found: each is answered in time, with one of our errors or a picture."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import run

FOLDER = Path(__file__).parent / "worst"
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix != ".md")
MIB = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of address space is Linux's")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_worst_input_is_answered_in_time_and_memory(path: Path) -> None:
    cae = path.suffix == ".cae"
    command = [sys.executable, "-m", "caecodec", "verify"] if cae else [sys.executable, "-c", READ]

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
        resource.setrlimit(resource.RLIMIT_AS, (2048 * MIB, 2048 * MIB))

    start = time.monotonic()
    done = subprocess.run([*command, path], capture_output=True, text=True, preexec_fn=bound, timeout=120)
    assert done.returncode in (0, 3, 4, 5, 6), done.stderr
    assert "internal error" not in done.stderr
    assert time.monotonic() - start < 100


READ = """
import sys
from pathlib import Path
from caecodec.errors import CaecodecError
from caecodec.pictures.pillow import open_picture
try:
    open_picture(Path(sys.argv[1]))
except CaecodecError as exc:
    sys.exit(exc.exit_code)
"""


def test_ten_are_kept() -> None:
    assert len(FILES) >= 10
    assert sum(path.stat().st_size for path in FILES) < 300_000


def test_nothing_is_written_for_a_file_that_states_more_than_it_is_worth(tmp_path: Path) -> None:
    result = run("decode", FOLDER / "787-bytes-of-2-to-the-28-pixels.cae", "-o", tmp_path / "out.png")
    assert result.code == 6
    assert "787 bytes state 16384x16384 pixels" in result.err
    assert "--max-pixels" in result.err
    assert list(tmp_path.iterdir()) == []
