"""Files of every released format version decode forever."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import contents, run

import caecodec

GOLDEN = sorted(Path(__file__).parent.glob("v*/*.cae"))
SMALL = Path(__file__).parent / "v1" / "small.cae"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_golden_file_decodes_to_its_pixels(path: Path) -> None:
    decoded = caecodec.decode(path.read_bytes(), precision="float32")
    expected = Image.open(path.with_suffix(".png"))
    assert decoded.mode == expected.mode
    assert np.abs(np.asarray(decoded).astype(int) - np.asarray(expected).astype(int)).max() <= 1


def test_there_are_golden_files() -> None:
    assert {path.stem for path in GOLDEN} >= {"small", "one-pixel", "colour", "gray", "alpha", "metadata", "two-tiles"}


def test_golden_metadata_is_kept() -> None:
    image = caecodec.decode((SMALL.parent / "metadata.cae").read_bytes())
    assert image.getexif()[0x0112] == 6
    assert image.info["xmp"].startswith(b"<x:xmpmeta")


def test_every_bit_flip_and_truncation_of_the_small_file_exits_4_and_writes_nothing(tmp_path: Path) -> None:
    data = SMALL.read_bytes()
    flips = [data[:i] + bytes((data[i] ^ 1 << bit,)) + data[i + 1 :] for i in range(len(data)) for bit in range(8)]
    damaged = flips + [data[:length] for length in range(len(data))]
    for number, bad in enumerate(damaged):
        source = tmp_path / "bad.cae"
        source.write_bytes(bad)
        result = run("decode", source)
        assert result.code == 4, number
        assert contents(tmp_path).keys() == {"bad.cae"}, number
