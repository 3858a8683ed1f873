"""Results -> what a codec's files are on average: every metric near round bit rates, and the bytes of their parts."""

from __future__ import annotations

import math
from collections.abc import Iterable

from caecodec.bench.rd.report import BPP_TARGETS, failure_notes, near
from caecodec.bench.rd.results import MeanPoint, Results
from caecodec.bench.table import NOTHING, Table
from caecodec.errors import UsageError

_NEAR = 1.5  # a measured rate further off than by this factor is not near
_COLUMNS = ("bytes", "bpp", "saved", "ratio", "PSNR", "RMSE", "SSIM", "MS-SSIM", "SSIMULACRA2", "pictures")


def mean_table(results: Results, codecs: Iterable[str] | None = None) -> Table:
    """Means of every metric at each codec's measured quality nearest to round bit rates, where it has one near.

    Means are over the pictures that the codec has measured in full. "saved" is the compression rate, 1 - bytes / raw
    bytes of 24-bit RGB; "ratio" the other way round, raw bytes / bytes. Raises UsageError for a codec without rows.
    """
    rows = []
    for codec in results.named(codecs):
        pictures = results.complete(codec)
        points = results.mean_points(codec, pictures)
        nearest = {p.quality: p for target in BPP_TARGETS if (p := near(points, target)) and _is_near(p, target)}
        rows += [(f"{codec}, {p.quality}", *_cells(p), str(len(pictures))) for p in nearest.values()]
    return Table(("codec, quality", *_COLUMNS), tuple(rows), failure_notes(results))


def overhead_table(results: Results, codecs: Iterable[str] | None = None) -> Table:
    """Mean bytes of each part of the files at the lowest, middle and highest quality measured, of codecs with parts.

    Raises UsageError where none of them has, and for a codec without rows.
    """
    found: list[tuple[str, MeanPoint]] = []
    for codec in results.named(codecs):
        points = results.mean_points(codec, results.complete(codec))
        places = sorted({0, len(points) // 2, len(points) - 1}) if points else []
        found += [(codec, points[place]) for place in places if points[place].parts]
    if not found:
        raise UsageError("the parts of these files are not known: measure them again")
    names = tuple(dict.fromkeys(name for _, point in found for name in point.parts or ()))
    rows = [(f"{codec}, {p.quality}", f"{p.bytes:,.0f}", *(_part(p, name) for name in names)) for codec, p in found]
    return Table(("codec, quality", "bytes", *names), tuple(rows), failure_notes(results))


def _is_near(point: MeanPoint, bpp: float) -> bool:
    return abs(math.log(point.bpp / bpp)) <= math.log(_NEAR)


def _cells(point: MeanPoint) -> tuple[str, ...]:
    return (
        f"{point.bytes:,.0f}",
        f"{point.bpp:.3f}",
        f"{100 * point.compression_rate:.2f} %",
        f"{point.ratio:.1f}",
        "lossless" if math.isinf(point.psnr) else f"{point.psnr:.2f} dB",
        f"{point.rmse:.2f}",
        _number(point.ssim, 4),
        _number(point.ms_ssim, 4),
        _number(point.ssimulacra2, 1),
    )


def _part(point: MeanPoint, name: str) -> str:
    size = (point.parts or {}).get(name)
    return NOTHING if size is None else f"{size:,.0f} ({100 * size / point.bytes:.1f} %)"


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"
