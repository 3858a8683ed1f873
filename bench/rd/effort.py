"""What more effort of the encoder buys, by either tune: bits at equal quality against seconds."""

from __future__ import annotations

import statistics

from caecodec.bench.codecs.ours import effort_of
from caecodec.bench.metrics import bdrate
from caecodec.bench.metrics.metrics import PSNR, SSIMULACRA2, Metric
from caecodec.bench.rd.results import Results
from caecodec.bench.table import NOTHING, Table
from caecodec.errors import UsageError
from caecodec.tune import TUNES, Tune

DEFAULT = 2
METRIC: dict[Tune, Metric] = {"eye": SSIMULACRA2, "psnr": PSNR}  # what a tune is for


def effort_table(results: Results) -> Table:
    """A row for each effort that was measured. Raises UsageError where there are none, or no effort 2 of a tune."""
    names: dict[tuple[int, Tune], str] = {}
    for name in results.codecs:
        how = effort_of(name)
        if how is not None and names.setdefault(how, name) != name:
            raise UsageError(f"{names[how]} and {name} are one effort: keep them in different files")
    tunes = [tune for tune in TUNES if any(of == tune for _, of in names)]
    if len(names) < 2 or any((DEFAULT, tune) not in names for tune in tunes):
        raise UsageError("measure efforts first: caecodec bench rd PICTURES --codecs caecodec@1,caecodec@2,...")
    rows = []
    for effort in sorted({effort for effort, _ in names}):
        cells = [f"{effort}{' (default)' if effort == DEFAULT else ''}"]
        for tune in tunes:
            found = names.get((effort, tune))
            cells += [_bd_rate(results, names[DEFAULT, tune], found, METRIC[tune]), _seconds(results, found)]
        rows.append(tuple(cells))
    header = ["effort"]
    for tune in tunes:
        header += [f"{METRIC[tune].label}, {tune}", "s/MP"]
    pictures = sorted(results.pictures)
    sizes = sorted({f"{row.width}x{row.height}" for row in results.rows})
    qualities = sorted({row.quality for row in results.rows if row.codec in names.values()})
    note = (
        f"Bits against effort {DEFAULT} at equal "
        + " and ".join(f"{METRIC[tune].label} with --tune {tune}" for tune in tunes)
        + f". Pictures: {len(pictures)} of {' and '.join(sizes)}; qualities {', '.join(map(str, qualities))}. "
        "Seconds a megapixel: median of all files, one thread each."
    )
    return Table(tuple(header), tuple(rows), (note,))


def _seconds(results: Results, name: str | None) -> str:
    found = [
        1e6 * row.encode_s / (row.width * row.height)
        for row in results.rows
        if row.codec == name and row.encode_s is not None
    ]
    return f"{statistics.median(found):.3g}" if found else NOTHING


def _bd_rate(results: Results, anchor: str, name: str | None, metric: Metric) -> str:
    if name is None or anchor == name:
        return NOTHING
    shared = results.complete(anchor) & results.complete(name)
    curves = (results.mean_curve(codec, shared, metric) for codec in (anchor, name))
    rate = bdrate.bd_rate(*curves)
    return NOTHING if rate is None else f"{rate:+.2f} %"
