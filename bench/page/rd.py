"""Rate-distortion results -> what the report page shows of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from caecodec.bench.metrics.metrics import METRICS, PSNR, Metric
from caecodec.bench.metrics.published import fits, load_curves
from caecodec.bench.page.cells import Cell, Json, Styles, number, table, titled
from caecodec.bench.rd import bd_tables, means, report
from caecodec.bench.rd.results import MeanPoint, Results, Row
from caecodec.bench.table import NOTHING

TILES = ("jpeg", "webp", "avif", "jxl-9", "vvc")  # anchors of the figures at the top, where they were measured
SHOWN = ("vtm", "paper-elic2022_mse")  # published curves on from the start; the others wait to be switched on
MEAN = ""  # instead of a picture's name


_MEANS = (
    "Means at each codec's measured quality nearest to round bit rates. Saved is the compression rate, the share of "
    "the raw 24-bit picture that a file saves; ratio is raw bytes by bytes."
)


def rd_section(results: Results) -> Json:
    """Curves, comparisons of every codec with every other, overhead, and what failed."""
    styles, codecs = Styles(), results.codecs
    metrics = [m for m in METRICS if any(getattr(row, m.key) is not None for row in results.rows)]
    by_psnr = {anchor: _comparisons(results, anchor, PSNR) for anchor in codecs}
    return {
        "pictures": sorted(results.pictures or {row.picture: "" for row in results.rows}),
        "metrics": [_described(metric) for metric in metrics],
        "series": [_series(results, codec, metrics, styles) for codec in codecs],
        "anchors": [
            {
                "name": anchor,
                "tables": {
                    m.key: _comparison_table(by_psnr[anchor] if m is PSNR else _comparisons(results, anchor, m), m)
                    for m in metrics
                },
            }
            for anchor in codecs
        ],
        "tiles": _tiles(by_psnr),
        "published": _published(results),
        "means": titled([(_MEANS, means.mean_table(results))]),
        "overhead": _overhead(results),
        "failures": [[row.codec, str(row.quality), row.picture, str(row.error)] for row in results.failures],
        "unavailable": [list(pair) for pair in results.unavailable.items()],
    }


def _described(metric: Metric) -> Json:
    """What the page draws a metric by. note: what its BD-rates are over, where that is not the metric itself."""
    keys = ("key", "label", "unit", "decimals", "scale")
    return {key: getattr(metric, key) for key in keys} | {"note": " ".join(report.level_notes([metric]))}


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
    if not fits(results.pictures):
        return []
    made = []
    for name, found in load_curves().items():
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


def _comparisons(results: Results, anchor: str, metric: Metric) -> list[bd_tables.Comparison]:
    """Every other codec against the anchor."""
    return [bd_tables.compare(results, codec, anchor, metric) for codec in results.codecs if codec != anchor]


def _comparison_table(found: Sequence[bd_tables.Comparison], metric: Metric) -> Json:
    rows: list[list[Cell]] = []
    for c in sorted(found, key=lambda c: math.inf if c.bd_rate is None else c.bd_rate):
        span, worst = c.span, c.worst
        rows.append(
            [
                c.codec,
                number(c.bd_rate, "{:+.1f} %"),
                NOTHING if c.bd_level is None else {"t": report.gain(c.bd_level, metric), "v": c.bd_level},
                NOTHING if span is None else {"t": report.over(span, metric), "v": span[0]},
                number(c.median, "{:+.1f} %"),
                NOTHING if worst is None else {"t": f"{worst[1]:+.1f} % ({worst[0]})", "v": worst[1]},
                number(c.pictures, "{}"),
            ]
        )
    columns = ("codec", "BD-rate", f"BD-{metric.label}", "over", "median picture", "worst picture", "pictures")
    return table(columns, rows)


def _tiles(comparisons: Mapping[str, Sequence[bd_tables.Comparison]]) -> list[Json]:
    made = []
    for anchor in TILES:
        for c in comparisons.get(anchor, ()):
            if c.codec == report.OURS and c.bd_rate is not None:
                span = report.over(c.span, PSNR)
                about = f"BD-rate of {c.codec} against {anchor}, {span}, {c.pictures} pictures"
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
