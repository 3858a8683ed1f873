"""Rate-distortion curves and their Bjøntegaard deltas (ITU-T VCEG-M33), by PCHIP (`bjontegaard`).

Every comparison is over the PSNR range that both curves cover, and says which.
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
    """Rates (bpp or bytes) and PSNRs in dB, both strictly rising. Make one with `curve`."""

    rates: tuple[float, ...]
    psnrs: tuple[float, ...]


def curve(points: Iterable[tuple[float, float]]) -> Curve:
    """(rate, PSNR) in any order -> Curve.

    A point that costs more than another and is not better is left out, as is a lossless one: it has no PSNR.
    """
    kept: list[tuple[float, float]] = []
    for rate, psnr in sorted(points, key=lambda point: (point[0], -point[1])):
        if math.isfinite(psnr) and (not kept or psnr > kept[-1][1]):
            kept.append((rate, psnr))
    return Curve(tuple(r for r, _ in kept), tuple(p for _, p in kept))


def common_range(anchor: Curve, test: Curve) -> tuple[float, float] | None:
    """The PSNRs (low, high) that both curves reach; None where they do not overlap."""
    if len(anchor.rates) < 2 or len(test.rates) < 2:
        return None
    low, high = max(anchor.psnrs[0], test.psnrs[0]), min(anchor.psnrs[-1], test.psnrs[-1])
    return (low, high) if low < high else None


def bd_rate(anchor: Curve, test: Curve) -> float | None:
    """Mean difference in rate at equal PSNR, in percent: -20 is a fifth smaller. None without a common range."""
    if common_range(anchor, test) is None:
        return None
    return float(require_bjontegaard().bd_rate(*_arrays(anchor, test), method="pchip", **_AS_GIVEN))


def bd_psnr(anchor: Curve, test: Curve) -> float | None:
    """Mean difference in PSNR at equal rate, in dB. None without a common range of rates."""
    if min(len(anchor.rates), len(test.rates)) < 2:
        return None
    if max(anchor.rates[0], test.rates[0]) >= min(anchor.rates[-1], test.rates[-1]):
        return None
    return float(require_bjontegaard().bd_psnr(*_arrays(anchor, test), method="pchip", **_AS_GIVEN))


def rate_at_psnr(of: Curve, psnr: float) -> float | None:
    """The rate that reaches a PSNR, by PCHIP through the logarithms of the rates; None outside the curve."""
    if not of.psnrs or not of.psnrs[0] <= psnr <= of.psnrs[-1]:
        return None
    if len(of.psnrs) == 1:
        return of.rates[0]
    require_bjontegaard()  # scipy comes with it
    from scipy.interpolate import PchipInterpolator

    return float(np.exp(PchipInterpolator(of.psnrs, np.log(of.rates))(psnr)))


_AS_GIVEN = {"require_matching_points": False, "min_overlap": 0}


def _arrays(*curves: Curve) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    return [np.array(values) for of in curves for values in (of.rates, of.psnrs)]


def require_bjontegaard() -> ModuleType:
    """The package, imported. Raises UsageError that says how to install it."""
    try:
        import bjontegaard
    except ImportError as exc:
        raise UsageError(f"comparing codecs needs more packages ({exc}): pip install caecodec[bench]") from exc
    module: ModuleType = bjontegaard
    return module
