"""Picture by picture: what a codec's files show, and what others would show in as many bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from caecodec.bench.metrics import bdrate
from caecodec.bench.metrics.metrics import PSNR, Metric
from caecodec.bench.rd.report import OURS, failure_notes
from caecodec.bench.rd.results import Results, Row
from caecodec.bench.table import NOTHING, Table
from caecodec.errors import UsageError

QUALITIES = (50, 75)


def each_table(results: Results, against: Sequence[str], ours: str = OURS, metric: Metric = PSNR) -> Table:
    """A row for each picture and each of `QUALITIES` of `ours`: its bytes, its value, and the others' at those bytes.

    Others are interpolated between their own files of the picture; where ours is larger than all of them, their best
    one stands. The last row counts the files of ours that are at least as good. Raises UsageError where `ours` has no
    file of these qualities that was measured by the metric.
    """
    measured = [row for rows in results.by_picture(ours).values() for row in rows if row.quality in QUALITIES]
    chosen = [row for row in measured if _level(row, metric) is not None]
    if not chosen:
        asked = ",".join(map(str, QUALITIES))
        raise UsageError(
            f"no {metric.label} of {ours} at {asked}: bench rd PICTURES --codecs {ours} --qualities {asked}"
        )
    curves = {codec: _curves(results, codec, metric) for codec in against}
    rows, duels = [], {codec: list[bool]() for codec in against}
    for row in chosen:
        level = _level(row, metric)
        assert level is not None and row.bytes is not None
        cells = [row.picture, str(row.quality), f"{row.bytes:,}", _shown(level, metric)]
        for codec in against:
            of = curves[codec].get(row.picture)
            if of is None or not of.rates:
                cells.append(NOTHING)
            elif row.bytes < of.rates[0]:
                cells.append(f"none so small: {of.rates[0]:,.0f} bytes")
            else:
                reached = bdrate.level_at(of, row.bytes)
                cells.append(_shown(reached, metric))
                duels[codec].append(level >= reached)
        rows.append(tuple(cells))
    counted = (f"{sum(duels[codec])} of {len(duels[codec])}" for codec in against)
    rows.append((f"{ours} as good or better", "", "", "", *counted))
    columns = ("picture", "quality", "bytes", metric.label, *(f"{codec}, as many bytes" for codec in against))
    return Table(columns, tuple(rows), failure_notes(results, (ours, *against)))


def _level(row: Row, metric: Metric) -> float | None:
    return metric.level(getattr(row, metric.key))


def _curves(results: Results, codec: str, metric: Metric) -> dict[str, bdrate.Curve]:
    """For each picture, of bytes and levels."""
    return {
        picture: bdrate.curve((row.bytes or 0, level) for row in rows if (level := _level(row, metric)) is not None)
        for picture, rows in results.by_picture(codec).items()
    }


def _shown(level: float, metric: Metric) -> str:
    """A level with its unit; an infinite one is a lossless file's."""
    if math.isinf(level):
        return "lossless"
    return f"{level:.{metric.decimals if metric.level_unit == metric.unit else 2}f} {metric.level_unit}".strip()
