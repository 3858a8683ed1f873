"""The figure of `bench growth`: time and memory against megapixels, and files a second against files."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from caecodec.bench.timing.report import seconds, slope
from caecodec.bench.timing.results import GrowthResults
from caecodec.errors import FileSystemError, UsageError
from caecodec.files.writing import make_folder

_PARTS = {"encode": "-", "decode": "--"}


def draw_growth(results: GrowthResults, path: Path) -> None:
    """A panel for time, one for memory, and one for batches where there are any; shades are lowest to highest.

    Raises UsageError without matplotlib or measurements, FileSystemError.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise UsageError(f"a figure needs more packages ({exc}): pip install caecodec[bench]") from exc
    sizes, batches = [r for r in results.sizes if r.decode_s], [r for r in results.batches if r.decode_s]
    if not sizes and not batches:
        raise UsageError("nothing was measured that a figure could show")
    panels = (["time", "memory"] if sizes else []) + (["batches"] if batches else [])
    figure = Figure(figsize=(4.6 * len(panels), 4), layout="constrained")
    codecs = list(dict.fromkeys([*(row.codec for row in sizes), *(row.codec for row in batches)]))
    for place, what in enumerate(panels):
        panel = figure.add_subplot(1, len(panels), place + 1)
        for number, codec in enumerate(codecs):
            for part, style in _PARTS.items():
                _draw_line(panel, results, what, codec, part, {"linestyle": style, "color": f"C{number}"})
        ticks = {float(row.files) for row in batches} if what == "batches" else {row.megapixels for row in sizes}
        _dress(panel, what, sorted(ticks))
    try:
        make_folder(path.parent)
        figure.savefig(path, dpi=130)
    except (OSError, ValueError) as exc:  # ValueError: a suffix that matplotlib does not know
        raise FileSystemError(f"cannot write {path}: {exc}") from exc


def _draw_line(panel: Any, results: GrowthResults, what: str, codec: str, part: str, look: dict[str, Any]) -> None:
    label = f"{codec}, {part}"
    low: list[float] = []
    high: list[float] = []
    if what == "batches":
        batches = sorted((r for r in results.batches if r.codec == codec and r.decode_s), key=lambda r: r.files)
        x: list[float] = [row.files for row in batches]
        rates = [[row.files / s for s in seconds(row, part)] for row in batches]
        y = [statistics.median(values) for values in rates]
        low, high = [min(values) for values in rates], [max(values) for values in rates]
    else:
        sizes = sorted((r for r in results.sizes if r.codec == codec and r.decode_s), key=lambda r: r.megapixels)
        x = [row.megapixels for row in sizes]
        if what == "memory":
            peaks = [row.encode_peak_mib if part == "encode" else row.decode_peak_mib for row in sizes]
            y = [peak or 0.0 for peak in peaks]
        else:
            times = [seconds(row, part) for row in sizes]
            y = [statistics.median(values) for values in times]
            low, high = [min(values) for values in times], [max(values) for values in times]
            exponent = slope(results.sizes, codec, part)
            label += "" if exponent is None else f": pixels$^{{{exponent:.2f}}}$"
    if x:
        panel.plot(x, y, marker="o", markersize=4, label=label, **look)
    if low:
        panel.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)


def _dress(panel: Any, what: str, ticks: list[float]) -> None:
    label, unit, title = {
        "time": ("megapixels", "seconds", "Time of one picture, without start-up"),
        "memory": ("megapixels", "MiB", "Peak memory of the process"),
        "batches": ("files", "files a second", "Folders by the command, start-up included"),
    }[what]
    panel.set_title(title, fontsize="medium")
    panel.set(xlabel=label, ylabel=unit, xscale="log")
    if what == "time":
        panel.set_yscale("log")
    else:
        panel.set_ylim(bottom=0)
    panel.set_xticks(ticks, [f"{tick:.2g}" if tick < 100 else f"{tick:.0f}" for tick in ticks], minor=False)
    panel.set_xticks([], minor=True)
    panel.grid(alpha=0.3)
    panel.legend(fontsize="x-small", handlelength=3)  # long enough to tell dashes
