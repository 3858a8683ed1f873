from __future__ import annotations

import subprocess
import sys

import pytest

GIB = 1 << 30
PROGRAM = """
import resource, sys
import numpy as np
from PIL import Image
import caecodec
rng = np.random.default_rng(0)
small = rng.integers(0, 256, (50, 75, 3), dtype=np.uint8)
image = Image.fromarray(small).resize((6000, 4000), Image.Resampling.BICUBIC)
data = caecodec.encode(image, 30)
encoded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
back = caecodec.decode(data)
decoded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
assert back.size == image.size
print(encoded, decoded)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_a_24_megapixel_photograph_encodes_in_one_and_a_half_gibibytes_and_decodes_in_one() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    encoded, decoded = map(int, done.stdout.split())
    assert encoded < 1.5 * GIB
    assert decoded < GIB
