"""What more effort of the encoder buys: rate at equal PSNR against seconds, from rows of `caecodec@EFFORT`."""

from __future__ import annotations

import statistics

from caecodec.bench import bdrate
from caecodec.bench.report import NOTHING, Table
from caecodec.bench.results import Results
from caecodec.errors import UsageError

DEFAULT = 2


def effort_table(results: Results) -> Table:
    """A row for each effort that was measured. Raises UsageError where there are none, or not effort 1."""
    ours = [name for name in results.codecs if name.partition("@")[0] == "caecodec"]
    names = {effort_of(name): name for name in ours}
    if len(names) < len(ours):
        raise UsageError("caecodec and caecodec@2 are one effort: keep them in different files")
    if len(names) < 2 or 1 not in names:
        raise UsageError("measure efforts first: caecodec bench rd PICTURES --codecs caecodec@1,caecodec@2,...")
    rows = []
    for effort, name in sorted(names.items()):
        against = [_bd_rate(results, names.get(other), name) for other in (1, DEFAULT)]
        seconds = [
            1e6 * row.encode_s / (row.width * row.height)
            for row in results.rows
            if row.codec == name and row.encode_s is not None
        ]
        time = f"{statistics.median(seconds):.3g}" if seconds else NOTHING
        rows.append((f"{effort}{' (default)' if effort == DEFAULT else ''}", *against, time))
    pictures = sorted(results.pictures)
    sizes = sorted({f"{row.width}x{row.height}" for row in results.rows})
    qualities = sorted({row.quality for row in results.rows if row.codec in names.values()})
    note = (
        f"Pictures: {len(pictures)} of {' and '.join(sizes)}; qualities {', '.join(map(str, qualities))}. "
        "Seconds: median of all files, one thread each."
    )
    return Table(("effort", "bits, against 1", "against 2", "s a megapixel"), tuple(rows), (note,))


def effort_of(name: str) -> int:
    """'caecodec@5' -> 5; the name alone is the default effort."""
    return int(name.partition("@")[2] or DEFAULT)


def _bd_rate(results: Results, anchor: str | None, name: str) -> str:
    if anchor is None or anchor == name:
        return NOTHING
    shared = results.complete(anchor) & results.complete(name)
    rate = bdrate.bd_rate(results.mean_curve(anchor, shared), results.mean_curve(name, shared))
    return NOTHING if rate is None else f"{rate:+.2f} %"
