from __future__ import annotations

import numpy as np
import pytest
from support import photograph

import caecodec
from caecodec.bench.codecs.ours import options_of_caecodec
from caecodec.bench.codecs.registry import open_codec, open_codecs
from caecodec.errors import UsageError


def test_another_model_is_a_codec_of_its_name() -> None:
    default, named = open_codec("caecodec"), open_codec("caecodec:photo")
    assert named.name == "caecodec:photo"
    assert "model photo " in named.version
    array = photograph(32, 48)
    assert caecodec.info(named.encode(array, 40)).model == "photo"
    assert np.array_equal(default.decode(named.encode(array, 40)), named.decode(named.encode(array, 40)))
    _, missing = open_codecs(["caecodec:no-such-model"])
    assert "no-such-model" in missing["caecodec:no-such-model"]


def test_caecodec_takes_a_model_and_an_effort_in_its_name() -> None:
    usual, hard = open_codec("caecodec"), open_codec("caecodec:photo@3")
    assert usual.version == hard.version
    assert "model photo" in usual.version
    array = photograph(64, 96)
    assert hard.encode(array, 50) == caecodec.encode(array, 50, model="photo", effort=3)
    assert options_of_caecodec("caecodec:photo@3") == ("--model", "photo", "--effort", "3")
    assert options_of_caecodec("caecodec") == ()
    assert options_of_caecodec("webp") is None
    with pytest.raises(UsageError, match="caecodec@EFFORT"):
        open_codecs(["caecodec@0"])
