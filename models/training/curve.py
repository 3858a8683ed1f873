"""The picture of a run."""

from __future__ import annotations

import json
from pathlib import Path


def draw_curve(folder: Path) -> None:
    """`curve.png` from `metrics.jsonl`: loss against minutes, and the validation score. Without matplotlib: nothing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    train = [r for r in rows if r["kind"] == "train"]
    validation = [r for r in rows if r["kind"] == "validation"]
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([r["minutes"] for r in train], [r["loss"] for r in train], linewidth=0.8)
    left.set(xlabel="minutes", ylabel="training loss", yscale="log")
    right.plot([r["minutes"] for r in validation], [r["score"] for r in validation], marker=".")
    right.set(xlabel="minutes", ylabel="validation score")
    figure.savefig(folder / "curve.png", dpi=110)
