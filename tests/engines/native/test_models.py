"""Models in the core's form."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import zoo_models

from caecodec.engines import opening
from caecodec.engines.native import library
from caecodec.engines.native.models import Opened, opened
from caecodec.engines.native.photo import NativePhotoEngine
from caecodec.errors import ModelError
from caecodec.zoo import find
from caecodec.zoo.file import Model

pytestmark = pytest.mark.skipif(not library.available(), reason=library.why_not())


def test_a_model_is_opened_once() -> None:
    model = zoo_models.photo()
    assert opened(model) is opened(model)
    assert opened(model) is not opened(zoo_models.photo())  # equal, but another


def test_the_last_few_are_kept_and_no_more() -> None:
    first = weakref.ref(opened(zoo_models.tiny()))
    gc.collect()
    assert first() is not None
    for seed in range(4):
        opened(zoo_models.tiny(seed))
    gc.collect()
    assert first() is None


def test_an_engine_keeps_its_model_open_when_others_came() -> None:
    model = zoo_models.photo()
    engine = opening.photo(model, "cpu", "auto", "native")
    y_hat = np.ones((2, 2, 20), np.int32)
    before = engine.synthesise(y_hat, 50)
    for seed in range(5):
        opened(zoo_models.tiny(seed))
    gc.collect()
    assert np.array_equal(engine.synthesise(y_hat, 50), before)


@pytest.mark.parametrize("name", ["photo", "tiny"])
def test_a_model_without_its_file_is_that_of_the_file(name: str) -> None:
    model = find.load(name)
    assert model.data is not None
    shapes = [Opened(one).core.shape for one in (model, Model(model.info, model.tensors))]
    assert len({tuple(getattr(shape, field) for field, _ in shape._fields_) for shape in shapes}) == 1
    assert (shapes[0].family, shapes[0].cell) == {"photo": (library.PHOTO, 16), "tiny": (library.TINY, 8)}[name]


@pytest.mark.parametrize("name", ["g_s.stem", "int.context.first", "h_a.down1"])
def test_weights_whose_sums_could_leave_32_bits_are_refused_with_the_file_named(name: str) -> None:
    model = zoo_models.photo()
    loud = np.full_like(model.tensors[f"{name}.weight"], 32767)
    with pytest.raises(ModelError):
        NativePhotoEngine(Model(model.info, {**model.tensors, f"{name}.weight": loud}))
