"""Figures of small pictures: curves of codecs, latents as points, and how well an anomaly is found."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caecodec.bench.small.results import MODELS, OURS, SmallResults
from caecodec.errors import FileSystemError, UsageError
from caecodec.files.writing import make_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_CLASSES = 20
_TICKS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_GRAYS = {"jpeg": ("0.45", "JPEG"), "webp": ("0.7", "WebP")}


def draw_curves(results: SmallResults, path: Path) -> None:
    """Bytes a picture against PSNR, a panel for each set. Raises UsageError without matplotlib, FileSystemError."""
    try:
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise UsageError(f"a figure needs more packages ({exc}): pip install caecodec[bench]") from exc
    if not results.sets:
        raise UsageError("nothing was measured that a figure could show")
    columns = min(2, len(results.sets))
    lines = -(-len(results.sets) // columns)
    figure = Figure(figsize=(5.2 * columns, 4 * lines), layout="constrained")
    for place, small_set in enumerate(results.sets):
        panel = figure.add_subplot(lines, columns, place + 1)
        _draw_set(panel, results, small_set)
    try:
        make_folder(path.parent)
        figure.savefig(path, dpi=130)
    except (OSError, ValueError) as exc:  # ValueError: a suffix that matplotlib does not know
        raise FileSystemError(f"cannot write {path}: {exc}") from exc


def _draw_set(panel: Any, results: SmallResults, small_set: str) -> None:
    curves = [(codec, results.curve(codec, small_set), gray, label, "-") for codec, (gray, label) in _GRAYS.items()]
    stripped = results.curve("jpeg", small_set, stripped=True)
    curves.insert(1, ("jpeg", stripped, _GRAYS["jpeg"][0], "JPEG without tables", "--"))
    names = [name for name, published in MODELS.items() if published.set == small_set]
    for number, name in enumerate(names):
        curves.append((name, results.curve(name, small_set), f"C{number}", f"{name}, as codec", "-"))
    curves.append((OURS, results.curve(OURS, small_set), "C3", OURS, "-"))
    left, right = math.inf, 1.0
    for codec, curve, colour, label, style in curves:
        if curve.rates:
            width = 2.4 if codec == OURS else 1.4
            panel.plot(curve.rates, curve.levels, style, color=colour, label=label, linewidth=width)
            left, right = min(left, curve.rates[0] / 1.2), max(right, 1.2 * curve.rates[-1])
    for number, name in enumerate(names):
        for row in results.of("operating", name, small_set):
            panel.plot([row.bytes], [row.psnr], "o", color=f"C{number}")
        for row in results.of("drawn", name, small_set):
            size = row.bytes or 0.0
            label = f"{name}, as drawn ({size:,.0f} bytes of floats)"
            # off the axis: an arrowhead at its edge
            marker = ">" if size > right else "x"
            panel.plot([min(size, right)], [row.psnr], marker, color=f"C{number}", label=label, clip_on=False)
    panel.set(xscale="log", xlabel="bytes a picture", ylabel="PSNR in dB", title=small_set)
    panel.set_xticks(_TICKS, [f"{tick:,}" for tick in _TICKS], minor=False)
    panel.set_xticks([], minor=True)
    panel.set_xlim(left, right)
    panel.grid(alpha=0.3)
    panel.legend(fontsize="x-small")


def scatter(points: NDArray[np.floating[Any]], labels: NDArray[np.int64], classes: Sequence[str], title: str) -> bytes:
    """Points (P, 2) coloured by class, as PNG; classes past the twentieth are gray."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    style: dict[str, Any] = {"s": 9, "alpha": 0.8, "linewidths": 0}
    shown = classes[:SHOWN_CLASSES]
    rest = (labels < 0) | (labels >= len(shown))
    if rest.any():
        axes.scatter(*points[rest].T, color="0.75", label="others" if shown else None, **style)
    palette = matplotlib.colormaps["tab10" if len(shown) <= 10 else "tab20"]
    for label, name in enumerate(shown):
        axes.scatter(*points[labels == label].T, color=palette(label), label=name, **style)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=11, loc="left")
    if shown:
        figure.legend(loc="outside right upper", frameon=False, fontsize=9, markerscale=2)
    return _png(figure)


def draw_roc(positive: NDArray[np.bool_], score: NDArray[np.floating[Any]], auc: float, title: str) -> bytes:
    """The receiver operating characteristic, and the area under it, as PNG."""
    from matplotlib.figure import Figure
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(positive, score)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(false, true, label=f"AUC {auc:.3f}")
    axes.plot((0, 1), (0, 1), color="0.6", linestyle=":", label="chance")
    axes.set(xlabel="of the others, taken for it", ylabel="of the class left out, found", aspect="equal")
    axes.set_title(title, fontsize=11, loc="left")
    axes.legend(loc="lower right", frameon=False)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()
