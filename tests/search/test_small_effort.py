"""Efforts that search with models of small pictures."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import photograph, run

import caecodec
from caecodec.codecs.autoencoder import AutoencoderCodec
from caecodec.codecs.opening import open_codec
from caecodec.codecs.tiny import TinyCodec
from caecodec.engines import opening
from caecodec.engines.native import library
from caecodec.entropy.fixed_point import ONE
from caecodec.errors import UsageError
from caecodec.format import container
from caecodec.pictures import picture
from caecodec.pictures.picture import Picture
from caecodec.search import choice
from caecodec.search.effort import Effort

QUALITY = 50
BYTE = 8  # bits: what a search counts is no whole number of bytes
needs_core = pytest.mark.skipif(not library.available(), reason=library.why_not())


def tiny() -> TinyCodec:
    codec = open_codec("tiny")
    assert isinstance(codec, TinyCodec)
    return codec


def loss(codec: TinyCodec | AutoencoderCodec, of: Picture, data: bytes) -> float:
    """R + lambda D in bits, of the file as it is."""
    return 8 * len(data) + codec.worth(QUALITY).cost(of.pixels, codec.decode(container.parse(data)).pixels)


@needs_core
@pytest.mark.parametrize("shape", [(32, 32, 3), (28, 28), (64, 41, 3), (9, 64), (1, 1, 3)])
def test_more_effort_is_never_worse_and_mostly_better(shape: tuple[int, ...]) -> None:
    array = photograph(*shape[:2]) if len(shape) == 3 else photograph(*shape[:2])[..., 0]
    codec, of = tiny(), picture.from_array(array)
    made = [choice.encode(codec, of, QUALITY, effort=Effort(level)) for level in (2, 3, 6)]
    found = [loss(codec, of, data) for data in made]
    assert found[2] <= found[0] + BYTE
    assert found[1] <= found[0] + BYTE
    if min(shape[:2]) >= 28:
        assert found[2] < 0.995 * found[0]
    assert np.asarray(caecodec.decode(made[2])).shape == array.shape


@needs_core
def test_an_interruption_takes_what_there_is() -> None:
    codec, of, asked = tiny(), picture.from_array(photograph(32, 32)), itertools.count()
    data = choice.encode(codec, of, QUALITY, effort=Effort(9, lambda: next(asked) >= 3))
    assert next(asked) < 10
    assert loss(codec, of, data) <= loss(codec, of, choice.encode(codec, of, QUALITY)) + BYTE


@needs_core
def test_the_command_searches_in_batches_and_for_targets(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(photograph(32, 32 + 8 * number)).save(tmp_path / f"{number}.png")
    assert run("encode", tmp_path, "-r", "--model", "tiny", "-q", QUALITY, "--effort", 5).code == 0
    for number in range(3):
        array = photograph(32, 32 + 8 * number)
        there = (tmp_path / f"{number}.cae").read_bytes()
        assert there == caecodec.encode(array, QUALITY, model="tiny", effort=5)
        assert there != caecodec.encode(array, QUALITY, model="tiny")
        small = caecodec.encode(array, target_size=len(there), model="tiny", effort=5)
        assert len(small) <= len(there)


def test_without_the_core_it_says_what_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "native_lacks", lambda: "there is no core here")
    codec = TinyCodec(tiny().model, engine="numpy")
    of = picture.from_array(photograph(16, 16))
    assert choice.encode(codec, of, QUALITY, effort=Effort(2)) == choice.encode(tiny(), of, QUALITY)
    with pytest.raises(UsageError, match=r"needs gradients.*there is no core here"):
        choice.encode(codec, of, QUALITY, effort=Effort(5))


def drawn(name: str, engine: str = "auto") -> AutoencoderCodec:
    codec = open_codec(name, engine=engine)
    assert isinstance(codec, AutoencoderCodec)
    return codec


GARMENT = picture.from_array(photograph(28, 28)[..., 0])


@pytest.mark.parametrize("engine", ["torch", "numpy"])
def test_an_autoencoder_with_a_context_costs_much_less_with_effort(engine: str) -> None:
    codec = drawn("fashion-mnist", engine)
    usual, better = (choice.encode(codec, GARMENT, QUALITY, effort=Effort(level)) for level in (2, 4))
    assert loss(codec, GARMENT, better) < 0.9 * loss(codec, GARMENT, usual)
    assert better == choice.encode(codec, GARMENT, QUALITY, effort=Effort(4))


def test_an_autoencoder_that_is_interrupted_keeps_what_it_has() -> None:
    codec, asked = drawn("fashion-mnist"), itertools.count()
    data = choice.encode(codec, GARMENT, QUALITY, effort=Effort(9, lambda: next(asked) >= 2))
    assert next(asked) < 8
    assert loss(codec, GARMENT, data) <= loss(codec, GARMENT, choice.encode(codec, GARMENT, QUALITY))


def test_an_autoencoder_without_a_context_codes_the_same_at_every_effort() -> None:
    codec = drawn("mnist-fixed")
    usual, searched = (choice.encode(codec, GARMENT, QUALITY, effort=Effort(level)) for level in (2, 5))
    assert usual == searched


def test_the_lambda_of_an_autoencoder_is_that_behind_its_weights() -> None:
    codec = drawn("fashion-mnist")
    gain_out = codec.model.tensors["float.gain_out"].astype(np.float64) * ONE
    power = [codec.worth(q).weight / (codec.worth(q).mse * gain_out[q - 1] ** 2) for q in (1, 50, 100)]
    np.testing.assert_allclose(power[1], power[0], rtol=1e-3)  # what a step does in the picture is the same at all
    np.testing.assert_allclose(power[2], power[0], rtol=1e-3)


def test_without_torch_an_autoencoder_says_what_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = AutoencoderCodec(drawn("fashion-mnist").model, engine="numpy")
    monkeypatch.setattr(opening, "torch_lacks", lambda: "torch is not here")
    with pytest.raises(UsageError, match=r"for autoencoders torch alone has: torch is not here"):
        choice.encode(codec, GARMENT, QUALITY, effort=Effort(5))
