from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from support import photograph

from caecodec.bench.page.view import make_views
from caecodec.errors import UsageError


def test_pictures_are_shown_at_about_equal_bytes_with_a_map_of_bits(tmp_path: Path) -> None:
    Image.fromarray(photograph(72, 104)).save(tmp_path / "one.png")
    views = make_views([tmp_path], None, ["caecodec", "webp"], 0.8)
    ours, theirs = views.shown
    assert (ours["codec"], theirs["codec"], ours["picture"]) == ("caecodec", "webp", "one")
    assert theirs["bytes"] <= ours["bytes"] <= 0.8 * 72 * 104 / 8
    assert f"{ours['bytes']:,} bytes" in views.html
    assert f"{theirs['bytes']:,} bytes" in views.html
    (bits,) = views.maps
    assert (len(bits["cells"]), len(bits["cells"][0])) == (5, 7)
    # what the file spends on pixels is nearly all of it
    assert 0.6 * ours["bytes"] < sum(map(sum, bits["cells"])) / 8 < ours["bytes"]


def test_a_picture_that_is_not_there_is_refused(tmp_path: Path) -> None:
    Image.fromarray(photograph(32, 32)).save(tmp_path / "one.png")
    with pytest.raises(UsageError, match="--view 'two': no such picture in --pictures; there are one"):
        make_views([tmp_path], ["two"], ["jpeg"], 1.0)
