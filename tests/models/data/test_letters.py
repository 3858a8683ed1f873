"""Pictures of letters to train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from support import photograph

from caecodec.models.data import letters

FONTS = sorted(Path("/usr/share/fonts").rglob("*.ttf")) if Path("/usr/share/fonts").is_dir() else []
with_fonts = pytest.mark.skipif(not FONTS, reason="no TrueType font is installed")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    Image.fromarray(photograph(700, 900)).save(folder / "a.png")
    Image.fromarray(photograph(300, 300)).save(folder / "small.png")
    return folder


@with_fonts
def test_a_seed_gives_the_same_pictures_again(photographs: Path, tmp_path: Path) -> None:
    def written(name: str, seed: int) -> list[bytes]:
        arguments = [str(photographs), "-o", str(tmp_path / name), "--count", "3", "--seed", str(seed)]
        result = CliRunner().invoke(letters.main, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return [path.read_bytes() for path in sorted((tmp_path / name).iterdir())]

    first, again, other = written("first", 1), written("again", 1), written("other", 2)
    assert len(first) == 3
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


@with_fonts
def test_paper_bears_ink_in_lines(photographs: Path) -> None:
    page = next(letters.pages([photographs], FONTS[:1], 1, 4))
    assert page.size == (640, 512)
    lightness = np.asarray(page.convert("L"), float)
    paper = np.median(lightness)
    inked = np.abs(lightness - paper) > 40
    assert 0.02 < inked.mean() < 0.5
    # most rows are either of a line of letters or between two
    assert inked.mean(1).max() > 3 * np.quantile(inked.mean(1), 0.2)


def test_what_is_missing_is_named(photographs: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    result = CliRunner().invoke(letters.main, [str(photographs), "-o", str(tmp_path / "out"), "--fonts", str(nothing)])
    assert result.exit_code == 2
    assert "no TrueType font in" in result.output
    if FONTS:
        result = CliRunner().invoke(letters.main, [str(photographs / "small.png"), "-o", str(tmp_path / "out")])
        assert "no photograph of at least 640x512" in result.output
