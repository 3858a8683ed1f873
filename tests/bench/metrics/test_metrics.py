from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from support import photograph

from caecodec.bench.codecs.registry import open_codec
from caecodec.bench.metrics import metrics
from caecodec.errors import UsageError


def test_metrics_of_known_pictures() -> None:
    black, dark = np.zeros((4, 5, 3), np.uint8), np.full((4, 5, 3), 2, np.uint8)
    assert metrics.mse(black, dark) == metrics.mse(dark, black) == 4.0
    assert metrics.psnr(4.0) == pytest.approx(10 * math.log10(255**2 / 4))
    assert metrics.psnr(0.0) == math.inf
    assert metrics.bpp(100, 20, 10) == 4.0
    assert metrics.compression_rate(60, 20, 10) == 0.9
    with pytest.raises(ValueError, match="cannot be compared"):
        metrics.mse(black, dark[:3])


def test_every_metric_is_best_on_equal_pictures_and_worse_on_worse_ones() -> None:
    array = photograph(176, 200)
    files = [open_codec("jpeg").encode(array, quality) for quality in (10, 90)]
    bad, good = (open_codec("jpeg").decode(data) for data in files)
    for name in metrics.ASKABLE:
        values = [metrics.measure(name, array, other) for other in (bad, good, array)]
        assert values == sorted(values, key=lambda value: value or 0)
        assert values[0] != values[1]
        assert values[2] == pytest.approx(100 if name == "ssimulacra2" else 1)


def test_ssim_of_flat_pictures_is_its_luminance_term() -> None:
    a, b = np.full((176, 176, 3), 100, np.uint8), np.full((176, 176, 3), 120, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert metrics.ssim(a, b) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1), abs=1e-4)


def test_a_metric_is_none_where_the_picture_is_too_small() -> None:
    for name, metric in metrics.ASKABLE.items():
        side = metric.smallest_side
        too_small = photograph(side - 1, side + 20)
        large = photograph(side, side + 20)
        assert metrics.measure(name, too_small, too_small) is None
        assert metrics.measure(name, large, large) is not None


def test_metrics_are_named_with_commas_between() -> None:
    assert metrics.names("psnr") == ()
    assert metrics.names("ms_ssim, ssim") == metrics.names("ms-ssim,ssim") == ("ssim", "ms_ssim")
    assert metrics.names("all") == ("ssim", "ms_ssim", "ssimulacra2")
    with pytest.raises(UsageError, match="no metric 'vmaf'; choose from psnr, ssim, ms_ssim, ssimulacra2 or all"):
        metrics.names("psnr,vmaf")


def test_metrics_to_compare_by_are_in_the_order_given_and_all_is_three_of_them() -> None:
    assert metrics.chosen(["ssimulacra2", "psnr", "ssimulacra2"]) == (metrics.SSIMULACRA2, metrics.PSNR)
    assert metrics.chosen(["all"]) == (metrics.PSNR, metrics.MS_SSIM, metrics.SSIMULACRA2)
    assert metrics.chosen(["ms-ssim", "all"])[0] is metrics.MS_SSIM
    with pytest.raises(UsageError, match="no metric 'vmaf'; choose from psnr, ssim, ms_ssim, ssimulacra2 or all"):
        metrics.chosen(["psnr", "vmaf"])


def test_levels_are_decibels_of_what_nears_one_and_else_the_value() -> None:
    for value, level in ((0.9, 10), (0.99, 20), (0.0, 0), (1.0, math.inf), (1.0000001, math.inf)):
        assert metrics.MS_SSIM.level(value) == pytest.approx(level)
    assert metrics.SSIM.level_unit == metrics.MS_SSIM.level_unit == metrics.PSNR.level_unit == "dB"
    assert (metrics.PSNR.level(31.5), metrics.SSIMULACRA2.level(-12.0)) == (31.5, -12.0)
    assert metrics.SSIMULACRA2.level_unit == ""
    assert metrics.MS_SSIM.level(None) is None


def test_a_metric_without_its_package_says_what_to_install_and_ssimulacra2_needs_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for package in ("pytorch_msssim", "ssimulacra2"):
        monkeypatch.setitem(sys.modules, package, None)
    metrics.require(("ssimulacra2",))
    with pytest.raises(UsageError, match=r"pip install caecodec\[bench\]"):
        metrics.require(("ssim",))
