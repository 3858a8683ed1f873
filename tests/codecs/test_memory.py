"""How much memory a photograph takes, read from the system in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caecodec.engines.native import library

MIB = 1 << 20
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
import caecodec

def peak():  # bytes, since this program began; ru_maxrss would count the process that it was started from
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))

width, height, effort = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
small = rng.integers(0, 256, (height // 80, width // 80, 3), dtype=np.uint8)
image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
data = caecodec.encode(image, 30, effort=effort)
encoded = peak()
back = caecodec.decode(data)
decoded = peak()
assert back.size == image.size
print(encoded, decoded)
"""
# the threads of a user, each with room of its own, and not those of one test process among several
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@pytest.mark.long
@pytest.mark.parametrize(
    ("width", "height", "to_encode", "to_decode"),
    [
        # what a whole picture held at once would break by far; 24 megapixels take half a minute
        pytest.param(3000, 2000, 768 * MIB, 832 * MIB, id="6 megapixels"),
        pytest.param(6000, 4000, 1536 * MIB, 1024 * MIB, id="24 megapixels", marks=pytest.mark.slow),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="a process reads its peak memory in /proc, which only Linux has")
def test_a_photograph_encodes_and_decodes_in_bounded_memory(
    width: int, height: int, to_encode: int, to_decode: int
) -> None:
    """24 megapixels: one and a half gibibytes to encode, one to decode."""
    encoded, decoded = peaks(width, height)
    assert encoded < to_encode
    assert decoded < to_decode


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="a process reads its peak memory in /proc, which only Linux has")
@pytest.mark.skipif(not library.available(), reason=library.why_not())
def test_a_tile_is_searched_within_700_mebibytes() -> None:
    assert peaks(1024, 1024, effort=3)[0] < 700 * MIB


def peaks(width: int, height: int, effort: int = 2) -> tuple[int, int]:
    """Bytes of a process that encodes a picture, and then decodes it."""
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(width), str(height), str(effort)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    encoded, decoded = map(int, done.stdout.split())
    return encoded, decoded


PEAK = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "caecodec", *sys.argv[1:]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other ways")
def test_100_megapixels_are_held_once_while_they_are_encoded(tmp_path: Path) -> None:
    """12,000 x 8,400: Pillow's four bytes a pixel and little else."""
    small = np.random.default_rng(0).integers(0, 256, (105, 150, 3), dtype=np.uint8)
    Image.fromarray(small).resize((12000, 8400), Image.Resampling.BICUBIC).save(tmp_path / "large.ppm")
    command = [sys.executable, "-c", PEAK, "encode", "-q", "30", str(tmp_path / "large.ppm"), "-o", os.devnull]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) * 1024 < 700 * MIB
