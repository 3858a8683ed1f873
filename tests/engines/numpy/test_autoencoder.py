"""The numpy engine beside the one on torch, for every model that ships."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from caecodec.engines import opening
from caecodec.engines.numpy import layers
from caecodec.errors import LimitError, ModelError
from caecodec.zoo import find
from caecodec.zoo.file import Model

MODELS = ("cifar10", "cifar100", "cifar10-dense", "fashion-mnist", "mnist", "mnist-fixed")
SAMPLE = Path(__file__).parents[2] / "data" / "photo.png"


def scraps(shape: tuple[int, int, int], count: int) -> NDArray[np.uint8]:
    """(P, H, W, C): parts of the sample photograph, the last black."""
    channels, height, width = shape
    with Image.open(SAMPLE) as image:
        whole = np.asarray(image.convert("RGB" if channels == 3 else "L")).reshape(image.height, image.width, channels)
    rows, columns = whole.shape[0] - height, whole.shape[1] - width
    parts = [whole[37 * i % rows :, 53 * i % columns :][:height, :width] for i in range(count - 1)]
    return np.stack([*parts, np.zeros_like(parts[0])])


@pytest.mark.parametrize("name", MODELS)
def test_latents_and_pixels_are_those_of_torch(name: str) -> None:
    model = find.load(name)
    torch = opening.autoencoder(model, "cpu", "float32", engine="torch")
    numpy = opening.autoencoder(model, "cpu", "float32", engine="numpy")
    assert (numpy.picture, numpy.latent, numpy.places) == (torch.picture, torch.latent, torch.places)
    pixels = scraps(torch.picture, 7)
    y, places = numpy.analyse(pixels)
    expected, expected_places = torch.analyse(pixels)
    assert (y.dtype, places.dtype) == (np.float32, np.uint8)
    assert np.abs(y - expected).max() <= 1e-4 * np.abs(expected).max()
    # of maxima as good as equal either may be the first
    assert (places != expected_places).sum() <= 0.001 * places.size
    for quality in (1, 60, 100):
        gain, offset = numpy.row("gain", quality), numpy.row("offset", quality)
        assert np.array_equal(gain, torch.row("gain", quality))
        symbols = np.floor(y * gain - offset + 0.5).astype(np.int32)
        given = places.astype(np.int32)
        decoded, wanted = (engine.synthesise(symbols, given, quality) for engine in (numpy, torch))
        assert decoded.dtype == np.uint8
        assert np.abs(decoded.astype(int) - wanted).max() <= 1


def test_many_at_once_are_what_each_is_alone() -> None:
    engine = opening.autoencoder(find.load("cifar10"), "cpu", "float32", engine="numpy")
    pixels = scraps(engine.picture, 70)  # more than go through the network together
    y = engine.analyse(pixels)[0]
    for n in (0, 63, 64, 69):
        assert np.abs(engine.analyse(pixels[n : n + 1])[0][0] - y[n]).max() < 1e-4 * np.abs(y).max()


def test_no_pictures_are_no_latents() -> None:
    engine = opening.autoencoder(find.load("mnist"), "cpu", "float32", engine="numpy")
    y, places = engine.analyse(np.zeros((0, 28, 28, 1), np.uint8))
    assert (y.shape, places.shape) == ((0, 7, 7, 4), (0, 1764))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_lacks_a_tensor_or_has_it_in_another_form_is_refused(name: str) -> None:
    model = find.load(name)
    ours = ("network.", "turn", "float.")
    names = [n for n in model.tensors if n.startswith(ours)]
    for number, tensor in enumerate(names):
        value = model.tensors[tensor]
        others = {k: v for k, v in model.tensors.items() if k != tensor}
        wrong = (np.concatenate((value, value[:1])), np.full_like(value, np.inf), value.astype(int))[number % 3]
        for changed in (others, others | {tensor: wrong}):
            with pytest.raises(ModelError):
                opening.autoencoder(Model(model.info, changed), "cpu", "auto", engine="numpy")


def test_an_unknown_kind_and_a_negative_variance_are_refused() -> None:
    model = find.load("mnist")
    for config in ({}, {"kind": "imagenet"}):
        with pytest.raises(ModelError):
            opening.autoencoder(Model(replace(model.info, config=config), model.tensors), "cpu", "auto", "numpy")
    negative = dict(model.tensors) | {"network.norm1.running_var": -np.ones(8, np.float32)}
    with pytest.raises(ModelError, match="negative"):
        opening.autoencoder(Model(model.info, negative), "cpu", "auto", "numpy")


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize(("tensor", "value"), [("norm1.weight", 3e38), ("norm1.running_mean", -3e38)])
def test_a_normalisation_that_overflows_is_refused(engine: str, tensor: str, value: float) -> None:
    model = find.load("mnist")
    huge = {
        "network.norm1.running_var": np.full(8, 1e-9, np.float32),
        f"network.{tensor}": np.full(8, value, np.float32),
    }
    with pytest.raises(ModelError, match="beyond float32"):
        opening.autoencoder(Model(model.info, {**model.tensors, **huge}), "cpu", "auto", engine)


def test_numbers_that_overflow_make_a_picture_without_a_word() -> None:
    model = find.load("cifar10-dense")
    weight = np.full_like(model.tensors["turn_back.weight"], 60000)
    engine = opening.autoencoder(
        Model(model.info, {**model.tensors, "turn_back.weight": weight}), "cpu", "auto", "numpy"
    )
    symbols = np.full((1, 1, 1, 256), 32767, np.int32)
    assert engine.synthesise(symbols, np.zeros((1, 0), np.int32), 1).shape == (1, 32, 32, 3)


def test_no_memory_left_is_a_limit_error(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = opening.autoencoder(find.load("mnist"), "cpu", "auto", engine="numpy")

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(layers.Conv, "__call__", full)
    with pytest.raises(LimitError):
        engine.analyse(np.zeros((1, 28, 28, 1), np.uint8))
