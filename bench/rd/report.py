"""Results -> the tables people read. Every number in them is computed from a results file; none is typed by hand."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from caecodec.bench.codecs.ours import of_caecodec
from caecodec.bench.metrics import bdrate
from caecodec.bench.metrics.metrics import PSNR, Metric
from caecodec.bench.rd.results import MeanPoint, Results, curve_of
from caecodec.bench.table import NOTHING, Table
from caecodec.errors import UsageError

OURS = "caecodec"
AGAINST = ("jpeg", "webp", "avif")
BPP_TARGETS = (0.1, 0.25, 0.5, 1.0, 2.0)
BEATEN = "jpeg-progressive"
BEATEN_QUALITIES = (25, 50, 90)


def failure_notes(results: Results, codecs: Container[str] | None = None) -> tuple[str, ...]:
    """One sentence for each codec that is missing, and for each picture that one failed on: where, and why.

    A picture that a codec failed on is in none of its means. codecs: only of these; None is all.
    """
    failed: dict[tuple[str, str, str], list[str]] = {}
    for row in results.failures:
        failed.setdefault((row.codec, row.picture, row.error or ""), []).append(str(row.quality))
    told = [(c, f"{c} could not be measured: {why}") for c, why in results.unavailable.items()]
    told += [(c, f"{c} failed on {p} at quality {', '.join(q)}: {why}") for (c, p, why), q in failed.items()]
    return tuple(note for c, note in told if codecs is None or c in codecs)


def level_notes(metrics: Iterable[Metric]) -> tuple[str, ...]:
    """One sentence for each metric whose ranges and BD-rates are in dB though its values are not."""
    of = [metric.label for metric in metrics if metric.level_unit != metric.unit]
    return tuple(f"BD-rates by {label} are over dB: -10 log10(1 - {label})" for label in of)


def our_codec(results: Results) -> str:
    """`OURS`, or where it was not measured caecodec with another model, effort or tune, or the first codec of all."""
    measured = results.codecs
    if OURS in measured or not measured:
        return OURS
    return next(filter(of_caecodec, measured), measured[0])


def measured_against(results: Results, ours: str) -> list[str]:
    """Those of `AGAINST` that were measured on pictures of `ours`, all of them on some; without any, of all codecs."""
    for candidates in (AGAINST, results.codecs):
        shared, found = results.complete(ours), []
        for codec in candidates:
            both = shared & results.complete(codec)
            if both and codec != ours:
                found.append(codec)
                shared = both
        if found:
            return found
    return []


def rate_table(results: Results, against: Sequence[str], ours: str = OURS, metric: Metric = PSNR) -> Table:
    """Measured qualities of `ours` nearest to round bit rates, and what others need for the same mean by a metric.

    All means are over the pictures that every codec named has measured in full. The last rows are BD-rates of `ours`,
    where there are others.
    Raises UsageError where a codec has no such picture, and where `ours` was not measured by the metric.
    """
    shared = set.intersection(*(results.complete(codec) for codec in (ours, *against)))
    if not shared:
        raise UsageError(f"no picture is measured in full by all of {', '.join((ours, *against))}")
    points = [point for point in results.mean_points(ours, shared) if getattr(point, metric.key) is not None]
    if not points:
        raise UsageError(f"{metric.label} of {ours} is not measured: caecodec bench rd PICTURES --codecs {ours}")
    own = curve_of(points, metric)
    curves = {codec: results.mean_curve(codec, shared, metric) for codec in against}
    nearest = {point.quality: point for target in BPP_TARGETS if (point := near(points, target))}
    rows = [
        (
            f"quality {point.quality}",
            metric.shown(getattr(point, metric.key)),
            f"{point.bpp:.3f} bpp",
            *(_needed(curves[codec], metric.level(getattr(point, metric.key))) for codec in against),
        )
        for point in nearest.values()
    ]
    if against:
        rates = (percent(bdrate.bd_rate(curves[codec], own)) for codec in against)
        rows.append((f"BD-rate of {ours}", "", "", *rates))
        rows.append(("over", "", "", *(over(bdrate.common_range(curves[codec], own), metric) for codec in against)))
    columns = (f"{len(shared)} pictures", metric.label, ours, *(f"{codec}, same {metric.label}" for codec in against))
    return Table(columns, tuple(rows), level_notes([metric]) + failure_notes(results, (ours, *against)))


def near(points: Sequence[MeanPoint], bpp: float) -> MeanPoint | None:
    """The measured point nearest to a bit rate, by ratio; None where there is none at all."""
    return min(points, key=lambda p: abs(math.log(p.bpp / bpp)), default=None)


def _needed(of: bdrate.Curve, level: float | None) -> str:
    rate = None if level is None else bdrate.rate_at(of, level)
    if rate is not None:
        return f"{rate:.3f} bpp"
    if level is None or not of.rates:
        return NOTHING
    # outside its curve: its smallest file is better than asked for, or its largest is worse
    return f"at most {of.rates[0]:.3f} bpp" if level < of.levels[0] else f"over {of.rates[-1]:.3f} bpp"


@dataclass(frozen=True, slots=True)
class Duel:
    """One picture at one quality of the rival: its file, and ours at the same PSNR."""

    picture: str
    quality: int
    psnr: float
    rival_bytes: int
    our_bytes: float | None  # None: we do not reach that PSNR, which loses

    @property
    def won(self) -> bool:
        return self.our_bytes is not None and self.our_bytes < self.rival_bytes


def duels(results: Results, ours: str = OURS, rival: str = BEATEN) -> list[Duel]:
    """Every picture that both have measured, at `BEATEN_QUALITIES` of the rival where it has them.

    Our bytes are interpolated between our own measured files. Below our smallest file's PSNR that file stands: it is
    better than asked for.
    """
    found = []
    our_rows, rival_rows = results.by_picture(ours), results.by_picture(rival)
    for picture in sorted(our_rows.keys() & rival_rows.keys()):
        sizes = bdrate.curve((row.bytes or 0, row.point[1]) for row in our_rows[picture])
        for row in rival_rows[picture]:
            if row.quality in BEATEN_QUALITIES and row.bytes is not None:
                psnr = row.point[1]
                below = bool(sizes.levels) and psnr < sizes.levels[0]
                size = sizes.rates[0] if below else bdrate.rate_at(sizes, psnr)
                found.append(Duel(picture, row.quality, psnr, row.bytes, size))
    return found


def duel_table(results: Results, ours: str = OURS, rival: str = BEATEN) -> Table:
    """Our size against the rival's at equal PSNR, picture by picture. Raises UsageError without a common picture."""
    fought = {(d.picture, d.quality): d for d in duels(results, ours, rival)}
    if not fought:
        qualities = ", ".join(map(str, BEATEN_QUALITIES))
        raise UsageError(f"no picture has rows of both {ours} and {rival} (at qualities {qualities})")
    rows = []
    for picture in dict.fromkeys(picture for picture, _ in fought):
        rows.append((picture, *(_cell(fought.get((picture, quality))) for quality in BEATEN_QUALITIES)))
    counts = []
    for quality in BEATEN_QUALITIES:
        here = [d for d in fought.values() if d.quality == quality]
        counts.append(f"{sum(d.won for d in here)} of {len(here)}")
    return Table(
        ("picture", *(f"at {rival} {quality}" for quality in BEATEN_QUALITIES)),
        (*rows, (f"{ours} is smaller", *counts)),
    )


def _cell(duel: Duel | None) -> str:
    if duel is None:
        return "not measured"
    if duel.our_bytes is None:
        return f"{duel.psnr:.1f} dB not reached"
    return f"{100 * (duel.our_bytes / duel.rival_bytes - 1):+.1f} %"


def percent(value: float | None) -> str:
    """A difference of rates; what rounds to nothing is +0.0."""
    return NOTHING if value is None else f"{round(value, 1) + 0.0:+.1f} %"


def over(span: tuple[float, float] | None, metric: Metric) -> str:
    """The range of levels that two curves share: '24.0 to 42.2 dB'."""
    return NOTHING if span is None else f"{span[0]:.1f} to {span[1]:.1f} {metric.level_unit}".strip()


def gain(level: float | None, metric: Metric) -> str:
    """A difference of levels."""
    return NOTHING if level is None else f"{level:+.2f} {metric.level_unit}".strip()
