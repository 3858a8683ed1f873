"""The autoencoders of the literature and `tiny` on whole test sets of tiny pictures, beside JPEG and WebP.

Every byte of a file counts. PSNR is the mean of pictures, and an identical picture counts as `PSNR_CAP`. Results hold
plain rows; whatever compares two codecs is computed from them when a table is made.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caecodec.bench.environment import environment
from caecodec.bench.small.codecs import LIBRARIES, Batch, Learned, Library, SmallCodec, open_libraries
from caecodec.bench.small.results import (
    ASKED_BYTES,
    ASKED_PSNR,
    ASKED_SET,
    MODELS,
    NOT_AT_HAND,
    OURS,
    SEARCHED,
    SEARCHED_PSNR,
    PublishedModel,
    SmallResults,
    SmallRow,
)
from caecodec.bench.small.search import Meter, at_psnr, operating, within_bytes
from caecodec.codecs.codec import Codec
from caecodec.codecs.opening import open_codec
from caecodec.errors import UsageError
from caecodec.models.data import datasets
from caecodec.models.export.model_file import load_checkpoint
from caecodec.models.networks.autoencoder import AutoencoderModel
from caecodec.models.training import losses
from caecodec.search.effort import DEFAULT_EFFORT, WORK
from caecodec.zoo import find

PSNR_CAP = 100.0  # dB, for an identical picture; one wrong sample of 32x32x3 gives 83
DRAWN_MARGIN = 0.3  # dB that a codec may lose to the autoencoder as drawn, where nobody published a figure
WITHOUT_TARGET = 50  # quality, where there is no as-drawn run to compare with
_BATCH = 250


def unit(pictures: Batch) -> Tensor:
    """(P, H, W, C) uint8 -> (P, C, H, W) in [0, 1], channels_last."""
    return torch.from_numpy(np.require(pictures, requirements=("C", "W"))).permute(0, 3, 1, 2).float() / 255


def _scores(x_hat: Tensor, x: Tensor) -> NDArray[np.float64]:
    """(P, C, H, W) in [0, 1] -> sums over pictures of PSNR, MSE and SSIM, (3,)."""
    mse = losses.mse_255(x_hat, x).double()
    psnr = losses.psnr(mse).clamp_max(PSNR_CAP)
    sums: NDArray[np.float64] = torch.stack((psnr, mse / 255**2, losses.ssim(x_hat, x).double())).sum(1).numpy()
    return sums


def measure_codec(codec: SmallCodec, small_set: str, pictures: Batch, quality: int) -> SmallRow:
    """Encode, decode the files and compare."""
    sums, size, stripped = np.zeros(3), 0, 0
    for start in range(0, len(pictures), _BATCH):
        part = pictures[start : start + _BATCH]
        files = codec.encode(part, quality)
        sums += _scores(unit(codec.decode(files)), unit(part))
        size += sum(map(len, files))
        stripped += sum(map(codec.strip, files)) if codec.strip else 0
    count = len(pictures)
    row = _row("curve", codec.name, small_set, count, sums)
    return replace(row, quality=quality, bytes=size / count, stripped=stripped / count if codec.strip else None)


def _row(kind: str, codec: str, small_set: str, count: int, sums: NDArray[np.float64]) -> SmallRow:
    psnr, mse, ssim = (float(value) / count for value in sums)
    return SmallRow(kind, codec, small_set, count, psnr, mse, ssim)


def measure_drawn(checkpoint: Path, name: str, small_set: str, pictures: Batch) -> SmallRow | None:
    """An autoencoder as drawn, its output clamped and not rounded; None without a file. Raises UsageError."""
    if not checkpoint.is_file():
        return None
    model, _ = load_checkpoint(checkpoint)
    if not isinstance(model, AutoencoderModel) or model.config.form != "drawn":
        raise UsageError(f"{checkpoint}: not an autoencoder as drawn")
    channels, height, width = model.config.picture
    if pictures.shape[1:] != (height, width, channels):
        found = "x".join(map(str, pictures.shape[1:]))
        raise UsageError(f"{checkpoint}: takes pictures of {height}x{width}x{channels}, {small_set} holds {found}")
    sums = np.zeros(3)
    with torch.inference_mode():
        for start in range(0, len(pictures), _BATCH):
            x = unit(pictures[start : start + _BATCH])
            sums += _scores(model(x)["x_hat"].clamp(0, 1), x)
    places = sum(math.prod(c) for c in model.network.cells)
    size = 4 * math.prod(model.network.latent) + -(-places // 4)
    return replace(_row("drawn", name, small_set, len(pictures), sums), bytes=size)


def spread(pictures: Batch, count: int | None) -> Batch:
    """`count` of the pictures, evenly over the whole, since folders come class by class; None or too many: all."""
    if count is None or count >= len(pictures):
        return pictures
    return pictures[np.arange(count) * len(pictures) // count]


def plan(models: Sequence[str], sets: Iterable[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Names of models (none: all, without a search) -> set: the models to measure on it, and why others are left out.

    Raises UsageError for a name that is not known, and where nothing is left.
    """
    known = [*MODELS, OURS, SEARCHED]
    unknown = sorted(set(models) - set(known))
    if unknown:
        raise UsageError(f"no small model {', '.join(unknown)}; choose from {', '.join(known)}")
    given, installed = set(sets), {info.name for info in find.installed()}
    found: dict[str, list[str]] = {}
    skipped = []
    for name in (n for n in known if n in (models or (*MODELS, OURS))):  # a search is only for who asks
        if model_of(name)[0] not in installed:
            skipped.append(f"{name} is skipped: the model is not installed")
            continue
        for small_set in _sets_of(name):
            if small_set in given:
                found.setdefault(small_set, []).append(name)
            else:
                skipped.append(f"{name} on {small_set} is skipped: no --data {small_set}=PATH")
    if not found:
        raise UsageError("nothing to measure: " + "; ".join(skipped))
    return found, skipped


def model_of(name: str) -> tuple[str, int]:
    """NAME or NAME@EFFORT -> the model's name, or the path of its file, and the effort."""
    model, _, effort = name.rpartition("@")
    return (model, int(effort)) if model and effort in map(str, WORK) else (name, DEFAULT_EFFORT.level)


def _sets_of(name: str) -> tuple[str, ...]:
    if name == OURS:
        return datasets.NAMES
    return (ASKED_SET,) if name == SEARCHED else (MODELS[name].set,)


def measure_small(
    planned: Mapping[str, Sequence[str]],
    sets: Mapping[str, Path],
    training: Path,
    *,
    limit: int | None = None,
    curve_pictures: int = 1000,
    earlier: SmallResults | None = None,
    keep: Callable[[SmallResults], None] = lambda results: None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> SmallResults:
    """Measure what `plan` found and `earlier` results do not hold; each step is handed to `keep`.

    Rows of earlier results are taken over where codec, model and pictures are the same; those of sets and models that
    are not planned stay as they are. Raises UsageError where a set cannot be read.
    """
    results = SmallResults(environment())
    earlier = earlier or SmallResults()
    libraries = open_libraries()
    results.codecs = {name: codec.version for name, codec in libraries.items()}
    steps = sum(len(libraries) + len(models) for models in planned.values())
    done = 0
    results.codecs = earlier.codecs | results.codecs
    results.sets |= earlier.sets
    for small_set, models in planned.items():
        pictures = _load(small_set, sets[small_set], limit, curve_pictures, results)
        same = earlier.sets.get(small_set) == results.sets[small_set]
        for name, (_, grid, strip) in LIBRARIES.items():
            progress(done, steps)
            if not (same and earlier.codecs.get(name) == results.codecs[name] and earlier.of("curve", name, small_set)):
                codec = Library(name, libraries[name], grid, strip, gray=pictures.shape[3] == 1)
                _put(earlier, name, small_set, _meter(codec, small_set, pictures).curve())
            done += 1
            keep(_with_rows(results, earlier))
        for name in models:
            progress(done, steps)
            model, effort = model_of(name)
            learned = open_codec(model)
            drawn_file = training / f"{name}-drawn" / "weights.pt"
            version = version_of(name, learned, drawn_file, earlier.codecs.get(name))
            if earlier.codecs.get(name) not in (None, version):  # another model of that name, on every set
                earlier.rows = [row for row in earlier.rows if row.codec != name]
                earlier.codecs[name] = version
            if not (same and earlier.codecs.get(name) == version and earlier.of("curve", name, small_set)):
                drawn = None
                if name in MODELS:
                    drawn = measure_drawn(drawn_file, name, small_set, pictures)
                rows = _measure_model(Learned(name, learned, effort), small_set, pictures, curve_pictures, drawn)
                _put(earlier, name, small_set, rows)
            results.codecs[name] = version
            done += 1
            keep(_with_rows(results, earlier))
    progress(steps, steps)
    return _with_rows(results, earlier)


def version_of(name: str, learned: Codec, drawn_file: Path, earlier: str | None) -> str:
    """What a model's rows depend on; where the run as drawn is not at hand, the one they were measured beside."""
    model = f"model {learned.model.info.id.hex()}"
    if name not in MODELS:
        return model
    if not drawn_file.is_file() and earlier is not None and earlier.startswith(f"{model}, as drawn "):
        return earlier
    return f"{model}, as drawn {_digest(drawn_file)}"


def _digest(path: Path) -> str:
    """What tells one weights file from another."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8] if path.is_file() else NOT_AT_HAND


def _with_rows(results: SmallResults, earlier: SmallResults) -> SmallResults:
    return replace(results, rows=sorted(earlier.rows, key=lambda row: (row.set, row.codec, row.kind)))


def _put(results: SmallResults, codec: str, small_set: str, rows: list[SmallRow]) -> None:
    results.rows = [row for row in results.rows if (row.codec, row.set) != (codec, small_set)] + rows


def _measure_model(
    learned: Learned, small_set: str, pictures: Batch, curve_pictures: int, drawn: SmallRow | None
) -> list[SmallRow]:
    """Every row of one model on one set."""
    rows = [drawn] if drawn else []
    whole = _meter(learned, small_set, pictures)
    some = spread(pictures, curve_pictures)
    curve = whole if len(some) == len(pictures) else _meter(learned, small_set, some)
    if learned.name in MODELS:
        rows.append(at_target(MODELS[learned.name], drawn, curve, whole))
    elif small_set == ASKED_SET:
        if learned.name == OURS:
            rows += [within_bytes(curve, whole, asked) for asked in ASKED_BYTES]
        rows += [at_psnr(curve, whole, asked) for asked in (ASKED_PSNR if learned.name == OURS else SEARCHED_PSNR)]
    return rows + curve.curve()


def _meter(codec: SmallCodec, small_set: str, pictures: Batch) -> Meter:
    return Meter(lambda quality: measure_codec(codec, small_set, pictures, quality), codec.qualities)


def at_target(published: PublishedModel, drawn: SmallRow | None, curve: Meter, whole: Meter) -> SmallRow:
    """The row on the whole set at what the model must reach, or at `WITHOUT_TARGET` where nobody says."""
    target = published.target
    if target is None and drawn is not None:
        target = drawn.psnr - DRAWN_MARGIN
    if target is None:
        return replace(whole.at(WITHOUT_TARGET), kind="operating")
    return operating(curve, whole, target)


def _load(name: str, path: Path, limit: int | None, curve_pictures: int, results: SmallResults) -> Batch:
    try:
        everything: Batch = datasets.load(name, path, "test").pictures.numpy()
    except (ValueError, FileNotFoundError) as exc:
        raise UsageError(f"--data {name}={path}: {exc}") from exc
    pictures = spread(everything, limit)
    results.sets[name] = {
        "source": path.name,
        "split": "test",
        "pictures": len(pictures),
        "of": len(everything),
        "curve_pictures": min(curve_pictures, len(pictures)),  # of caecodec's models; JPEG and WebP: all
        "shape": list(pictures.shape[1:]),
        "sha256": hashlib.sha256(pictures.tobytes()).hexdigest()[:16],
    }
    return pictures
