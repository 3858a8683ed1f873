"""Picture by picture: what a codec's files show, and what others would show in as many bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from caecodec.bench.metrics import bdrate
from caecodec.bench.metrics.metrics import PSNR, Metric
from caecodec.bench.rd.report import OURS, failure_notes, level_notes
from caecodec.bench.rd.results import Results, Row
from caecodec.bench.table import NOTHING, Table
from caecodec.errors import UsageError

QUALITIES = (50, 75)


def each_table(results: Results, against: Sequence[str], ours: str = OURS, metric: Metric = PSNR) -> Table:
    """The files of `ours` nearest to `QUALITIES`, picture by picture, and what others show in as many bytes.

    Qualities that gave one and the same file share a row. Others are interpolated between their own files of the
    picture; where ours is larger than all of them, their best one stands. The last row counts the files of ours that
    are at least as good. Raises UsageError where no file of `ours` was measured by the metric.
    """
    chosen = _chosen(results, ours, metric)
    if not chosen:
        raise UsageError(f"{metric.label} of {ours} is not measured: caecodec bench rd PICTURES --codecs {ours}")
    theirs = {codec: _points(results, codec, metric) for codec in against}
    rows, duels = [], {codec: list[bool]() for codec in against}
    for picture, qualities, size, level in chosen:
        cells = [picture, qualities, f"{size:,}", _shown(level, metric)]
        for codec in against:
            points = theirs[codec].get(picture, [])
            reached = _reached(points, size)
            if reached is not None:
                duels[codec].append(level >= reached)
                cells.append(_shown(reached, metric))
            else:
                cells.append(f"none so small: {min(points)[0]:,} bytes" if points else NOTHING)
        rows.append(tuple(cells))
    counted = (f"{sum(duels[codec])} of {len(duels[codec])}" for codec in against)
    rows.append(("as good or better", "", "", "", *counted))
    columns = ("picture", "quality", "bytes", metric.label, *(f"{codec}, same bytes" for codec in against))
    notes = level_notes([metric]) + failure_notes(results, (ours, *against))
    if any(len(found) < len(chosen) for found in duels.values()):
        notes = ("The last row counts where both have a file to compare", *notes)
    return Table(columns, tuple(rows), notes)


def _chosen(results: Results, codec: str, metric: Metric) -> list[tuple[str, str, int, float]]:
    """(picture, its qualities in words, bytes, level) of the files nearest to `QUALITIES`; one file is there once."""
    found = []
    for picture, rows in results.by_picture(codec).items():
        levels = {row.quality: level for row in rows if (level := _level(row, metric)) is not None}
        sizes = {row.quality: row.bytes for row in rows if row.bytes is not None}
        files: dict[tuple[int, float], list[int]] = {}
        for quality in dict.fromkeys(min(levels, key=lambda q: abs(q - asked)) for asked in QUALITIES if levels):
            files.setdefault((sizes[quality], levels[quality]), []).append(quality)
        found += [(picture, ", ".join(map(str, qualities)), *file) for file, qualities in files.items()]
    return found


def _points(results: Results, codec: str, metric: Metric) -> dict[str, list[tuple[int, float]]]:
    """(bytes, level) of every file of each picture."""
    return {
        picture: [(row.bytes or 0, level) for row in rows if (level := _level(row, metric)) is not None]
        for picture, rows in results.by_picture(codec).items()
    }


def _reached(points: Sequence[tuple[int, float]], size: int) -> float | None:
    """The level that files reach in `size` bytes; inf where a lossless one fits; None where all are larger."""
    if not any(of <= size for of, _ in points):
        return None
    if any(of <= size and math.isinf(level) for of, level in points):
        return math.inf
    return bdrate.level_at(bdrate.curve(points), size)


def _level(row: Row, metric: Metric) -> float | None:
    return metric.level(getattr(row, metric.key))


def _shown(level: float, metric: Metric) -> str:
    """A level with its unit; an infinite one is a lossless file's."""
    if math.isinf(level):
        return "lossless"
    return f"{level:.{metric.decimals if metric.level_unit == metric.unit else 2}f} {metric.level_unit}".strip()
