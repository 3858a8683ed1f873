"""Codecs of small pictures against the decoder that was written from docs/FORMAT.md alone."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import core_models
import numpy as np
import pytest
import reference_decoder as reference
import torch
from numpy.typing import NDArray
from reference_decoder import Model, Pixels, RejectedError
from safetensors.numpy import save_file
from support import photograph

from caecodec.codecs import tiling
from caecodec.codecs.autoencoder import AutoencoderCodec
from caecodec.codecs.tiny import TinyCodec
from caecodec.engines.native import library
from caecodec.errors import CorruptFileError
from caecodec.format import container
from caecodec.format.container import Container
from caecodec.latents.autoencoder import SILENT
from caecodec.models.export import autoencoder
from caecodec.models.export import tiny as export_tiny
from caecodec.models.export.integers import Tensors
from caecodec.models.networks.autoencoder import AutoencoderConfig, AutoencoderModel
from caecodec.models.networks.tiny import TinyConfig, TinyModel
from caecodec.pictures.picture import Picture
from caecodec.zoo import find
from caecodec.zoo.identity import model_id

ENGINES = ("native", "numpy") if library.available() else ("numpy",)


def model_file(path: Path, family: str, config: Mapping[str, Any], tensors: Tensors) -> Path:
    metadata = {"format": "caecodec-model 2", "family": family, "name": path.stem, "description": "random"}
    metadata |= {"id": model_id(tensors).hex(), "config": json.dumps(config), "training": "{}", "summary": "{}"}
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, path, metadata)
    return path


@torch.no_grad()
def shaken(model: torch.nn.Module, part: str, size: float) -> None:
    """Fresh weights of a size that lets every layer matter, and running means and variances that are not 0 and 1."""
    for name, value in getattr(model, part).state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.3, 2)
        elif name.endswith("running_mean") or (value.ndim == 1 and value.is_floating_point()):
            value.normal_(float("norm" in name or name.endswith(".weight")), 0.3)
        elif value.is_floating_point():
            fan_in = value[0].numel() if value.ndim > 1 else 1
            value.normal_(0, size * fan_in**-0.5)


TINY = {
    "two": TinyConfig(n=20, groups=(2, 4, 14), splits=(4, 2, 1), context_width=6, context_hidden=8, anchors=2),
    "four": TinyConfig(n=12, groups=(1, 3, 3, 5), splits=(4, 4, 2, 2), context_width=8, context_hidden=12, anchors=3),
}


@functools.cache
def tiny_tensors(name: str) -> tuple[TinyConfig, Tensors]:
    torch.manual_seed(7)
    config = dataclasses.replace(TINY[name], ga_width=8, ga_depth=1, gs_width=8, gs_depth=2)
    model = TinyModel(config).eval()
    for part in ("g_a", "g_s", "context"):
        shaken(model, part, 1.0)
    with torch.no_grad():
        for layer in (model.g_s.head, model.g_s.linear):  # a picture's samples, not far more
            layer.weight.mul_(0.1)
    model.start([torch.from_numpy(photograph(64, 96).copy()).permute(2, 0, 1)[None] / 255])
    with torch.no_grad():
        for part in (model.context.heads, model.context.adaptors):
            for layer in part:
                layer.weight.normal_(0, 0.3)
                layer.bias.add_(torch.randn_like(layer.bias))
        model.log_gain_out.normal_(0, 0.1)
        model.bias.normal_()
        model.modulation.normal_(1, 0.3)
    return config, export_tiny.tensors_of(model)


@dataclasses.dataclass(frozen=True)
class Tiny:
    """A model as the codec and as the specification have it."""

    codecs: Mapping[str, TinyCodec]  # by engine
    model: Model

    @classmethod
    def of(cls, path: Path) -> Tiny:
        loaded = find.load(str(path))
        return cls({name: TinyCodec(loaded, engine=name) for name in ENGINES}, reference.load_model(path))

    @property
    def codec(self) -> TinyCodec:
        return self.codecs[ENGINES[0]]


@pytest.fixture(scope="module", params=sorted(TINY))
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    config, tensors = tiny_tensors(request.param)
    return Tiny.of(model_file(tmp_path_factory.mktemp("tiny") / "tiny.safetensors", "tiny", config.to_dict(), tensors))


@pytest.fixture(scope="module")
def extreme(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Weights as large as they may be."""
    tensors = core_models.tiny(3, (5, 8), (2, 4), adapted=6, hidden=7, width=5, extreme=True)
    return Tiny.of(model_file(tmp_path_factory.mktemp("extreme") / "it.safetensors", "tiny", {}, tensors))


SIDES = [(1, 1), (9, 17), (17, 9), (8, 64), (28, 28), (64, 40)]  # width, height


def drawn(width: int, height: int, gray: bool) -> Picture:
    colour = photograph(height, width)
    return Picture(np.ascontiguousarray(colour[..., 1]) if gray else colour)


def as_the_specification_gives(tiny: Tiny, width: int, height: int, gray: bool, quality: int) -> None:
    """Whether all decode a picture to its latents and pixels."""
    data = tiny.codec.encode(drawn(width, height, gray), quality)
    parsed = container.parse(data)
    y_hat = reference.decode_tiny(data, tiny.model)
    expected = array_of(reference.finished(reference.synthesise(y_hat, quality, tiny.model), reference.parse(data)))
    assert expected.shape == ((height, width) if gray else (height, width, 3))
    for codec in tiny.codecs.values():
        (found,) = codec.decode_latents(parsed)
        assert found.any()
        assert np.array_equal(found, y_hat)
        assert np.array_equal(codec.decode(parsed).colour, expected)


@pytest.mark.parametrize(("gray", "quality"), [(False, 1), (True, 100)], ids=["colour", "gray"])
@pytest.mark.parametrize(("width", "height"), SIDES)
def test_a_tiny_picture_is_what_the_specification_gives(
    tiny: Tiny, width: int, height: int, gray: bool, quality: int
) -> None:
    as_the_specification_gives(tiny, width, height, gray, quality)


def test_a_picture_of_the_shipped_model_is_what_the_specification_gives() -> None:
    shipped = Tiny.of(find.find("tiny").path)
    as_the_specification_gives(shipped, 9, 15, False, 60)
    as_the_specification_gives(shipped, 1, 1, True, 90)


def latents_as_the_specification_gives(tiny: Tiny, shape: tuple[int, int], spread: float) -> None:
    """Whether all code random latents alike, and make the same pixels of them."""
    n = tiny.model.tensors["quality.to_u"].shape[1]
    y = (np.random.default_rng(5).standard_normal((2, *shape, n)) * spread).astype(np.float32)
    for gray in (False, True):
        tiles, y_hat = tiny.codec.latents.encode(y, 80, gray)
        pixels = reference.synthesise(y_hat[0].tolist(), 80, tiny.model)
        for tile, expected in zip(tiles, y_hat, strict=True):
            assert np.array_equal(reference.decode_tiny_tile(tile, *shape, 80, gray, tiny.model), expected)
        for codec in tiny.codecs.values():
            assert np.array_equal(codec.latents.decode(tiles, shape, 80, gray), y_hat)
            assert np.array_equal(codec.engine.synthesise(y_hat[:1], 80)[0], pixels)


@pytest.mark.parametrize("spread", [0.0, 30.0, 30000.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 1), (3, 5)])
def test_tiny_latents_that_saturate_and_escape_are_those_the_specification_gives(
    tiny: Tiny, shape: tuple[int, int], spread: float
) -> None:
    latents_as_the_specification_gives(tiny, shape, spread)


@pytest.mark.parametrize("spread", [3.0, 30000.0])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5)])
def test_sums_near_their_bounds_are_those_the_specification_gives(
    extreme: Tiny, shape: tuple[int, int], spread: float
) -> None:
    latents_as_the_specification_gives(extreme, shape, spread)


def array_of(pixels: Pixels) -> NDArray[np.int64]:
    """(h, w, 3), or (h, w) where they have one channel."""
    found = np.array(pixels)
    return found[..., 0] if found.shape[2] == 1 else found


def test_a_tiny_picture_over_64_pixels_is_rejected(tiny: Tiny) -> None:
    whole = container.parse(tiny.codec.encode(drawn(64, 8, False), 50))
    for width, height in ((65, 8), (8, 65), (2000, 2000)):
        tiles = whole.tiles * sum(1 for _ in tiling.tiles(width, height))
        data = container.serialize(dataclasses.replace(whole, width=width, height=height, tiles=tiles))
        for codec in tiny.codecs.values():
            with pytest.raises(CorruptFileError):
                list(codec.decode_latents(container.parse(data)))
        with pytest.raises(RejectedError):
            reference.decode_tiny(data, tiny.model)


def close_to(found: NDArray[np.uint8], expected: NDArray[np.int64]) -> None:
    """Within one step, and only where the exact value lies at a rounding edge."""
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (found != expected).mean() < 0.01


AUTOENCODERS = {
    "mnist": AutoencoderConfig("mnist", anchors=2),
    "mnist-fixed": AutoencoderConfig("mnist", anchors=2, unpool="fixed"),
    "fashion-mnist": AutoencoderConfig("fashion-mnist", anchors=2),
    "fashion-mnist-narrow": AutoencoderConfig("fashion-mnist", coded=5, anchors=2),
    "cifar10-dense": AutoencoderConfig("cifar10-dense", units=6, anchors=2),
    "fashion-mnist-context": AutoencoderConfig(
        "fashion-mnist", coded=7, groups=(2, 5), splits=(4, 2), context_width=6, context_hidden=8, anchors=2
    ),
}
BY_TABLES = sorted(set(AUTOENCODERS) - {"fashion-mnist-context"})


@pytest.fixture(scope="module")
def autoencoders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[AutoencoderCodec, Model]]:
    found = {}
    for name, config in AUTOENCODERS.items():
        torch.manual_seed(8)
        model = AutoencoderModel(config).eval()
        shaken(model, "network", 2.0)
        with torch.no_grad():
            y, _ = model.encode(torch.rand(20, *config.picture))
            deviation = y.transpose(0, 1).flatten(1).std(1).clamp_min(1e-3)
            if config.groups:
                shaken(model, "context", 1.0)
                model.start_context(y.permute(0, 2, 3, 1).flatten(0, 2), torch.ones(len(deviation)))
                model.context_bias.normal_()
            else:
                model.prior.start_at(y)
                model.prior.logit.normal_(0, 0.3)
            # at quality 1 from far below a step, where a channel falls silent, to some steps; at 100 all are heard
            for anchor, low in enumerate((-9, 1)):
                model.log_gain[anchor] = torch.linspace(low, low + 10, len(deviation)).clamp_max(4) - deviation.log()
            model.log_gain_out.copy_(model.log_gain + 0.1 * torch.randn_like(model.log_gain))
            model.turn_back.bias.normal_(0, 0.3)
            model.place_share.copy_(torch.rand_like(model.place_share).softmax(1))
        tensors = autoencoder.tensors_of(model)
        path = tmp_path_factory.mktemp(name) / "it.safetensors"
        model_file(path, "autoencoder", config.to_dict(), tensors)
        found[name] = AutoencoderCodec(find.load(str(path)), "cpu", "float32"), reference.load_model(path)
    return found


def row(coded: reference.Coded) -> NDArray[np.int64]:
    return np.array(reference.flat(coded.symbols) + coded.places)


@pytest.mark.parametrize("name", sorted(AUTOENCODERS))
def test_an_autoencoders_picture_is_what_the_specification_gives(
    autoencoders: Mapping[str, tuple[AutoencoderCodec, Model]], name: str
) -> None:
    codec, model = autoencoders[name]
    channels, height, width = codec.engine.picture
    for quality, gray in ((1, True), (60, True), (100, channels == 1)):
        data = codec.encode(drawn(width, height, gray), quality)
        (found,) = codec.decode_latents(container.parse(data))
        coded = reference.decode_autoencoder(data, model)
        assert np.array_equal(found, row(coded))
        assert found.any()
        pixels = reference.synthesise_autoencoder(coded, quality, model)
        expected = array_of(reference.finished(pixels, reference.parse(data)))
        assert expected.std() > 2
        close_to(codec.decode(container.parse(data)).colour, expected)


@pytest.mark.parametrize("spread", [0.0, 30.0, 30000.0])
def test_an_autoencoders_y_under_a_context_is_what_the_specification_gives(
    autoencoders: Mapping[str, tuple[AutoencoderCodec, Model]], spread: float
) -> None:
    codec, model = autoencoders["fashion-mnist-context"]
    channels, rows, columns = codec.engine.latent
    y = (np.random.default_rng(6).standard_normal((2, rows, columns, channels)) * spread).astype(np.float32)
    for quality in (1, 100):
        streams, y_hat = codec.latents.encode(y, quality, False)
        whole = [Container(28, 28, quality, codec.model.info.id, (stream,), gray=True) for stream in streams]
        for one, expected in zip(whole, y_hat, strict=True):
            data = container.serialize(one)
            assert np.array_equal(row(reference.decode_autoencoder(data, model)), expected.ravel())
            assert np.array_equal(next(codec.decode_latents(container.parse(data))), expected.ravel())


@pytest.mark.parametrize("name", BY_TABLES)
@pytest.mark.parametrize("spread", [0.0, 300.0, 30000.0])
def test_an_autoencoders_latents_with_escapes_are_those_the_specification_gives(
    autoencoders: Mapping[str, tuple[AutoencoderCodec, Model]], name: str, spread: float
) -> None:
    codec, model = autoencoders[name]
    channels, height, width = codec.engine.picture
    random = np.random.default_rng(6)
    _, rows, columns = codec.engine.latent
    table = codec.model.tensors["quality.table"]
    for quality in (1, 100):
        silent = np.tile(table[quality - 1] == SILENT, rows * columns)
        assert silent.any() == (quality == 1)
        symbols = np.clip(random.standard_normal(silent.shape) * spread, -32767, 32767).astype(np.int32)
        latents = np.append(np.where(silent, 0, symbols), random.integers(0, 4, codec.engine.places)).astype(np.int32)
        streams = codec.latents.encode(latents[None], quality)
        whole = Container(width, height, quality, codec.model.info.id, tuple(streams), gray=channels == 1)
        data = container.serialize(whole)
        assert np.array_equal(row(reference.decode_autoencoder(data, model)), latents)
        assert np.array_equal(codec.latents.decode(streams[0], quality), latents)


@pytest.mark.parametrize("name", ["mnist", "cifar10-dense"])
def test_a_picture_that_an_autoencoder_does_not_make_is_rejected(
    autoencoders: Mapping[str, tuple[AutoencoderCodec, Model]], name: str
) -> None:
    codec, model = autoencoders[name]
    channels, height, width = codec.engine.picture
    whole = container.parse(codec.encode(drawn(width, height, channels == 1), 50))
    wrong = [dataclasses.replace(whole, width=width + 1), dataclasses.replace(whole, height=height - 1)]
    if channels == 1:
        wrong.append(dataclasses.replace(whole, gray=False))
    for one in wrong:
        data = container.serialize(one)
        with pytest.raises(CorruptFileError):
            list(codec.decode_latents(container.parse(data)))
        with pytest.raises(RejectedError):
            reference.decode_autoencoder(data, model)


@pytest.mark.parametrize("place", [-1, 4, 300])
def test_a_place_that_no_cell_has_is_rejected(
    autoencoders: Mapping[str, tuple[AutoencoderCodec, Model]], place: int
) -> None:
    codec, model = autoencoders["mnist"]
    latents = np.zeros((1, 7 * 7 * 4 + codec.engine.places), np.int32)
    latents[0, -1] = place
    streams = codec.latents.encode(latents, 90)  # its check is right
    data = container.serialize(Container(28, 28, 90, codec.model.info.id, tuple(streams), gray=True))
    with pytest.raises(CorruptFileError):
        list(codec.decode_latents(container.parse(data)))
    with pytest.raises(RejectedError):
        reference.decode_autoencoder(data, model)
