"""Latents as features: what a probe reads, what a reconstruction misses, and what is refused."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from support import run as command

from caecodec.bench.small import features as latents
from caecodec.errors import InputImageError, UsageError
from caecodec.models.data.datasets import SmallSet
from caecodec.models.networks.autoencoder import AutoencoderConfig, AutoencoderModel
from caecodec.pictures.picture import Picture

needs_packages = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("sklearn", "matplotlib")),
    reason="scikit-learn and matplotlib are an optional extra: caecodec[bench]",
)
RECIPE = 'name = "mnist"\n[model]\nfamily = "autoencoder"\n'


def separable(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Features (P, 12) of three classes, far apart against their spread."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    return random.normal(0, 1, (count, 12)) + 8 * np.eye(12)[labels], labels


def digits(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures (P, 28, 28) of three classes, sorted as folders are: a bright bar at a height of its own."""
    random = np.random.default_rng(seed)
    labels = np.sort(np.arange(count) % 3).astype(np.uint8)
    pictures = random.integers(0, 40, (count, 28, 28), dtype=np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        picture[4 + 8 * label : 8 + 8 * label] = 220
    return pictures, labels


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set of 60 training and 30 test pictures."""
    (x_train, y_train), (x_test, y_test) = digits(60, 0), digits(30, 1)
    path = tmp_path / "set.npz"
    classes = np.array(["low", "middle", "high"])
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, classes=classes)
    return path


class Halves:
    """Stands for a codec: y is the mean of each 4x4 cell."""

    model = SimpleNamespace(info=SimpleNamespace(name="mnist-fixed", id=b"\1\2\3\4"))

    def check(self, picture: Picture) -> None:
        if (picture.width, picture.height) != (28, 28) or not picture.gray:
            raise InputImageError("mnist-fixed takes gray pictures of 28x28 pixels")

    def features(self, pictures: list[Picture]) -> list[NDArray[np.float32]]:
        return [p.colour.reshape(7, 4, 7, 4).mean((1, 3))[..., None].astype(np.float32) for p in pictures]


@pytest.fixture(autouse=True)
def codec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latents, "open_codec", lambda name: Halves())


def checkpoint(path: Path, without: str | None = "middle", form: str = "drawn") -> Path:
    """Of an untrained autoencoder."""
    torch.manual_seed(0)
    config = AutoencoderConfig("mnist", form=form)
    state = {"recipe": RECIPE, "config": config.to_dict(), "ema": AutoencoderModel(config).state_dict()}
    torch.save(state if without is None else state | {"without": without}, path)
    return path


def is_drawn(path: Path) -> bool:
    """Whether a picture is there with more on it than its background."""
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        return image.format == "PNG" and np.asarray(image.convert("L")).std() > 1


# ---- the numbers


@needs_packages
def test_a_probe_reads_classes_that_lie_apart_and_none_from_noise() -> None:
    x_train, y_train = separable(120, 0)
    x_test, y_test = separable(60, 1)
    assert latents.probe(x_train, y_train, x_test, y_test) == 1
    random = np.random.default_rng(2)
    read = latents.probe(
        random.normal(size=(240, 12)), np.arange(240) % 3, random.normal(size=(240, 12)), y_test.repeat(4)
    )
    assert abs(read - 1 / 3) < 0.15


@needs_packages
def test_a_probe_of_more_features_than_pictures_and_of_constant_ones_works() -> None:
    x, labels = separable(30, 0)
    wide = np.hstack((x, np.ones((30, 300))))
    assert latents.probe(wide, labels, wide, labels) == 1


@needs_packages
@pytest.mark.parametrize("labels", [np.zeros(30, np.int64), np.arange(4)])
def test_a_probe_of_one_class_or_few_pictures_is_refused(labels: NDArray[np.int64]) -> None:
    x = np.zeros((len(labels), 3))
    with pytest.raises(UsageError, match="two classes"):
        latents.probe(x, labels, x, labels)


@needs_packages
@pytest.mark.parametrize(
    ("positive", "negative", "auc"),
    [
        ((3, 4), (1, 2), 1.0),
        ((1, 2), (3, 4), 0.0),
        ((1, 1), (1, 1, 1), 0.5),
        ((0.35, 0.8), (0.1, 0.4), 0.75),  # of four pairs 0.35 > 0.1, 0.8 > 0.1, 0.8 > 0.4
        ((2, 3), (1, 2, 4), 3.5 / 6),  # of six pairs three are won and one is a tie
    ],
)
def test_the_area_under_the_roc_is_the_share_of_pairs_in_order(
    positive: tuple[float, ...], negative: tuple[float, ...], auc: float
) -> None:
    is_positive = np.array([True] * len(positive) + [False] * len(negative))
    assert latents.area_under_roc(is_positive, np.array((*positive, *negative))) == pytest.approx(auc)


@needs_packages
def test_principal_components_hold_the_variance_that_is_there() -> None:
    random = np.random.default_rng(0)
    x = np.zeros((400, 5))
    x[:, 1], x[:, 3], x[:, 4] = random.normal(0, (3, 2, 1), (400, 3)).T
    points, share = latents.principal_components(x, 2)
    assert points.shape == (400, 2)
    assert share == pytest.approx(13 / 14, abs=0.02)


def test_a_sample_is_of_all_classes_and_the_same_every_time() -> None:
    labels = torch.arange(3).repeat_interleave(100)
    whole = SmallSet("mnist", torch.zeros(300, 2, 2, 1, dtype=torch.uint8), labels, ("a", "b", "c"))
    some = latents.sample(whole, 30)
    assert set(some.labels.tolist()) == {0, 1, 2}
    assert torch.equal(some.labels, latents.sample(whole, 30).labels)
    assert len(latents.sample(whole, 1000)) == 300


@pytest.mark.parametrize("form", ["drawn", "codec"])
def test_the_error_of_a_picture_is_its_mean_square_on_unit_scale(form: str) -> None:
    class Fixed(AutoencoderModel):
        """Returns one half everywhere."""

        def forward(self, x: torch.Tensor, *args: Any, **options: Any) -> dict[str, torch.Tensor]:
            assert (len(args), options) == ((0, {}) if form == "drawn" else (1, {"hard": True}))
            return {"x_hat": torch.full_like(x, 0.5)}

    pictures = torch.zeros(latents.BATCH + 3, 28, 28, 1, dtype=torch.uint8)
    pictures[-1] = 51  # a fifth
    small = SmallSet("mnist", pictures, torch.zeros(len(pictures), dtype=torch.int64), ("0",))
    seeker = latents.Seeker("x.pt", Fixed(AutoencoderConfig("mnist", form=form)), "0", torch.device("cpu"))
    errors = seeker.errors(small)
    assert errors.shape == (latents.BATCH + 3,)
    assert errors[0] == pytest.approx(0.25)
    assert errors[-1] == pytest.approx(0.09)


# ---- the command


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
    summary, folder = latents.measure("any", data, tmp_path / "out", pictures=20)
    assert (summary.training_pictures, summary.test_pictures, summary.anomaly) == (20, 20, None)
    assert not (folder / "roc.png").exists()


@needs_packages
def test_the_folder_is_named_after_the_model(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, folder = latents.measure("any", data, pictures=20)
    assert folder == Path("results/latents-mnist-fixed")
    assert is_drawn(tmp_path / folder / "pca.png")


@needs_packages
def test_a_set_without_labels_is_drawn_in_gray_and_not_probed(tmp_path: Path) -> None:
    pictures, _ = digits(60, 0)
    np.savez(tmp_path / "set.npz", images=pictures)
    summary, folder = latents.measure("any", tmp_path / "set.npz", tmp_path / "out", pictures=20)
    assert (summary.probe, summary.training_pictures) == (None, 0)
    assert is_drawn(folder / "pca.png")
    assert dataclasses.asdict(summary)["test_pictures"] == 14


@needs_packages
def test_more_classes_than_colours_can_be_drawn() -> None:
    random = np.random.default_rng(0)
    drawn = latents.scatter(random.normal(size=(100, 2)), np.arange(100), [str(i) for i in range(100)], "many")
    with Image.open(io.BytesIO(drawn)) as image:
        assert image.width > 500


# ---- what is refused


@needs_packages
@pytest.mark.parametrize(
    ("without", "message"),
    [
        (None, r"has seen every class; caecodec train mnist --drawn --without CLASS"),
        ("", r"has seen every class"),
        ("seven", r"without the class 'seven'; the set mnist has low, middle, high"),
    ],
)
def test_a_checkpoint_that_lacks_no_class_of_the_set_is_refused_before_any_work(
    data: Path, tmp_path: Path, without: str | None, message: str
) -> None:
    seeker = checkpoint(tmp_path / "checkpoint.pt", without)
    with pytest.raises(UsageError, match=message):
        latents.measure("any", data, tmp_path / "out", checkpoint=seeker)
    assert not (tmp_path / "out").exists()


@needs_packages
def test_pictures_of_another_size_are_refused(tmp_path: Path) -> None:
    pictures = np.zeros((40, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "set.npz", images=pictures, labels=np.arange(40) % 10)
    with pytest.raises(InputImageError, match="28x28"):
        latents.measure("any", tmp_path / "set.npz", tmp_path / "out", set_name="cifar10")
    with pytest.raises(UsageError, match="28x28x1, those of cifar10 are 32x32x3"):
        latents.measure(
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
