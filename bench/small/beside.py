"""Models of small pictures beside each other at equal bytes, in numbers and as one picture: two losses, say."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from caecodec.bench.small.codecs import Batch, Learned
from caecodec.bench.small.results import SmallRow
from caecodec.bench.small.run import measure_codec, model_of, unit
from caecodec.bench.small.search import Meter
from caecodec.bench.table import Table
from caecodec.codecs.opening import open_codec
from caecodec.errors import UsageError
from caecodec.files.writing import make_folder
from caecodec.models.training.small import GRID, strip
from caecodec.pictures.picture import from_array

_SCALE = 3  # of the picture
_HIGHEST = 100


def measure_beside(
    models: Sequence[str], small_set: str, pictures: Batch, size: float, drawing: Path
) -> tuple[list[SmallRow], Path]:
    """Each model at its highest quality of at most `size` bytes a picture, in the mean and a picture of it.

    models: names or files, with another effort as NAME@EFFORT. pictures: (P, H, W, C). The first row of `drawing` has
    originals, each of the others a model's. Raises UsageError where a model's smallest files are larger; ModelError,
    InputImageError.
    """
    rows, shown = [], [strip(unit(pictures[:GRID]))]
    for name in models:
        model, effort = model_of(name)
        codec = open_codec(model)
        codec.check(from_array(pictures[0]))
        learned = Learned(name, codec, effort)
        row = _within(learned, small_set, pictures, size)
        assert row.quality is not None
        rows.append(row)
        shown.append(strip(unit(learned.decode(learned.encode(pictures[:GRID], row.quality)))))
    make_folder(drawing.parent)
    image = Image.fromarray(np.concatenate(shown))
    image.resize((image.width * _SCALE, image.height * _SCALE), Image.Resampling.NEAREST).save(drawing)
    return rows, drawing


def _within(learned: Learned, small_set: str, pictures: Batch, size: float) -> SmallRow:
    meter = Meter(lambda quality: measure_codec(learned, small_set, pictures, quality), ())
    fit = bisect_right(range(1, _HIGHEST + 1), size, key=lambda quality: meter.at(quality).bytes or 0)
    if fit == 0:
        least = meter.at(1).bytes or 0
        raise UsageError(f"{learned.name}: {size:g} bytes cannot be met, quality 1 takes {least:.1f}")
    return meter.at(fit)


def beside_table(rows: Sequence[SmallRow]) -> Table:
    """For people."""
    lines = tuple(
        (row.codec, str(row.quality), f"{row.bytes:.1f}", f"{row.psnr:.2f} dB", f"{row.mse:.5f}", f"{row.ssim:.4f}")
        for row in rows
    )
    return Table(("model", "quality", "bytes", "PSNR", "MSE", "SSIM"), lines)
