from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small_pictures import SHAPES, Dropping, Halves, digits
from support import photograph

from caecodec.bench.small import features, run
from caecodec.bench.small.codecs import LIBRARIES


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, Path]:
    """Two sets of nine pictures, of which the last two are the test split."""
    made = {}
    for name, shape in SHAPES.items():
        pictures = np.stack([photograph(shape[0], shape[1], seed) for seed in range(9)])
        made[name] = tmp_path / f"{name}.npz"
        np.savez(made[name], images=pictures if len(shape) == 3 else pictures[..., 0])
    return made


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three models that are codecs of `Dropping`, and curves of three qualities."""
    installed = [SimpleNamespace(name=name) for name in ("cifar10", "mnist", "tiny")]
    monkeypatch.setattr(run.find, "installed", lambda: installed)
    monkeypatch.setattr(run, "open_codec", Dropping)
    monkeypatch.setattr(run.Learned, "qualities", Dropping.qualities)
    short = {name: (codec, (5, 50, 95), strip) for name, (codec, _, strip) in LIBRARIES.items()}
    monkeypatch.setattr(run, "LIBRARIES", short)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set of 60 training and 30 test pictures."""
    (x_train, y_train), (x_test, y_test) = digits(60, 0), digits(30, 1)
    path = tmp_path / "set.npz"
    classes = np.array(["low", "middle", "high"])
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, classes=classes)
    return path


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latents are those of `Halves`, whatever model is named."""
    monkeypatch.setattr(features, "open_codec", lambda name: Halves())
