"""Models beside each other at equal bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_pictures import digits
from support import run as command

from caecodec.bench.small.beside import beside_table, measure_beside
from caecodec.errors import UsageError


def pictures(count: int) -> np.ndarray:  # type: ignore[type-arg]
    """Digits as (P, 28, 28, 1)."""
    return digits(count, 1)[0][..., None]


def test_each_model_stays_within_the_bytes_and_a_picture_shows_them(tmp_path: Path) -> None:
    rows, drawn = measure_beside(("tiny", "mnist-fixed"), "mnist", pictures(20), 90, tmp_path / "deep" / "beside.png")
    assert [row.codec for row in rows] == ["tiny", "mnist-fixed"]
    assert all(30 < (row.bytes or 0) <= 90 for row in rows)
    assert [cells[0] for cells in beside_table(rows).rows] == ["tiny", "mnist-fixed"]
    with Image.open(drawn) as image:
        assert image.height == 3 * 3 * 34  # originals and two models
        shown = np.asarray(image)[::3, ::3].reshape(3, 34, 16, 34, 3).astype(int)
    # tiny's files of 90 bytes are good: what is shown is near the originals, and no copy of them
    assert 0 < np.abs(shown[1] - shown[0]).mean() < 20


def test_an_effort_is_named_with_its_model(tmp_path: Path) -> None:
    rows, _ = measure_beside(("tiny", "tiny@4"), "mnist", pictures(8), 60, tmp_path / "beside.png")
    assert [row.codec for row in rows] == ["tiny", "tiny@4"]
    assert rows[1].psnr > rows[0].psnr


def test_bytes_that_no_file_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="10 bytes cannot be met"):
        measure_beside(("tiny",), "mnist", pictures(5), 10, tmp_path / "beside.png")


def test_the_command(data: Path, tmp_path: Path) -> None:
    done = command("bench", "beside", "tiny", "--data", f"mnist={data}", "--bytes", "150", "-o", tmp_path / "b.png")
    assert done.code == 0, done.err
    assert b"tiny" in done.out and (tmp_path / "b.png").exists()
