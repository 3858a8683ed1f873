"""Rate-distortion curves and their Bjøntegaard deltas (ITU-T VCEG-M33), by PCHIP (`bjontegaard`).

A curve is by one metric, whose values here are levels (`metrics.Metric.level`): PSNR in dB, MS-SSIM in dB, SSIMULACRA2.
Every comparison is over the levels that both curves cover, and says which.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from caecodec.errors import UsageError


@dataclass(frozen=True, slots=True)
class Curve:
    """Rates (bpp or bytes) and levels of quality, both strictly rising. Make one with `curve`."""

    rates: tuple[float, ...]
    levels: tuple[float, ...]


def curve(points: Iterable[tuple[float, float]]) -> Curve:
    """(rate, level) in any order -> Curve.

    A point that costs more than another and is not better is left out, as is one whose level is infinite: a lossless
    one has no PSNR.
    """
    kept: list[tuple[float, float]] = []
    for rate, level in sorted(points, key=lambda point: (point[0], -point[1])):
        if math.isfinite(level) and (not kept or level > kept[-1][1]):
            kept.append((rate, level))
    return Curve(tuple(rate for rate, _ in kept), tuple(level for _, level in kept))


def common_range(anchor: Curve, test: Curve) -> tuple[float, float] | None:
    """The levels (low, high) that both curves reach; None where they do not overlap."""
    if len(anchor.rates) < 2 or len(test.rates) < 2:
        return None
    low, high = max(anchor.levels[0], test.levels[0]), min(anchor.levels[-1], test.levels[-1])
    return (low, high) if low < high else None


def bd_rate(anchor: Curve, test: Curve) -> float | None:
    """Mean difference in rate at equal level, in percent: -20 is a fifth smaller. None without a common range."""
    if common_range(anchor, test) is None:
        return None
    return float(require_bjontegaard().bd_rate(*_arrays(anchor, test), method="pchip", **_AS_GIVEN))


def bd_level(anchor: Curve, test: Curve) -> float | None:
    """Mean difference in level at equal rate: BD-PSNR of curves by PSNR. None without a common range of rates."""
    if min(len(anchor.rates), len(test.rates)) < 2:
        return None
    if max(anchor.rates[0], test.rates[0]) >= min(anchor.rates[-1], test.rates[-1]):
        return None
    return float(require_bjontegaard().bd_psnr(*_arrays(anchor, test), method="pchip", **_AS_GIVEN))


def rate_at(of: Curve, level: float) -> float | None:
    """The rate that reaches a level, by PCHIP through the logarithms of the rates; None outside the curve."""
    if not of.levels or not of.levels[0] <= level <= of.levels[-1]:
        return None
    if len(of.levels) == 1:
        return of.rates[0]
    require_bjontegaard()  # scipy comes with it
    from scipy.interpolate import PchipInterpolator

    return float(np.exp(PchipInterpolator(of.levels, np.log(of.rates))(level)))


def level_at(of: Curve, rate: float) -> float:
    """The level that a rate buys, by PCHIP over the logarithms of the rates; beyond the curve that of its nearer end.

    Raises ValueError for a curve without points.
    """
    if not of.rates:
        raise ValueError("a curve without points has no levels")
    if len(of.rates) == 1:
        return of.levels[0]
    require_bjontegaard()  # scipy comes with it
    from scipy.interpolate import PchipInterpolator

    within = min(max(rate, of.rates[0]), of.rates[-1])
    return float(PchipInterpolator(np.log(of.rates), of.levels)(np.log(within)))


_AS_GIVEN = {"require_matching_points": False, "min_overlap": 0}


def _arrays(*curves: Curve) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    return [np.array(values) for of in curves for values in (of.rates, of.levels)]


def require_bjontegaard() -> ModuleType:
    """The package, imported. Raises UsageError that says how to install it."""
    try:
        import bjontegaard
    except ImportError as exc:
        raise UsageError(f"comparing codecs needs more packages ({exc}): pip install caecodec[bench]") from exc
    module: ModuleType = bjontegaard
    return module
