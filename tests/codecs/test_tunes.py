"""Models of photographs with tables for the eye and tables for PSNR."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import zoo_models
from small_photo import SMALL, trained
from support import photograph, psnr

from caecodec.codecs.codec import Codec
from caecodec.codecs.lossless import LosslessCodec
from caecodec.codecs.photo import PhotoCodec
from caecodec.codecs.tiny import TinyCodec
from caecodec.engines.native import library
from caecodec.errors import CorruptFileError, ModelError
from caecodec.format import container
from caecodec.models.export.photo import tensors_of
from caecodec.models.networks.photo import TABLES, PhotoModel
from caecodec.pictures.picture import from_array
from caecodec.search import choice
from caecodec.search.effort import Effort
from caecodec.search.target import Target, encode_to_target
from caecodec.tune import TUNES, Tune, quality_of, row, tune_of
from caecodec.zoo.file import Model, ModelInfo

PICTURE = from_array(photograph(70, 90))
ENGINES = ("native", "numpy", "torch") if library.available() else ("numpy", "torch")


def of_zoo(network: PhotoModel) -> Model:
    info = ModelInfo("trial", b"abcd", "photo", "", Path(), 0, "", network.config.to_dict(), {}, {})
    return Model(info, tensors_of(network))


def network() -> PhotoModel:
    """Both tunes of one kind of picture, with different tables."""
    model = trained(dataclasses.replace(SMALL, tunes=2))
    model.start_as_klt(torch.linalg.qr(torch.randn(768, 16))[0], torch.linspace(1, 0.1, 16))
    with torch.no_grad():
        for name in TABLES:
            getattr(model, name)[SMALL.anchors :] += 0.3
    return model


BOTH = of_zoo(network())


def codec_of(model: Model, engine: str = ENGINES[0]) -> PhotoCodec:
    return PhotoCodec(model, device="cpu", engine=engine)


def test_rows_are_qualities_of_one_tune_after_the_other() -> None:
    assert [row(q, t, 200) for t in TUNES for q in (1, 100)] == [1, 100, 101, 200]
    assert [row(q, "psnr", 100) for q in (1, 100)] == [1, 100]
    assert all((quality_of(row(q, t, 200)), tune_of(row(q, t, 200))) == (q, t) for t in TUNES for q in range(1, 101))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("tune", TUNES)
def test_a_file_is_coded_and_decoded_with_the_tables_of_its_tune(engine: str, tune: Tune) -> None:
    codec, other = codec_of(BOTH, engine), codec_of(of_zoo(network().tuned(tune)), engine)
    parsed = container.parse(choice.lossy(codec, PICTURE, 70, effort=Effort(2, tune=tune)))
    assert parsed.quality == row(70, tune, 200)
    # a model of these tables alone codes alike; but its ranges, and so the steps of its integers, are its own
    alone = container.parse(choice.lossy(other, PICTURE, 70, effort=Effort(2, tune=tune)))
    assert sum(map(len, alone.tiles)) == pytest.approx(sum(map(len, parsed.tiles)), rel=0.02)
    difference = codec.decode(parsed).pixels.astype(int) - other.decode(alone).pixels
    assert np.abs(difference).mean() < 0.5


def test_the_tunes_are_not_the_same() -> None:
    codec = codec_of(BOTH)
    eye, squared = (container.parse(choice.lossy(codec, PICTURE, 70, effort=Effort(2, tune=tune))) for tune in TUNES)
    assert not np.array_equal(codec.decode(eye).pixels, codec.decode(squared).pixels)


@pytest.mark.skipif(not library.available(), reason="numpy leaves rounds to the core or torch")
def test_rounds_keep_the_row() -> None:
    codec = codec_of(BOTH)
    data = choice.lossy(codec, PICTURE, 70, effort=Effort(4, tune="psnr"))
    assert container.parse(data).quality == 170
    codec.decode(container.parse(data))


@pytest.mark.parametrize("measure", ["size", "psnr"])
def test_a_target_is_met_with_the_tables_of_its_tune(measure: str) -> None:
    codec = codec_of(BOTH)
    data = choice.lossy(codec, PICTURE, 60, effort=Effort(2, tune="psnr"))
    shown = codec.decode(container.parse(data)).pixels
    target = Target(size=len(data) + 2) if measure == "size" else Target(psnr=psnr(PICTURE.pixels, shown) - 0.01)
    found = encode_to_target(codec, PICTURE, target, lambda _share: None, Effort(2, tune="psnr"))
    parsed = container.parse(found.data)
    assert not container.is_lossless(found.data)
    assert (parsed.quality, 1 <= found.quality <= 100) == (found.quality + 100, True)


def test_a_file_of_a_row_that_the_model_has_not_is_refused() -> None:
    one, small = codec_of(of_zoo(network().tuned("eye"))), TinyCodec(zoo_models.tiny())
    for codec in (one, small):
        picture = from_array(photograph(32, 32))
        data = Codec.encode(codec, picture, 100)
        parsed = dataclasses.replace(container.parse(data), quality=101)
        with pytest.raises(CorruptFileError, match=r"quality 101 is not in 1\.\.100"):
            codec.decode(parsed)
        with pytest.raises(CorruptFileError, match=r"quality 101 is not in 1\.\.100"):
            next(iter(codec.rows(parsed).bands))
    data = LosslessCodec().encode(PICTURE)
    parsed = dataclasses.replace(container.parse(data), quality=150)
    assert np.array_equal(LosslessCodec().decode(parsed).pixels, PICTURE.pixels)


def test_a_model_with_another_number_of_rows_is_refused() -> None:
    tensors = dict(BOTH.tensors)
    for name in ("quality.to_u", "quality.psi"):
        short = {**tensors, name: np.ascontiguousarray(np.asarray(tensors[name])[:150])}
        for engine in ENGINES[:-1]:
            with pytest.raises(ModelError):
                codec_of(Model(BOTH.info, short), engine).load()


def test_a_batch_of_both_tunes_is_what_each_alone_makes() -> None:
    model = network()
    x, level = torch.rand(2, 3, 64, 64), torch.tensor([0.3, 0.8])
    together = model(x, level, hard=True, tune=torch.tensor([0, 1]))
    for k, tune in enumerate(TUNES):
        alone = model.tuned(tune)(x[k : k + 1], level[k : k + 1], hard=True)
        for key, value in alone.items():
            assert torch.allclose(value, together[key][k : k + 1], atol=1e-4, rtol=1e-3), key
    assert torch.equal(model.tuned("eye").log_gain, model.log_gain[: SMALL.anchors])
    assert model.log_gain.requires_grad  # and is still the model's own
