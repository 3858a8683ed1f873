"""Which engine is taken."""

from __future__ import annotations

import sys

import pytest

from caecodec.engines import opening
from caecodec.engines.numpy.autoencoder import NumpyAutoencoderEngine
from caecodec.engines.opening import always, chosen, torch_lacks
from caecodec.errors import UsageError
from caecodec.zoo import find


def never() -> str:
    return "it is a test"


def test_auto_is_the_first_that_is_ready() -> None:
    assert chosen("auto", {"native": never, "torch": always, "numpy": always}) == "torch"
    assert chosen("numpy", {"native": never, "torch": always, "numpy": always}) == "numpy"


def test_an_engine_that_cannot_be_is_refused_with_its_reason() -> None:
    with pytest.raises(UsageError, match="'native' cannot run here: it is a test"):
        chosen("native", {"native": never, "numpy": always})
    with pytest.raises(UsageError, match="no engine 'native' for this model: choose auto, torch, numpy"):
        chosen("native", {"torch": always, "numpy": always})
    with pytest.raises(UsageError, match="unknown engine 'tensorflow': choose auto, native, numpy, torch"):
        chosen("tensorflow", {"numpy": always})


def test_without_torch_an_autoencoder_opens_on_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "caecodec[torch]" in torch_lacks()
    model = find.load("mnist")
    assert isinstance(opening.autoencoder(model, "auto", "auto"), NumpyAutoencoderEngine)
    with pytest.raises(UsageError, match="torch is not installed"):
        opening.autoencoder(model, "auto", "auto", engine="torch")


@pytest.mark.parametrize(
    ("device", "precision", "said"),
    [
        ("cuda", "auto", "needs torch"),
        ("tpu", "auto", "choose"),
        ("cpu", "bfloat16", "needs"),
        ("cpu", "int4", "choose"),
    ],
)
def test_what_only_torch_can_do_is_refused_by_numpy(device: str, precision: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        opening.autoencoder(find.load("mnist"), device, precision, engine="numpy")
