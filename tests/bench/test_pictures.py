from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import photograph

from caecodec.bench.pictures import find_pictures, load_pixels
from caecodec.errors import InputImageError, UsageError


def test_folders_give_their_lossless_pictures_and_files_are_taken_as_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("b.png", "a.ppm", "c.jpg"):
        Image.fromarray(photograph(8, 12)).save(tmp_path / "folder" / name)
    found = find_pictures([tmp_path / "folder"])
    assert [(p.name, p.width, p.height) for p in found] == [("a", 12, 8), ("b", 12, 8)]
    assert [p.name for p in find_pictures([tmp_path / "folder" / "c.jpg"])] == ["c"]


def test_a_picture_is_known_by_its_pixels_and_its_size(tmp_path: Path) -> None:
    pixels = photograph(8, 12)
    for name, array in (("a.png", pixels), ("b.bmp", pixels), ("c.png", pixels.reshape(12, 8, 3)), ("d.png", ~pixels)):
        Image.fromarray(array).save(tmp_path / name)
    a, b, c, d = (picture.sha256 for picture in find_pictures([tmp_path]))
    assert a == b
    assert len({a, c, d}) == 3


def test_a_crop_is_the_middle_and_has_a_hash_of_its_own(tmp_path: Path) -> None:
    pixels = photograph(20, 31)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(load_pixels(tmp_path / "a.png", 16), pixels[2:18, 7:23])
    (whole,), (part,) = find_pictures([tmp_path]), find_pictures([tmp_path], 16)
    assert (part.width, part.height, part.crop) == (16, 16, 16)
    assert part.sha256 != whole.sha256
    with pytest.raises(InputImageError, match="smaller than the 21x21 pixels"):
        load_pixels(tmp_path / "a.png", 21)


def test_what_is_no_picture_or_has_the_name_of_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "not.png").write_bytes(b"not a picture")
    with pytest.raises(InputImageError, match=r"not\.png"):
        find_pictures([tmp_path / "not.png"])
    with pytest.raises(InputImageError, match="missing"):
        find_pictures([tmp_path / "missing.png"])
    for folder in ("x", "y", "empty"):
        (tmp_path / folder).mkdir()
    for folder in ("x", "y"):
        Image.fromarray(photograph(8, 8)).save(tmp_path / folder / "same.png")
    with pytest.raises(UsageError, match="would both be called same"):
        find_pictures([tmp_path / "x", tmp_path / "y"])
    with pytest.raises(UsageError, match="no pictures there"):
        find_pictures([tmp_path / "empty"])
