from __future__ import annotations

import math

import pytest
from small_pictures import meter

from caecodec.bench.small.search import at_psnr, operating, within_bytes


@pytest.mark.parametrize("target", [19.0, 20.0, 20.1, 21.8, 21.9, 33.33, 39.8])
def test_the_lowest_quality_is_found_and_none_is_measured_twice(target: float) -> None:
    asked: list[int] = []
    found = meter(20.0, asked).lowest(lambda r: r.psnr >= target - 1e-9)
    assert found == max(1, math.ceil((target - 20) / 0.2 - 1e-6) + 1)
    assert len(asked) == len(set(asked)) <= 11 + 4


def test_the_operating_quality_has_a_margin_and_rises_until_the_whole_set_reaches_the_target() -> None:
    # on the curve quality 40 has 27.80 dB, too little above 27.78
    asked: list[int] = []
    same = operating(meter(20.0), meter(20.0, asked), 27.78)
    assert (same.quality, same.kind, same.asked_psnr, asked) == (41, "operating", 27.78, [41])
    harder = operating(meter(20.0), meter(19.5), 27.7)
    assert harder.quality == 42
    assert harder.psnr == pytest.approx(27.7)
    unreachable = operating(meter(20.0), meter(20.0), 60.0)
    assert unreachable.quality == 100


def test_what_tiny_gives_is_the_edge_on_the_whole_set_wherever_the_curve_has_it() -> None:
    for whole_starts in (19.5, 20.0, 20.5):
        whole = meter(whole_starts)
        found = at_psnr(meter(20.0), whole, 27.7)
        assert found.quality is not None
        assert found.psnr >= 27.7 > whole.at(found.quality - 1).psnr
    within = within_bytes(meter(20.0), meter(20.0), 402.0)
    assert (within.quality, within.bytes, within.asked_bytes) == (76, 400.0, 402.0)
    assert within_bytes(meter(20.0), meter(20.0), 10.0).quality == 1
    assert within_bytes(meter(20.0), meter(20.0), 9999.0).quality == 100
