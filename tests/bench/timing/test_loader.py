from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import contents, photograph, run

from caecodec.bench.pictures import find_pictures
from caecodec.bench.timing.loader import crops, load

pytest.importorskip("torch", reason="torch is not installed (caecodec[torch])")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(photograph(40, 56, number)).save(folder / f"{number}.png")
    return folder


def test_crops_are_always_the_same_and_of_all_pictures(pictures: Path) -> None:
    found = find_pictures([pictures])
    once, again = list(crops(found, 5, 32)), list(crops(found, 5, 32))
    assert [crop.shape for crop in once] == [(32, 32, 3)] * 5
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not np.array_equal(once[0], once[2])


def test_a_row_of_each_codec_and_one_of_latents(pictures: Path, tmp_path: Path) -> None:
    where = ["--files", tmp_path / "files", "-o", tmp_path / "loader.json"]
    few = ["--count", "64", "--side", "32", "--workers", "0", "--rounds", "2"]
    result = run("bench", "loader", pictures, "--codecs", "caecodec:tiny,jpeg", *few, *where)
    assert (result.code, result.err) == (0, "")
    rows = load(tmp_path / "loader.json")
    assert [row.codec for row in rows] == ["caecodec:tiny", "caecodec:tiny (latents)", "jpeg"]
    assert all(len(row.pictures_s) == 2 and min(row.pictures_s) > 0 for row in rows)
    assert len(contents(tmp_path / "files")) == 2 * 64
    shown = run("bench", "loader", "--show", tmp_path / "loader.json", "--markdown").out.decode().splitlines()
    assert shown[0] == "| 64 files of 32x32, 0 workers | quality | bytes a file | pictures/s | rounds |"
    assert len(shown) == 5
