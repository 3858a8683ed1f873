from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from support import photograph

from caecodec.bench.show import figure
from caecodec.errors import UsageError


def test_figure_shows_three_crops_enlarged(tmp_path: Path) -> None:
    picture = tmp_path / "photo.png"
    Image.fromarray(photograph(96, 128)).save(picture)
    output = tmp_path / "docs" / "figure.png"
    done = CliRunner().invoke(figure.main, [str(picture), "-o", str(output), "--bpp", "3", "--crop", "8,16,64,48"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    ours, theirs = (int(line.split(": ")[1].split(" bytes")[0].replace(",", "")) for line in lines[1:])
    assert theirs <= ours <= 3 * 96 * 128 / 8
    with Image.open(output) as image:
        assert image.width >= 3 * 128


@pytest.mark.parametrize("crop", ["1,2,3", "0,0,0,5", "-1,0,5,5", "60,0,10,10", "x,0,1,1"])
def test_a_crop_outside_the_picture_is_refused(crop: str) -> None:
    with pytest.raises(UsageError, match="--crop"):
        figure.parse_crop(crop, 64, 64)
