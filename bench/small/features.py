"""Latents as features: how classes lie in them, what a linear classifier reads from them, what a reconstruction misses.

y of a picture, before any quality, is flattened to one vector. Classes never played a part in making it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from caecodec.bench.small.anomalies import Anomaly, find_anomalies, open_seeker
from caecodec.bench.small.figures import scatter
from caecodec.bench.table import Table
from caecodec.codecs.codec import Codec
from caecodec.codecs.opening import open_codec
from caecodec.errors import UsageError
from caecodec.files.writing import make_folder, write_atomically
from caecodec.models.data import datasets
from caecodec.models.data.datasets import SmallSet
from caecodec.pictures.picture import Picture

SET_OF_MODEL = {"cifar10-dense": "cifar10", "mnist-fixed": "mnist"}  # where it is not the model's name
DEFAULT_SET = "cifar10"
MIN_PICTURES = 10
TSNE_PICTURES = 2000
TSNE_COMPONENTS = 50
PROBE_COMPONENTS = 256
PROBE_C = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # inverse strengths of regularisation, one chosen by cross-validation
PROBE_FOLDS = 3
SEED = 0

Features = NDArray[np.floating[Any]]  # (P, D)
Labels = NDArray[np.int64]  # (P,)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Probe:
    """Accuracies 0..1 on test pictures; `chance`: of a guess among the classes."""

    features: float
    pixels: float
    chance: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What `summary.json` holds. `shape`: (h, w, channels) of y; `probe`: None for a set without labels."""

    model: str
    model_id: str
    set: str
    training_pictures: int
    test_pictures: int
    shape: tuple[int, ...]
    variance_of_two: float  # share, of the two components that are drawn
    probe: Probe | None
    anomaly: Anomaly | None

    def table(self) -> Table:
        """For people."""
        shape = "x".join(map(str, self.shape))
        rows = [
            ("y of a picture", f"{shape}, {int(np.prod(self.shape))} values"),
            ("pictures", f"{self.training_pictures} for training, {self.test_pictures} for the test"),
            ("variance in the first two components", _percent(self.variance_of_two)),
        ]
        if self.probe is not None:
            rows += [
                ("linear probe, accuracy on y", _percent(self.probe.features)),
                ("the same on pixels", _percent(self.probe.pixels)),
                ("chance", _percent(self.probe.chance)),
            ]
        if self.anomaly is not None:
            a = self.anomaly
            rows += [
                (f"AUC of finding {a.without}, left out of training", f"{a.auc:.3f}"),
                (f"MSE of {a.without} ({a.positives} pictures)", f"{a.mse_without:.5f}"),
                (f"MSE of the others ({a.pictures - a.positives})", f"{a.mse_known:.5f}"),
            ]
        return Table((f"{self.model} on {self.set}", "value"), tuple(rows))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def require_packages() -> None:
    """Raise UsageError that says how to install what is missing."""
    try:
        import matplotlib  # noqa: F401
        import sklearn  # noqa: F401
    except ImportError as exc:
        raise UsageError(f"latents as features need more packages ({exc}): pip install 'caecodec[bench]'") from exc


def measure_features(
    model: str,
    data: Path,
    folder: Path | None = None,
    *,
    set_name: str | None = None,
    pictures: int = 2000,
    checkpoint: Path | None = None,
    progress: Progress = lambda done, of: None,
) -> tuple[Summary, Path]:
    """Measure, and write pca.png, tsne.png, summary.json and with a checkpoint roc.png; also returns their folder.

    pictures: at most so many of each split, drawn at random, the same ones every time. Raises UsageError, ModelError,
    InputImageError for a set whose pictures the model does not take, FileSystemError.
    """
    require_packages()
    codec = open_codec(model)
    info = codec.model.info
    name = set_name or SET_OF_MODEL.get(info.name, info.name if info.name in datasets.NAMES else DEFAULT_SET)
    test = _load(name, data, "test")
    seeker = None if checkpoint is None else open_seeker(checkpoint, test)  # a wrong one is told of at once
    codec.check(_pictures(test.take(slice(1)))[0])
    few = sample(test, pictures)
    if len(few) < MIN_PICTURES:
        raise UsageError(f"{data}: found {len(few)} test pictures; at least {MIN_PICTURES} are needed")
    train = sample(_load(name, data, "train"), pictures) if test.classes else test.take(slice(0))
    folder = folder or Path("results") / f"latents-{info.name}"
    make_folder(folder)

    stages = 2 + bool(test.classes) + (seeker is not None)
    progress(0, stages)
    x, shape = features(codec, few)
    variance = _draw(x, few, folder, f"{info.name} on {name}")
    progress(2, stages)
    found = anomaly = None
    if test.classes:
        y_train, y_test = train.labels.numpy(), few.labels.numpy()
        on_y = probe(features(codec, train)[0], y_train, x, y_test)
        on_pixels = probe(_pixels(train), y_train, _pixels(few), y_test)
        found = Probe(on_y, on_pixels, 1 / len(np.unique(y_train)))
        progress(3, stages)
    if seeker is not None:
        anomaly, roc = find_anomalies(seeker, test)
        _write(folder / "roc.png", roc)
        progress(stages, stages)
    summary = Summary(
        model=info.name,
        model_id=info.id.hex(),
        set=name,
        training_pictures=len(train),
        test_pictures=len(few),
        shape=shape,
        variance_of_two=variance,
        probe=found,
        anomaly=anomaly,
    )
    _write(folder / "summary.json", json.dumps(asdict(summary), indent=1).encode() + b"\n")
    return summary, folder


def _draw(x: Features, small: SmallSet, folder: Path, title: str) -> float:
    """pca.png and tsne.png of features x (P, D); the share of the variance that the first shows."""
    labels = small.labels.numpy()
    points, variance = principal_components(x, 2)
    drawn = f"{title}, y of {len(x)} test pictures, PCA: {100 * variance:.0f} % of the variance"
    _write(folder / "pca.png", scatter(points, labels, small.classes, drawn))
    some = x[:TSNE_PICTURES]
    drawn = f"{title}, y of {len(some)} test pictures, t-SNE"
    _write(folder / "tsne.png", scatter(tsne(some), labels[:TSNE_PICTURES], small.classes, drawn))
    return variance


def _load(name: str, data: Path, split: str) -> SmallSet:
    try:
        return datasets.load(name, data, split)
    except (ValueError, FileNotFoundError) as exc:
        raise UsageError(str(exc)) from exc


def _write(path: Path, data: bytes) -> None:
    write_atomically(str(path), data, overwrite=True)


def sample(small: SmallSet, count: int) -> SmallSet:
    """At most `count` of its pictures, by chance (sets come sorted by class) but the same ones every time."""
    return small.take(torch.randperm(len(small), generator=torch.Generator().manual_seed(SEED))[:count])


def some_of(name: str, data: Path, count: int) -> NDArray[np.uint8]:
    """Some pictures of a test split, as `sample` takes them, (P, H, W, C). Raises UsageError."""
    return sample(_load(name, data, "test"), count).pictures.numpy()


def _pictures(small: SmallSet) -> list[Picture]:
    gray = small.pictures.shape[3] == 1
    return [Picture(p[..., 0] if gray else p) for p in small.pictures.numpy()]


def _pixels(small: SmallSet) -> Features:
    return small.pictures.flatten(1).numpy().astype(np.float32) / 255


def features(codec: Codec, small: SmallSet) -> tuple[Features, tuple[int, ...]]:
    """y of each picture as a row (P, D), and its shape (h, w, channels). Raises InputImageError."""
    found = codec.features(_pictures(small))
    return np.stack([y.ravel() for y in found]), found[0].shape


def principal_components(x: Features, count: int) -> tuple[Features, float]:
    """(P, D) -> (P, at most count), and the share of the variance that they hold."""
    from sklearn.decomposition import PCA

    pca = PCA(min(count, *x.shape), random_state=SEED)
    return pca.fit_transform(x), float(pca.explained_variance_ratio_.sum())


def tsne(x: Features) -> Features:
    """(P, D) -> (P, 2) by t-SNE of its first principal components (van der Maaten 2008)."""
    from sklearn.manifold import TSNE

    few, _ = principal_components(x, TSNE_COMPONENTS)
    placed: Features = TSNE(2, perplexity=min(30.0, (len(x) - 1) / 3), init="pca", random_state=SEED).fit_transform(few)
    return placed


def probe(x_train: Features, y_train: Labels, x_test: Features, y_test: Labels) -> float:
    """Accuracy 0..1 on the test of a logistic regression on the principal components of the features.

    Features keep their sizes relative to each other: channels that are all but empty say little, and must not weigh as
    much as the rest.
    How strongly it is regularised is chosen by cross-validation on the training pictures: with one strength for all,
    features of other sizes would be compared by how well it happens to suit them. Raises UsageError where the training
    pictures are of one class or too few.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, KFold

    if len(x_train) < MIN_PICTURES or len(np.unique(y_train)) < 2:
        raise UsageError(f"a probe needs {MIN_PICTURES} training pictures of two classes or more")
    reduce = PCA(min(PROBE_COMPONENTS, *x_train.shape), random_state=SEED)
    unit = float(x_train.std()) or 1.0
    search = GridSearchCV(
        LogisticRegression(max_iter=5000),
        {"C": PROBE_C},
        cv=KFold(PROBE_FOLDS, shuffle=True, random_state=SEED),
    )
    search.fit(reduce.fit_transform(x_train / unit), y_train)
    return float(search.score(reduce.transform(x_test / unit), y_test))
