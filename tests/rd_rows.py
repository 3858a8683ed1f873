"""Rows of made-up codecs whose BD-rates are known: log rate is linear in every metric's levels, so PCHIP is exact."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from caecodec.bench.metrics.metrics import Metric
from caecodec.bench.rd.results import Results, Row

PSNRS = {1: 26.0, 20: 29.0, 40: 32.0, 60: 35.0, 80: 38.0}
GRIDS = {"jpeg": 1.0, "webp": 0.8, "avif": 0.5}
MS_SSIM_BELOW = 16.0  # level of MS-SSIM of a codec without a gain: PSNR less this, in dB
POINTS_A_DB = 5.0  # SSIMULACRA2 of it: this times PSNR, less 120


def row(codec: str, quality: int, picture: str, size: int | None, psnr: float | None, **metrics: float) -> Row:
    error = None if size is not None else "RuntimeError: broken"
    return Row(codec, "1", quality, picture, 100, 80, size, psnr, None if size is None else 1.0, error, **metrics)


def size_of(factor: float, psnr: float) -> int:
    """Bytes of a file of 100x80 pixels: ten times as many for 10 dB more."""
    return round(factor * 500 * 10 ** ((psnr - 26) / 10))


def made(pictures: Iterable[str] = ("a", "b"), **sizes: float) -> Results:
    """Codecs whose sizes are those of `jpeg` times a factor, with the same PSNRs; each picture twice as large as the
    last one.
    """
    return Results(
        rows=[
            row(codec, quality, picture, size_of(factor * 2**place, psnr), psnr)
            for codec, factor in sizes.items()
            for place, picture in enumerate(pictures)
            for quality, psnr in PSNRS.items()
        ]
    )


def of_metrics(pictures: Iterable[str] = ("a", "b"), **factors: tuple[float, float, float]) -> Results:
    """Codecs with their factors in size at equal PSNR, MS-SSIM and SSIMULACRA2: (1, 0.5, 2) is half by MS-SSIM."""
    rows = []
    for codec, (at_psnr, at_ms_ssim, at_ssimulacra2) in factors.items():
        gain = 10 * math.log10(at_psnr / at_ms_ssim)  # dB of MS-SSIM more than `jpeg` has at this PSNR
        points = POINTS_A_DB * 10 * math.log10(at_psnr / at_ssimulacra2)
        for picture in pictures:
            for quality, psnr in PSNRS.items():
                ms_ssim = 1 - 10 ** (-(psnr - MS_SSIM_BELOW + gain) / 10)
                ssimulacra2 = POINTS_A_DB * psnr - 120 + points
                values = {"ms_ssim": ms_ssim, "ssimulacra2": ssimulacra2}
                rows.append(row(codec, quality, picture, size_of(at_psnr, psnr), psnr, **values))
    return Results(pictures=dict.fromkeys(pictures, "hash"), rows=rows)


def without(results: Results, codec: str, metric: Metric) -> Results:
    """The same, but for a metric of one codec."""
    rows = [replace(r, **{metric.key: None}) if r.codec == codec else r for r in results.rows]
    return Results(results.environment, results.pictures, results.unavailable, rows)
