from __future__ import annotations

import itertools
import math
import sys

import pytest

from caecodec.bench.metrics import bdrate
from caecodec.errors import UsageError

ANCHOR = bdrate.curve([(0.1, 27.0), (0.3, 30.0), (0.7, 33.5), (1.5, 37.0), (3.0, 41.0)])


def scaled(factor: float) -> bdrate.Curve:
    return bdrate.Curve(tuple(rate * factor for rate in ANCHOR.rates), ANCHOR.levels)


@pytest.mark.parametrize("factor", [0.8, 0.5, 1.0, 1.25])
def test_a_rate_scaled_by_a_factor_has_that_bd_rate(factor: float) -> None:
    assert bdrate.bd_rate(ANCHOR, scaled(factor)) == pytest.approx(100 * (factor - 1), abs=1e-9)


def test_a_level_raised_by_a_constant_has_that_bd_level() -> None:
    better = bdrate.Curve(ANCHOR.rates, tuple(psnr + 1.5 for psnr in ANCHOR.levels))
    assert bdrate.bd_level(ANCHOR, better) == pytest.approx(1.5, abs=1e-9)


def test_curves_with_other_numbers_of_points_are_compared_over_what_they_share() -> None:
    # log rate linear in PSNR: PCHIP is exact, so the answer is, whatever the points
    anchor = bdrate.curve((10 ** (psnr / 20), psnr) for psnr in (24, 27, 31, 40))
    test = bdrate.curve((0.8 * 10 ** (psnr / 20), psnr) for psnr in (28, 29.5, 33, 36, 44))
    assert bdrate.common_range(anchor, test) == (28, 40)
    assert bdrate.bd_rate(anchor, test) == pytest.approx(-20, abs=1e-9)


def test_curves_without_a_common_range_have_no_bd_rate() -> None:
    high = bdrate.curve([(4.0, 45.0), (5.0, 47.0)])
    assert bdrate.common_range(ANCHOR, high) is None
    assert bdrate.bd_rate(ANCHOR, high) is None
    assert bdrate.bd_level(ANCHOR, high) is None
    assert bdrate.bd_rate(ANCHOR, bdrate.curve([(1.0, 30.0)])) is None


def test_a_curve_leaves_out_points_that_cost_more_for_less_and_lossless_ones() -> None:
    points = [(2.0, 36.0), (1.0, 35.0), (1.5, 34.0), (2.0, 35.5), (9.0, math.inf)]
    assert bdrate.curve(points) == bdrate.Curve((1.0, 2.0), (35.0, 36.0))


def test_level_at_meets_the_points_is_monotone_between_and_that_of_the_nearer_end_outside() -> None:
    for rate, level in zip(ANCHOR.rates, ANCHOR.levels, strict=True):
        assert bdrate.level_at(ANCHOR, rate) == pytest.approx(level)
    low, high = ANCHOR.rates[0], ANCHOR.rates[-1]
    between = [bdrate.level_at(ANCHOR, low + (high - low) * step / 20) for step in range(21)]
    assert all(a < b for a, b in itertools.pairwise(between))
    assert bdrate.level_at(ANCHOR, low / 2) == ANCHOR.levels[0]
    assert bdrate.level_at(ANCHOR, high * 2) == ANCHOR.levels[-1]
    assert bdrate.level_at(bdrate.curve([(1.0, 30.0)]), 5.0) == 30.0
    with pytest.raises(ValueError, match="without points"):
        bdrate.level_at(bdrate.curve([]), 1.0)


def test_rate_at_meets_the_points_and_is_monotone_between_and_none_outside() -> None:
    for rate, psnr in zip(ANCHOR.rates, ANCHOR.levels, strict=True):
        assert bdrate.rate_at(ANCHOR, psnr) == pytest.approx(rate)
    between = [bdrate.rate_at(ANCHOR, 30 + step / 10) for step in range(36)]
    assert all(a is not None and b is not None and a < b for a, b in itertools.pairwise(between))
    assert bdrate.rate_at(ANCHOR, 26.9) is None
    assert bdrate.rate_at(ANCHOR, 41.1) is None


def test_without_bjontegaard_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bjontegaard", None)
    with pytest.raises(UsageError, match=r"pip install caecodec\[bench\]"):
        bdrate.bd_rate(ANCHOR, scaled(0.8))
