"""A model of photographs whose y is quantised dependently: the shipped one's networks, with Gaussian tables."""

from __future__ import annotations

import json
from pathlib import Path

import core_models
import numpy as np
import pytest
from support import photograph

from caecodec.codecs.codec import Codec
from caecodec.codecs.photo import PhotoCodec
from caecodec.engines.native import library
from caecodec.entropy.fixed_point import ONE, SCALES
from caecodec.format import container
from caecodec.models.export.integers import gaussian_tables
from caecodec.models.export.photo import DENSE, FINE_STEP
from caecodec.pictures import picture
from caecodec.pictures.picture import mse
from caecodec.search import choice
from caecodec.search.effort import Effort
from caecodec.tune import TUNES, Tune
from caecodec.zoo import find
from caecodec.zoo.identity import model_id

PHOTO = photograph(96, 144)
PICTURE = picture.from_array(PHOTO)
ENGINES = ("native", "numpy") if library.available() else ("numpy",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def codec_of(folder: Path, dense: int = DENSE, engine: str = ENGINES[0]) -> PhotoCodec:
    """dense: the scale index from which on y is quantised dependently."""
    shipped = find.load("photo")
    tensors = {key: np.array(tensor) for key, tensor in shipped.tensors.items() if key != "quality.step"}
    tensors |= gaussian_tables(dense, FINE_STEP)
    if dense < SCALES:
        tensors["quality.step"] = np.full((200, 1), round(FINE_STEP * ONE), np.int32)
    path = folder / f"from-{dense}.safetensors"
    if not path.exists():
        metadata = {"name": path.stem, "description": "", "id": model_id(tensors).hex(), "training": "{}"}
        metadata |= {"config": json.dumps(shipped.info.config), "summary": "{}"}
        path.write_bytes(core_models.safetensors(tensors, "photo", metadata))
    return PhotoCodec(find.load(str(path)), engine=engine)


def cost(codec: PhotoCodec, quality: int, effort: Effort) -> float:
    """Bits of a file, and those that its squared errors are worth."""
    data = choice.encode(codec, PICTURE, quality, effort=effort)
    shown = codec.decode(container.parse(data)).colour
    worth = codec.trade(codec.row(quality, "psnr"), "psnr")
    return 8 * len(data) + worth.mse * mse(PHOTO, shown) * PHOTO.shape[0] * PHOTO.shape[1]


@pytest.mark.parametrize("tune", TUNES)
@pytest.mark.parametrize("quality", [10, 60, 95])
def test_engines_write_the_same_file_and_read_it(folder: Path, quality: int, tune: Tune) -> None:
    codecs = [codec_of(folder, engine=engine) for engine in ENGINES]
    files = [choice.encode(codec, PICTURE, quality, effort=Effort(tune=tune)) for codec in codecs]
    assert len(set(files)) == 1
    parsed = container.parse(files[0])
    shown = [codec.decode(parsed).colour for codec in codecs]
    assert np.array_equal(shown[0], shown[-1])
    assert mse(PHOTO, shown[0]) < 400
    for codec in codecs:
        bits = codec.allocation(parsed)
        assert bits.cells.sum() / 8 == pytest.approx(sum(map(len, parsed.tiles)), abs=4)


@pytest.mark.skipif(len(ENGINES) < 2, reason="there is no core here to compare with")
def test_engines_agree_where_many_paths_are_equally_good(folder: Path) -> None:
    """A picture that repeats has the same latents again and again."""
    tile = photograph(64, 64)
    repeated = picture.from_array(np.tile(tile, (3, 3, 1)))
    files = {Codec.encode(codec_of(folder, engine=engine), repeated, 70) for engine in ENGINES}
    assert len(files) == 1


def test_it_takes_less_than_rounding_each_latent_by_itself(folder: Path) -> None:
    plain, dependent = codec_of(folder, SCALES), codec_of(folder)
    effort = Effort(tune="psnr")
    gained = [cost(dependent, quality, effort) / cost(plain, quality, effort) for quality in (60, 80, 95)]
    assert np.mean(gained) < 0.99


@pytest.mark.parametrize("engine", ["torch", "native"] if library.available() else ["torch"])
@pytest.mark.parametrize("level", [3, 5])
def test_rounds_find_better_paths(folder: Path, level: int, engine: str) -> None:
    codec = codec_of(folder, engine=engine)
    usual, better = (cost(codec, 60, Effort(at, tune="psnr")) for at in (2, level))
    assert better < 0.995 * usual


def test_rounding_to_nearest_takes_the_path_of_least_errors(folder: Path) -> None:
    """Effort 1 weighs nothing: errors of y are those of a finer quantiser than the plain one."""
    codec = codec_of(folder)
    (tile,) = codec.analyse(PICTURE)
    row = codec.row(90, "psnr")
    y, z = tile.y * codec.engine.row("gain", row), tile.z * codec.engine.row("gain_z", row)
    _, y_hat = codec.latents.encode(y, z, row)
    large = np.abs(y) > 3  # their scale is large too, mostly
    assert np.mean((y_hat[large] / ONE - y[large]) ** 2) < 0.8 / 12 * (2 * FINE_STEP) ** 2
