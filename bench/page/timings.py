"""Speed and growth results -> what the report page shows of them. Tables are those of the terminal."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from caecodec.bench.page.cells import Json, Styles, titled
from caecodec.bench.timing import report
from caecodec.bench.timing.results import BatchRow, GrowthResults, SizeRow, SpeedResults, SpeedRow

Rounds = Sequence[float]


def _one(value: float | None) -> Rounds:
    return () if value is None else (value,)


_SPEED_PANELS: Mapping[str, Callable[[SpeedRow], Rounds]] = {
    "Encode, warm, MP/s": lambda row: row.encode_mp_s,
    "Decode, warm, MP/s": lambda row: row.decode_mp_s,
    "Encode one file from a cold start, s": lambda row: row.cold_encode_s,
    "Decode one file from a cold start, s": lambda row: row.cold_decode_s,
    "Peak memory of encode, MiB": lambda row: _one(row.encode_peak_mib),
    "Peak memory of decode, MiB": lambda row: _one(row.decode_peak_mib),
}


def speed_section(results: SpeedResults) -> Json:
    """Bars of the median and the span of rounds, tables, and what failed."""
    styles, panels = Styles(), []
    for title, rounds_of in _SPEED_PANELS.items():
        bars = [
            {"codec": row.codec, "style": styles.of(row.codec)} | _spread(rounds_of(row), title.rpartition(", ")[2])
            for row in results.codecs
            if rounds_of(row)
        ]
        if bars:
            panels.append({"title": title, "bars": bars})
    return {
        "panels": panels,
        "tables": titled(report.speed_tables(results)),
        "failures": [
            *([row.codec, str(row.error)] for row in results.failures),
            *(list(pair) for pair in results.unavailable.items()),
        ],
    }


def growth_section(results: GrowthResults) -> Json:
    """Curves of time and memory, tables, and what failed."""
    styles = Styles()
    sizes: Mapping[str, tuple[str, Callable[[SizeRow], Rounds]]] = {
        "Encode time": ("s", lambda row: row.encode_s),
        "Decode time": ("s", lambda row: row.decode_s),
        "Peak memory of encode": ("MiB", lambda row: _one(row.encode_peak_mib)),
        "Peak memory of decode": ("MiB", lambda row: _one(row.decode_peak_mib)),
    }
    batches: Mapping[str, tuple[str, Callable[[BatchRow], Rounds]]] = {
        "Encode time of a batch": ("s", lambda row: row.encode_s),
        "Decode time of a batch": ("s", lambda row: row.decode_s),
    }
    panels = []
    for title, (unit, rounds_of) in sizes.items():
        points = [(r.codec, r.megapixels, f"{r.megapixels:,.2f} MP", rounds_of(r)) for r in results.sizes]
        panels.append(_panel(title, unit, "megapixels", points, styles))
    for title, (unit, of_batch) in batches.items():
        points = [(r.codec, float(r.files), f"{r.files} files", of_batch(r)) for r in results.batches]
        panels.append(_panel(title, unit, "files", points, styles))
    return {
        "panels": [panel for panel in panels if panel["series"]],
        "tables": titled(report.growth_tables(results)),
        "failures": [
            *([row.codec, f"{row.megapixels:g} megapixels", str(row.error)] for row in results.failures),
            *([codec, "everything", why] for codec, why in results.unavailable.items()),
        ],
    }


def _panel(title: str, unit: str, along: str, points: Sequence[tuple[str, float, str, Rounds]], styles: Styles) -> Json:
    series = []
    for codec in dict.fromkeys(codec for codec, _, _, rounds in points if rounds):
        own = sorted((x, at, rounds) for of, x, at, rounds in points if of == codec and rounds)
        made = []
        for x, at, rounds in own:
            spread = _spread(rounds, unit)
            made.append({"x": x, "y": spread["median"], "t": f"{at}: {spread['t']} {unit}"})
        series.append({"name": codec, "style": styles.of(codec), "points": made})
    return {"title": title, "unit": unit, "along": along, "series": series}


def _spread(rounds: Rounds, unit: str = "") -> Json:
    median = statistics.median(rounds)
    # memory is one number and never a fraction
    text = f"{median:,.0f}" if unit == "MiB" else report.spread(rounds)
    return {"median": median, "low": min(rounds), "high": max(rounds), "t": text}
