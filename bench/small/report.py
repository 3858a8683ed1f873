"""The tables of `caecodec bench small`: whatever compares two codecs is computed here from plain rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from caecodec.bench.metrics import bdrate
from caecodec.bench.small.codecs import LIBRARIES
from caecodec.bench.small.results import ASKED_SET, MODELS, NOT_AT_HAND, OURS, SEARCHED, SmallResults, SmallRow
from caecodec.bench.table import NOTHING, Table, Titled


def bytes_at(of: bdrate.Curve, psnr: float) -> float | None:
    """Bytes a picture at a PSNR, their logarithm linear between measured points; None outside the curve."""
    if not of.levels or not of.levels[0] <= psnr <= of.levels[-1]:
        return None
    return float(np.exp(np.interp(psnr, of.levels, np.log(of.rates))))


def psnr_at(of: bdrate.Curve, size: float) -> float | None:
    """PSNR in dB at bytes a picture, the inverse; None outside the curve."""
    if not of.rates or not of.rates[0] <= size <= of.rates[-1]:
        return None
    return float(np.interp(math.log(size), np.log(of.rates), of.levels))


def small_tables(results: SmallResults) -> list[Titled]:
    """What the tables are about, and the tables that have rows."""
    found = {name: results.of("operating", name, p.set) for name, p in MODELS.items()}
    measured = {name: rows[0] for name, rows in found.items() if rows}
    asked = [row for row in results.rows if row.kind == "asked"]
    made = [
        (_counts(results) + " What each source claims, and what it comes to:", _source_table(results, measured)),
        ("The networks as drawn:", _drawn_table(results, measured)),
        ("The same networks as codecs, whole files:", _codec_table(results, measured)),
        (
            "The same codecs beside others on the same set. In brackets: without what files could share, the tables "
            "and headers of JPEG and the headers of WebP; caecodec's bytes are always those of the whole file.",
            _rival_table(results, measured),
        ),
        (
            f"`{OURS}` on {ASKED_SET}, whole files; `{SEARCHED}`: with `--effort {SEARCHED[-1]}`.",
            _asked_table(results, asked),
        ),
    ]
    return [(text, table) for text, table in made if table.rows]


def _counts(results: SmallResults) -> str:
    parts = []
    for name, of in results.sets.items():
        curves = "" if of["curve_pictures"] == of["pictures"] else f" (curves: {of['curve_pictures']:,})"
        parts.append(f"{name} {of['pictures']:,}{curves}")
    return (
        f"Test pictures: {', '.join(parts)}. PSNR and SSIM are means over pictures, RMSE is the root of the mean MSE, "
        "samples are in 0..1; bytes are the mean of whole files, the rate is what they save of the raw picture."
    )


def _source_table(results: SmallResults, measured: Mapping[str, SmallRow]) -> Table:
    columns = ("source", "claims", "rate claimed", "as drawn, floats", "as a real file", "real rate")
    rows = []
    for name, row in measured.items():
        published = MODELS[name]
        if published.rate == NOTHING:  # ours
            continue
        drawn = [f"{d.psnr:.2f} dB, {d.bytes or 0:,.0f} bytes" for d in results.of("drawn", name, row.set)]
        real = f"{row.psnr:.2f} dB, {row.bytes:.1f} bytes"
        rate = _rate(row, results.samples(row.set))
        rows.append((name, published.quality, published.rate, *(drawn or [NOT_AT_HAND]), real, rate))
    return Table(columns, tuple(rows))


def _drawn_table(results: SmallResults, measured: Mapping[str, SmallRow]) -> Table:
    columns = ("as drawn", "set", "published", "rate claimed", "PSNR", "MSE", "RMSE", "SSIM", "latents as floats")
    rows = []
    for name, row in measured.items():
        published = MODELS[name]
        cells = [NOT_AT_HAND, *[NOTHING] * 4]
        for d in results.of("drawn", name, row.set):
            cells = [f"{d.psnr:.2f} dB", f"{d.mse:.6f}", f"{d.rmse:.4f}", f"{d.ssim:.4f}", f"{d.bytes or 0:,.0f} bytes"]
        rows.append((name, row.set, published.quality, published.rate, *cells))
    return Table(columns, tuple(rows))


def _codec_table(results: SmallResults, measured: Mapping[str, SmallRow]) -> Table:
    columns = ("as codec", "quality", "PSNR", "MSE", "RMSE", "SSIM", "bytes", "real rate", "rate claimed")
    rows = []
    for name, row in measured.items():
        cells = (f"{row.quality}", _psnr(row), f"{row.mse:.6f}", f"{row.rmse:.4f}", f"{row.ssim:.4f}")
        rate = _rate(row, results.samples(row.set))
        rows.append((name, *cells, f"{row.bytes:.1f}", rate, MODELS[name].rate))
    return Table(columns, tuple(rows))


def _psnr(row: SmallRow) -> str:
    missed = row.asked_psnr is not None and row.psnr < row.asked_psnr
    return f"{row.psnr:.2f} dB" + (f", below {row.asked_psnr:.2f}" if missed else "")


def _rate(row: SmallRow, raw: int) -> str:
    return f"{100 * (1 - (row.bytes or 0) / raw):.2f} %"


def _rival_table(results: SmallResults, measured: Mapping[str, SmallRow]) -> Table:
    columns = (
        "model", "PSNR", "bytes", f"{OURS}, same PSNR", "JPEG, same PSNR", "WebP, same PSNR", "JPEG, same bytes",
        "WebP, same bytes",
    )  # fmt: skip
    rows = []
    for name, row in measured.items():
        cells = [name, f"{row.psnr:.2f} dB", f"{row.bytes:.1f}"]
        cells.append(_needed(results.curve(OURS, row.set), row.psnr))
        for give, value in ((_needed, row.psnr), (_given, row.bytes or 0.0)):
            for rival in LIBRARIES:
                whole, stripped = (give(results.curve(rival, row.set, stripped=s), value) for s in (False, True))
                cells.append(f"{whole} ({stripped})")
        rows.append(tuple(cells))
    return Table(columns, tuple(rows))


def _needed(of: bdrate.Curve, psnr: float) -> str:
    size = bytes_at(of, psnr)
    if size is not None:
        return f"{size:,.1f}"
    if not of.rates:
        return NOTHING
    # outside its curve: its smallest file is better than asked for, or its largest is worse
    return f"at most {of.rates[0]:,.1f}" if psnr < of.levels[0] else "not reached"


def _given(of: bdrate.Curve, size: float) -> str:
    psnr = psnr_at(of, size)
    if psnr is not None:
        return f"{psnr:.2f} dB"
    if not of.rates:
        return NOTHING
    return f"cannot: smallest is {of.rates[0]:,.0f} bytes" if size < of.rates[0] else f"over {of.levels[-1]:.2f} dB"


def _asked_table(results: SmallResults, asked: Sequence[SmallRow]) -> Table:
    rows = []
    for row in asked:
        if row.asked_bytes is not None:
            wanted = f"at most {row.asked_bytes:.0f} bytes"
            missed = (row.bytes or 0) > row.asked_bytes
        else:
            wanted, missed = f"at least {row.asked_psnr} dB", row.psnr < (row.asked_psnr or 0)
        cells = (wanted + (": not reached" if missed else ""), row.codec, f"{row.quality}", f"{row.psnr:.2f} dB")
        rows.append((*cells, f"{row.ssim:.4f}", f"{row.bytes:.1f}", _rate(row, results.samples(row.set))))
    return Table(("asked", "codec", "quality", "PSNR", "SSIM", "bytes", "rate"), tuple(rows))
