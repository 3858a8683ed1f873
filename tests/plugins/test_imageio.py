"""imageio reads and writes .cae files, where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import photograph, psnr

iio = pytest.importorskip("imageio.v3", reason="imageio is not installed (pip install imageio)")


def test_imageio_writes_and_reads(tmp_path: Path) -> None:
    import caecodec.plugins.imageio

    path = tmp_path / "a.cae"
    pixels = photograph(48, 64)
    iio.imwrite(path, pixels, quality=90)
    found = iio.imread(path)
    np.testing.assert_array_equal(found, np.asarray(caecodec.decode(path)))
    assert psnr(found, pixels) > 30
    assert iio.immeta(path)["quality"] == 90
    assert iio.improps(path).shape == (48, 64, 3)
