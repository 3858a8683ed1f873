"""Rate-distortion results -> what the report page shows of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from caecodec.bench import means, published, report
from caecodec.bench.page_cells import Cell, Json, Styles, number, table, titled
from caecodec.bench.report import NOTHING
from caecodec.bench.results import MeanPoint, Results, Row

TILES = ("jpeg", "webp", "avif", "jxl-9", "vvc")  # anchors of the figures at the top, where they were measured
SHOWN = ("vtm", "paper-elic2022_mse")  # published curves on from the start; the others wait to be switched on
MEAN = ""  # instead of a picture's name


_MEANS = (
    "Means at each codec's measured quality nearest to round bit rates. Saved is the compression rate, the share of "
    "the raw 24-bit picture that a file saves; ratio is raw bytes by bytes."
)


@dataclass(frozen=True, slots=True)
class Metric:
    """A field of `Row` that can be plotted. scale: 'linear', or 'nines' for what nears 1."""

    key: str
    label: str
    unit: str
    decimals: int
    scale: str


METRICS = (
    Metric("psnr", "PSNR", "dB", 2, "linear"),
    Metric("ssim", "SSIM", "", 4, "nines"),
    Metric("ms_ssim", "MS-SSIM", "", 4, "nines"),
    Metric("ssimulacra2", "SSIMULACRA2", "", 1, "linear"),
)


def section(results: Results) -> Json:
    """Curves, comparisons of every codec with every other, overhead, and what failed."""
    styles, codecs = Styles(), results.codecs
    metrics = [m for m in METRICS if any(getattr(row, m.key) is not None for row in results.rows)]
    comparisons = {anchor: [report.compare(results, c, anchor) for c in codecs if c != anchor] for anchor in codecs}
    return {
        "pictures": sorted(results.pictures or {row.picture: "" for row in results.rows}),
        "metrics": [asdict(metric) for metric in metrics],
        "series": [_series(results, codec, metrics, styles) for codec in codecs],
        "anchors": [{"name": anchor, "table": _comparison_table(found)} for anchor, found in comparisons.items()],
        "tiles": _tiles(comparisons),
        "published": _published(results),
        "means": titled([(_MEANS, means.mean_table(results))]),
        "overhead": _overhead(results),
        "failures": [[row.codec, str(row.quality), row.picture, str(row.error)] for row in results.failures],
        "unavailable": [list(pair) for pair in results.unavailable.items()],
    }


def _series(results: Results, codec: str, metrics: Sequence[Metric], styles: Styles) -> Json:
    whole = results.complete(codec)
    curves = {picture: _curve(rows, metrics) for picture, rows in results.by_picture(codec).items()}
    curves[MEAN] = _curve(results.mean_points(codec, whole), metrics)
    return {
        "id": codec,
        "name": codec,
        "about": "; ".join(dict.fromkeys(row.version for row in results.rows if row.codec == codec)),
        "pictures": len(whole),
        "style": styles.of(codec),
        "curves": curves,
    }


def _published(results: Results) -> list[Json]:
    if not published.fits(results.pictures):
        return []
    made = []
    for name, found in published.load().items():
        curve: Json = {"bpp": found.bpp, "psnr": found.psnr}
        if found.ms_ssim is not None:
            curve["ms_ssim"] = found.ms_ssim
        # measured codecs have some of these names
        one = {"id": found.label, "name": name, "about": found.source, "shown": name in SHOWN, "curves": {MEAN: curve}}
        made.append(one)
    return made


def _curve(points: Sequence[Row] | Sequence[MeanPoint], metrics: Sequence[Metric]) -> Json:
    made: Json = {"quality": [point.quality for point in points], "bpp": [point.bpp for point in points]}
    for metric in metrics:
        made[metric.key] = [_finite(getattr(point, metric.key)) for point in points]
    return made


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _comparison_table(found: Sequence[report.Comparison]) -> Json:
    rows: list[list[Cell]] = []
    for c in sorted(found, key=lambda c: math.inf if c.bd_rate is None else c.bd_rate):
        span, worst = c.psnr_range, c.worst
        rows.append(
            [
                c.codec,
                number(c.bd_rate, "{:+.1f} %"),
                number(c.bd_psnr, "{:+.2f} dB"),
                NOTHING if span is None else {"t": f"{span[0]:.1f} to {span[1]:.1f} dB", "v": span[0]},
                number(c.median, "{:+.1f} %"),
                NOTHING if worst is None else {"t": f"{worst[1]:+.1f} % ({worst[0]})", "v": worst[1]},
                number(c.pictures, "{}"),
            ]
        )
    columns = ("codec", "BD-rate", "BD-PSNR", "over", "median picture", "worst picture", "pictures")
    return table(columns, rows)


def _tiles(comparisons: Mapping[str, Sequence[report.Comparison]]) -> list[Json]:
    made = []
    for anchor in TILES:
        for c in comparisons.get(anchor, ()):
            if c.codec == report.OURS and c.bd_rate is not None and c.psnr_range is not None:
                low, high = c.psnr_range
                about = f"BD-rate of {c.codec} against {anchor}, {low:.1f} to {high:.1f} dB, {c.pictures} pictures"
                made.append({"value": f"{c.bd_rate:+.1f} %", "about": about})
    return made


def _overhead(results: Results) -> list[Json]:
    """Mean bytes of the parts of a file at the lowest, the middle and the highest quality of codecs that have them."""
    made = []
    for codec in results.codecs:
        points = results.mean_points(codec, results.complete(codec))
        for point in (points[place] for place in sorted({0, len(points) // 2, len(points) - 1}) if points):
            if point.parts is None:
                continue
            parts = [
                {"name": name, "bytes": size, "t": f"{size:,.1f} ({100 * size / point.bytes:.1f} %)"}
                for name, size in point.parts.items()
            ]
            about = f"{point.bytes:,.1f} bytes, {point.bpp:.3f} bpp, {point.psnr:.2f} dB"
            made.append({"codec": codec, "quality": point.quality, "about": about, "parts": parts})
    return made
