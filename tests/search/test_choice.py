"""Whether a picture is better kept losslessly, where it is too large to be measured whole."""

from __future__ import annotations

import numpy as np
import pytest
from support import photograph

from caecodec.codecs.opening import open_codec
from caecodec.format import container
from caecodec.pictures.picture import Picture
from caecodec.search import choice


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (4, 6), (16, 4), (32, 32), (5, 7)])
def test_a_sample_of_tiles_is_spread_over_rows_and_columns(rows: int, columns: int) -> None:
    some = choice.sampled(rows * columns)
    assert len(some) >= 8
    assert len({number % columns for number in some}) >= min(columns, 8) * 0.7
    assert len({number // columns for number in some}) >= min(rows, 8) * 0.7


@pytest.mark.parametrize("gray", [False, True])
def test_what_errors_are_worth_is_nearly_the_same_by_a_sample(gray: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = open_codec("photo")
    picture = Picture(photograph(1040, 1100)[..., 0] if gray else photograph(1040, 1100))
    data, trade = choice.lossy(codec, picture, 50), codec.trade(50, "eye")
    assert trade is not None
    whole = choice._worth(codec, picture, data, trade)
    monkeypatch.setattr(choice, "_WHOLE", 1)
    assert choice._worth(codec, picture, data, trade) == pytest.approx(whole, rel=0.03)


def test_a_smaller_lossless_file_is_taken_without_measuring_the_lossy_one(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []
    monkeypatch.setattr(choice, "_worth", lambda *_: measured.append(1) or 0.0)
    flat = np.full((200, 300, 3), 90, np.uint8)
    flat[50:90, 40:200] = 200
    assert container.is_lossless(choice.encode(open_codec("photo"), Picture(flat), 75))
    assert not measured
