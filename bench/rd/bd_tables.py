"""Codecs against each other by BD-rate, in one metric or in several, and against curves that others published.

A BD-rate is between two curves, over the levels that these two share. So two BD-rates against one anchor are means over
two ranges, and their difference says nothing exact of the two codecs; `direct_table` compares one codec with each of
the others itself. Every table says its ranges.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from caecodec.bench.metrics import bdrate
from caecodec.bench.metrics.metrics import PSNR, Metric
from caecodec.bench.metrics.published import Published, fits
from caecodec.bench.rd.report import failure_notes, gain, level_notes, over, percent
from caecodec.bench.rd.results import Results, curve_of
from caecodec.bench.table import NOTHING, Table

ANCHOR = "jpeg"
Curves = tuple[bdrate.Curve, bdrate.Curve]  # of the anchor, and of what is compared with it


def measured_anchor(results: Results) -> str:
    """`ANCHOR`, or where it was not measured the first codec that was."""
    return ANCHOR if ANCHOR in results.codecs else next(iter(results.codecs), ANCHOR)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One codec against the anchor by a metric, by mean curves over `pictures` pictures and picture by picture."""

    codec: str
    metric: Metric
    pictures: int
    span: tuple[float, float] | None  # levels that both mean curves reach
    bd_rate: float | None
    bd_level: float | None
    by_picture: dict[str, float]  # BD-rates, of the pictures that have one

    @property
    def median(self) -> float | None:
        return statistics.median(self.by_picture.values()) if self.by_picture else None

    @property
    def worst(self) -> tuple[str, float] | None:
        """Picture and BD-rate."""
        return max(self.by_picture.items(), key=lambda item: item[1]) if self.by_picture else None


def compare(results: Results, codec: str, anchor: str = ANCHOR, metric: Metric = PSNR) -> Comparison:
    """BD-rates over the pictures that both have measured at every quality of theirs.

    Picture by picture there is none where one of the pictures lacks the metric: a median of the others would stand
    beside means of all.
    """
    shared = results.complete(codec) & results.complete(anchor)
    of_anchor, of_codec = (results.mean_curve(name, shared, metric) for name in (anchor, codec))
    anchor_rows, codec_rows = results.by_picture(anchor), results.by_picture(codec)
    rows = (row for of in (anchor_rows, codec_rows) for picture in shared for row in of[picture])
    by_picture = {}
    for picture in () if any(getattr(row, metric.key) is None for row in rows) else sorted(shared):
        rate = bdrate.bd_rate(curve_of(anchor_rows[picture], metric), curve_of(codec_rows[picture], metric))
        if rate is not None:
            by_picture[picture] = rate
    return Comparison(
        codec,
        metric,
        len(shared),
        bdrate.common_range(of_anchor, of_codec),
        bdrate.bd_rate(of_anchor, of_codec),
        bdrate.bd_level(of_anchor, of_codec),
        by_picture,
    )


def comparison_table(
    results: Results, anchor: str = ANCHOR, beside: Sequence[Published] = (), metric: Metric = PSNR
) -> Table:
    """Every codec of a file against the anchor, the best first; then published curves, against its mean curve."""
    compared = [compare(results, codec, anchor, metric) for codec in results.codecs]
    compared.sort(key=lambda c: math.inf if c.bd_rate is None else c.bd_rate)
    rows = []
    for c in compared:
        worst = NOTHING if c.worst is None else f"{c.worst[1]:+.1f} % ({c.worst[0]})"
        cells = (percent(c.bd_rate), gain(c.bd_level, metric), over(c.span, metric))
        rows.append((c.codec, *cells, percent(c.median), worst, str(c.pictures)))
    own = _kodak_curve(results, anchor, metric)
    for one in beside:
        pair = own, one.curve(metric)
        deltas = percent(bdrate.bd_rate(*pair)), gain(bdrate.bd_level(*pair), metric)
        rows.append((one.label, *deltas, over(bdrate.common_range(*pair), metric), NOTHING, NOTHING, NOTHING))
    label = metric.label
    columns = ("codec", f"BD-rate vs {anchor}", f"BD-{label}", f"{label} range")
    notes = (*_notes(results, results.codecs, [metric]), *failure_notes(results), *_sources(beside))
    return Table((*columns, "median picture", "worst picture", "pictures"), tuple(rows), notes)


def metrics_table(
    results: Results, metrics: Sequence[Metric], anchor: str = ANCHOR, beside: Sequence[Published] = ()
) -> Table:
    """Every codec of a file against the anchor by each metric, best first by the first; then published curves."""
    lines = [_measured_line(results, codec, anchor, codec, metrics) for codec in results.codecs]
    lines.sort(key=lambda line: math.inf if line.first is None else line.first)
    for one in beside:
        pairs = [(_kodak_curve(results, anchor, metric), one.curve(metric)) for metric in metrics]
        lines.append(_line(one.label, pairs, NOTHING))
    notes = (*_notes(results, results.codecs, metrics), *failure_notes(results), *_sources(beside))
    return _table(f"BD-rate vs {anchor}", metrics, lines, notes)


def direct_table(
    results: Results,
    ours: str,
    metrics: Sequence[Metric],
    codecs: Iterable[str] | None = None,
    beside: Sequence[Published] = (),
) -> Table:
    """BD-rates of `ours`, directly against each other codec (None: all in the file) and each published curve.

    The hardest to beat by the first metric is first; published curves come after what is measured. Raises UsageError
    for a codec without rows.
    """
    results.named([ours])
    named = None if codecs is None else list(codecs)
    others = [codec for codec in results.named(named) if codec != ours]
    lines = [_measured_line(results, codec, codec, ours, metrics) for codec in others]
    lines.sort(key=lambda line: math.inf if line.first is None else -line.first)
    for one in beside:
        pairs = [(one.curve(metric), _kodak_curve(results, ours, metric)) for metric in metrics]
        lines.append(_line(one.label, pairs, NOTHING))
    sign = f"-20 %: {ours} needs 20 % fewer bits than the other for the same quality; +20 %: 20 % more"
    failed = failure_notes(results, None if named is None else (ours, *others))
    notes = (sign, *_notes(results, (ours, *others), metrics), *failed, *_sources(beside))
    return _table(f"BD-rate of {ours} vs", metrics, lines, notes)


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of a table of several metrics: a BD-rate by each, with the levels it is over."""

    name: str
    rates: tuple[float | None, ...]
    spans: tuple[tuple[float, float] | None, ...]
    pictures: str

    @property
    def first(self) -> float | None:
        """What rows are ordered by."""
        return self.rates[0]


def _line(name: str, pairs: Sequence[Curves], pictures: str) -> _Line:
    rates = tuple(bdrate.bd_rate(*pair) for pair in pairs)
    return _Line(name, rates, tuple(bdrate.common_range(*pair) for pair in pairs), pictures)


def _measured_line(results: Results, name: str, anchor: str, codec: str, metrics: Sequence[Metric]) -> _Line:
    """Of a codec against another, over the pictures that both have measured in full."""
    shared = results.complete(codec) & results.complete(anchor)
    points = [results.mean_points(one, shared) for one in (anchor, codec)]
    return _line(name, [(curve_of(points[0], m), curve_of(points[1], m)) for m in metrics], str(len(shared)))


def _kodak_curve(results: Results, codec: str, metric: Metric) -> bdrate.Curve:
    """The mean curve where it is of the pictures that published curves are of; else an empty one."""
    complete = results.complete(codec)
    return results.mean_curve(codec, complete if fits(complete) else (), metric)


def _table(corner: str, metrics: Sequence[Metric], lines: Sequence[_Line], notes: tuple[str, ...]) -> Table:
    columns = (corner, *(column for metric in metrics for column in (metric.label, "over")), "pictures")
    rows = []
    for line in lines:
        of_metrics = zip(metrics, line.rates, line.spans, strict=True)
        cells = (cell for metric, rate, span in of_metrics for cell in (percent(rate), over(span, metric)))
        rows.append((line.name, *cells, line.pictures))
    return Table(columns, tuple(rows), notes)


def _notes(results: Results, codecs: Iterable[str], metrics: Sequence[Metric]) -> tuple[str, ...]:
    """What levels in dB are of, and which codecs lack a metric on pictures that they are measured on in full."""
    points = {codec: results.mean_points(codec, results.complete(codec)) for codec in codecs}
    lacking = []
    for metric in metrics:
        without = [codec for codec in points if any(getattr(point, metric.key) is None for point in points[codec])]
        if without:
            lacking.append(f"{metric.label} is not measured, or not of every picture: {', '.join(without)}")
    return (*level_notes(metrics), *lacking)


def _sources(beside: Iterable[Published]) -> tuple[str, ...]:
    return tuple(f"{one.label}: {one.source}" for one in beside)
