"""Results -> the tables people read. Every number in them is computed from a results file; none is typed by hand."""

from __future__ import annotations

import math
import statistics
from collections.abc import Container, Sequence
from dataclasses import dataclass

from caecodec.bench import bdrate
from caecodec.bench.published import Published, fits
from caecodec.bench.results import MeanPoint, Results
from caecodec.errors import UsageError

OURS = "caecodec"
ANCHOR = "jpeg"
BPP_TARGETS = (0.1, 0.25, 0.5, 1.0, 2.0)
BEATEN = "jpeg-progressive"
BEATEN_QUALITIES = (25, 50, 90)
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text; the first column is what a row is about. Notes are sentences below it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """As a GitHub table, numbers to the right, notes as a list below."""
        rules = ("---", *("---:" for _ in self.columns[1:]))
        lines = ["| " + " | ".join(cells) + " |" for cells in (self.columns, rules, *self.rows)]
        return "\n".join([*lines, *([""] if self.notes else []), *(f"- {note}" for note in self.notes)])


@dataclass(frozen=True, slots=True)
class Comparison:
    """One codec against the anchor, by mean curves over `pictures` pictures and picture by picture."""

    codec: str
    pictures: int
    psnr_range: tuple[float, float] | None
    bd_rate: float | None
    bd_psnr: float | None
    by_picture: dict[str, float]  # BD-rates, of the pictures that have one

    @property
    def median(self) -> float | None:
        return statistics.median(self.by_picture.values()) if self.by_picture else None

    @property
    def worst(self) -> tuple[str, float] | None:
        """Picture and BD-rate."""
        return max(self.by_picture.items(), key=lambda item: item[1]) if self.by_picture else None


def compare(results: Results, codec: str, anchor: str = ANCHOR) -> Comparison:
    """BD-rates over the pictures that both have measured at every quality of theirs."""
    shared = results.complete(codec) & results.complete(anchor)
    of_anchor, of_codec = results.mean_curve(anchor, shared), results.mean_curve(codec, shared)
    anchor_rows, codec_rows = results.by_picture(anchor), results.by_picture(codec)
    by_picture = {}
    for picture in sorted(shared):
        rate = bdrate.bd_rate(
            bdrate.curve(row.point for row in anchor_rows[picture]),
            bdrate.curve(row.point for row in codec_rows[picture]),
        )
        if rate is not None:
            by_picture[picture] = rate
    return Comparison(
        codec,
        len(shared),
        bdrate.common_range(of_anchor, of_codec),
        bdrate.bd_rate(of_anchor, of_codec),
        bdrate.bd_psnr(of_anchor, of_codec),
        by_picture,
    )


def comparison_table(results: Results, anchor: str = ANCHOR, beside: Sequence[Published] = ()) -> Table:
    """Every codec of a file against the anchor, the best first; then published curves, against its mean curve."""
    columns = ("codec", f"BD-rate vs {anchor}", "BD-PSNR", "PSNR range", "median picture", "worst picture", "pictures")
    compared = [compare(results, codec, anchor) for codec in results.codecs]
    compared.sort(key=lambda c: math.inf if c.bd_rate is None else c.bd_rate)
    rows = []
    for c in compared:
        worst = NOTHING if c.worst is None else f"{c.worst[1]:+.1f} % ({c.worst[0]})"
        curve_cells = _curve_cells(c.bd_rate, c.bd_psnr, c.psnr_range)
        rows.append((c.codec, *curve_cells, _percent(c.median), worst, str(c.pictures)))
    complete = results.complete(anchor)
    own = results.mean_curve(anchor, complete if fits(complete) else ())  # the same pictures as theirs, or dashes
    for one in beside:
        theirs = one.curve
        deltas = bdrate.bd_rate(own, theirs), bdrate.bd_psnr(own, theirs)
        cells = _curve_cells(*deltas, bdrate.common_range(own, theirs))
        rows.append((one.label, *cells, NOTHING, NOTHING, NOTHING))
    sources = tuple(f"{one.label}: {one.source}" for one in beside)
    return Table(columns, tuple(rows), failure_notes(results) + sources)


def _curve_cells(rate: float | None, psnr: float | None, span: tuple[float, float] | None) -> tuple[str, str, str]:
    """BD-rate, BD-PSNR and the range of the first."""
    gain = NOTHING if psnr is None else f"{psnr:+.2f} dB"
    return _percent(rate), gain, NOTHING if span is None else f"{span[0]:.1f} to {span[1]:.1f} dB"


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


def rate_table(results: Results, against: Sequence[str], ours: str = OURS) -> Table:
    """Measured qualities of `ours` nearest to round bit rates, and what others need for the same mean PSNR.

    All means are over the pictures that every codec named has measured in full. The last rows are BD-rates of `ours`.
    Raises UsageError where a codec has no such picture.
    """
    shared = set.intersection(*(results.complete(codec) for codec in (ours, *against)))
    if not shared:
        raise UsageError(f"no picture is measured in full by all of {', '.join((ours, *against))}")
    points = results.mean_points(ours, shared)
    curves = {codec: results.mean_curve(codec, shared) for codec in against}
    nearest = {point.quality: point for target in BPP_TARGETS if (point := near(points, target))}
    rows = [
        (
            f"quality {point.quality}",
            f"{point.psnr:.2f} dB",
            f"{point.bpp:.3f} bpp",
            *(_needed(curves[codec], point.psnr) for codec in against),
        )
        for point in nearest.values()
    ]
    own = results.mean_curve(ours, shared)
    rates = (_percent(bdrate.bd_rate(curves[codec], own)) for codec in against)
    rows.append((f"BD-rate of {ours}", "", "", *rates))
    spans = (bdrate.common_range(curves[codec], own) for codec in against)
    rows.append(("over", "", "", *(NOTHING if s is None else f"{s[0]:.1f} to {s[1]:.1f} dB" for s in spans)))
    columns = (f"{len(shared)} pictures", "PSNR", ours, *(f"{codec}, same PSNR" for codec in against))
    return Table(columns, tuple(rows), failure_notes(results, (ours, *against)))


def near(points: Sequence[MeanPoint], bpp: float) -> MeanPoint | None:
    """The measured point nearest to a bit rate, by ratio; None where there is none at all."""
    return min(points, key=lambda p: abs(math.log(p.bpp / bpp)), default=None)


def _needed(of: bdrate.Curve, psnr: float) -> str:
    rate = bdrate.rate_at_psnr(of, psnr)
    if rate is not None:
        return f"{rate:.3f} bpp"
    if not of.rates:
        return NOTHING
    # outside its curve: its smallest file is better than asked for, or its largest is worse
    return f"at most {of.rates[0]:.3f} bpp" if psnr < of.psnrs[0] else f"over {of.rates[-1]:.3f} bpp"


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
                below = bool(sizes.psnrs) and psnr < sizes.psnrs[0]
                size = sizes.rates[0] if below else bdrate.rate_at_psnr(sizes, psnr)
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


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.1f} %"
