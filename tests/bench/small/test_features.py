"""Latents as features: what a probe reads, what is drawn, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_pictures import checkpoint, digits, is_drawn, needs_packages
from support import run as command

from caecodec.bench.small import features
from caecodec.bench.small.features import measure_features
from caecodec.errors import InputImageError, UsageError
from caecodec.models.data.datasets import SmallSet

pytestmark = pytest.mark.usefixtures("halves")


def separable(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Features (P, 12) of three classes, far apart against their spread."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    return random.normal(0, 1, (count, 12)) + 8 * np.eye(12)[labels], labels


@needs_packages
def test_a_probe_reads_classes_that_lie_apart_and_none_from_noise() -> None:
    x_train, y_train = separable(120, 0)
    x_test, y_test = separable(60, 1)
    assert features.probe(x_train, y_train, x_test, y_test) == 1
    random = np.random.default_rng(2)
    read = features.probe(
        random.normal(size=(240, 12)), np.arange(240) % 3, random.normal(size=(240, 12)), y_test.repeat(4)
    )
    assert abs(read - 1 / 3) < 0.15


@needs_packages
def test_a_probe_of_more_features_than_pictures_and_of_constant_ones_works() -> None:
    x, labels = separable(30, 0)
    wide = np.hstack((x, np.ones((30, 300))))
    assert features.probe(wide, labels, wide, labels) == 1


@needs_packages
@pytest.mark.parametrize("labels", [np.zeros(30, np.int64), np.arange(4)])
def test_a_probe_of_one_class_or_few_pictures_is_refused(labels: NDArray[np.int64]) -> None:
    x = np.zeros((len(labels), 3))
    with pytest.raises(UsageError, match="two classes"):
        features.probe(x, labels, x, labels)


@needs_packages
def test_principal_components_hold_the_variance_that_is_there() -> None:
    random = np.random.default_rng(0)
    x = np.zeros((400, 5))
    x[:, 1], x[:, 3], x[:, 4] = random.normal(0, (3, 2, 1), (400, 3)).T
    points, share = features.principal_components(x, 2)
    assert points.shape == (400, 2)
    assert share == pytest.approx(13 / 14, abs=0.02)


def test_a_sample_is_of_all_classes_and_the_same_every_time() -> None:
    labels = torch.arange(3).repeat_interleave(100)
    whole = SmallSet("mnist", torch.zeros(300, 2, 2, 1, dtype=torch.uint8), labels, ("a", "b", "c"))
    some = features.sample(whole, 30)
    assert set(some.labels.tolist()) == {0, 1, 2}
    assert torch.equal(some.labels, features.sample(whole, 30).labels)
    assert len(features.sample(whole, 1000)) == 300


@needs_packages
@pytest.mark.parametrize("form", ["drawn", "codec"])
def test_the_command_draws_writes_and_prints(data: Path, tmp_path: Path, form: str) -> None:
    folder = tmp_path / "new" / "folder"
    seeker = checkpoint(tmp_path / "checkpoint.pt", form=form)
    done = command("bench", "latents", "any", "--data", data, "--anomaly", seeker, "-o", folder)
    assert (done.code, done.err) == (0, "")
    assert sorted(p.name for p in folder.iterdir()) == ["pca.png", "roc.png", "summary.json", "tsne.png"]
    assert all(is_drawn(p) for p in folder.glob("*.png"))
    summary = json.loads((folder / "summary.json").read_text())
    anomaly = summary.pop("anomaly")
    variance = summary.pop("variance_of_two")
    assert summary == {
        "model": "mnist-fixed",
        "model_id": "01020304",
        "set": "mnist",
        "training_pictures": 60,
        "test_pictures": 30,
        "shape": [7, 7, 1],
        "probe": {"features": 1.0, "pixels": 1.0, "chance": pytest.approx(1 / 3)},
    }
    assert 0.5 < variance <= 1
    assert (anomaly["form"], anomaly["without"]) == (form, "middle")
    assert (anomaly["pictures"], anomaly["positives"]) == (30, 10)
    assert 0 <= anomaly["auc"] <= 1
    assert anomaly["mse_known"] > 0
    shown = done.out.decode()
    assert "mnist-fixed on mnist" in shown
    assert "100.0 %" in shown
    assert f"{anomaly['auc']:.3f}" in shown


@needs_packages
def test_without_a_checkpoint_there_is_no_roc_and_pictures_are_counted(data: Path, tmp_path: Path) -> None:
    summary, folder = measure_features("any", data, tmp_path / "out", pictures=20)
    assert (summary.training_pictures, summary.test_pictures, summary.anomaly) == (20, 20, None)
    assert not (folder / "roc.png").exists()


@needs_packages
def test_the_folder_is_named_after_the_model(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, folder = measure_features("any", data, pictures=20)
    assert folder == Path("results/latents-mnist-fixed")
    assert is_drawn(tmp_path / folder / "pca.png")


@needs_packages
def test_a_set_without_labels_is_drawn_in_gray_and_not_probed(tmp_path: Path) -> None:
    pictures, _ = digits(60, 0)
    np.savez(tmp_path / "set.npz", images=pictures)
    summary, folder = measure_features("any", tmp_path / "set.npz", tmp_path / "out", pictures=20)
    assert (summary.probe, summary.training_pictures) == (None, 0)
    assert is_drawn(folder / "pca.png")
    assert dataclasses.asdict(summary)["test_pictures"] == 14


@needs_packages
def test_pictures_of_another_size_are_refused(tmp_path: Path) -> None:
    pictures = np.zeros((40, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "set.npz", images=pictures, labels=np.arange(40) % 10)
    with pytest.raises(InputImageError, match="28x28"):
        measure_features("any", tmp_path / "set.npz", tmp_path / "out", set_name="cifar10")
    with pytest.raises(UsageError, match="28x28x1, those of cifar10 are 32x32x3"):
        measure_features(
            "any",
            tmp_path / "set.npz",
            tmp_path / "out",
            set_name="cifar10",
            checkpoint=checkpoint(tmp_path / "checkpoint.pt", "3"),
        )


@needs_packages
def test_a_set_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = command("bench", "latents", "any", "--data", tmp_path / "none.npz", "-o", tmp_path / "out")
    assert done.code == 2
    assert len(done.error_lines) == 1
    assert "no data set mnist" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("package", ["sklearn", "matplotlib"])
def test_one_line_says_what_to_install(
    package: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    done = command("bench", "latents", "any", "--data", data, "-o", tmp_path / "out")
    assert done.code == 2
    assert len(done.error_lines) == 1
    assert "pip install 'caecodec[bench]'" in done.err
    assert not (tmp_path / "out").exists()
