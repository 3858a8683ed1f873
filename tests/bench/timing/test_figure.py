from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import run
from timing_rows import grown

from caecodec.bench.timing.figure import draw_growth
from caecodec.bench.timing.results import Aim, GrowthResults, save_timings
from caecodec.errors import FileSystemError, UsageError


def test_a_figure_is_drawn_from_the_file(tmp_path: Path) -> None:
    save_timings(grown(), tmp_path / "g.json")
    figure = tmp_path / "docs" / "growth.png"
    done = run("bench", "growth", "--show", tmp_path / "g.json", "--figure", figure, "--markdown")
    assert (done.code, done.err) == (0, "")
    assert "| A | 1.50 | 1.00 |" in done.out.decode()
    with Image.open(figure) as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    width = shown.shape[1]
    assert width > 2.5 * shown.shape[0]  # three panels
    coloured = np.abs(shown - shown.mean(axis=2, keepdims=True)).max(axis=2) > 60
    for panel in np.array_split(coloured, 3, axis=1):
        assert panel.sum() > 200  # each has its curves
    with pytest.raises(FileSystemError, match="cannot write"):
        draw_growth(grown(), tmp_path / "growth.nothing")
    with pytest.raises(UsageError, match="nothing was measured"):
        draw_growth(GrowthResults(Aim(bpp=1.0), 1, 1), figure)
