from __future__ import annotations

import io
import math
import pickle

import numpy as np
import pytest
from PIL import Image
from support import photograph

from caecodec.bench import codecs, match, metrics
from caecodec.errors import UsageError


@pytest.mark.parametrize("name", codecs.CODECS)
def test_every_codec_gives_a_whole_file_and_the_picture_back(name: str) -> None:
    codec = codecs.open_codec(name)
    array = photograph(32, 48)
    data = codec.encode(array, codec.qualities[-1])
    assert metrics.psnr(metrics.mse(array, codec.decode(data))) > 25
    assert codec.name == name
    assert codec.qualities == tuple(sorted(set(codec.qualities)))
    assert pickle.loads(pickle.dumps(codec)) == codec
    if name != "caecodec":
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == (48, 32)


def test_jpeg_is_what_pillow_writes_by_default() -> None:
    array = photograph(32, 48)
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "JPEG", quality=40)
    assert codecs.open_codec("jpeg").encode(array, 40) == stream.getvalue()


def test_a_codec_that_does_not_work_is_named_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> codecs.BenchCodec:
        raise ImportError("no library for it")

    monkeypatch.setattr(codecs, "CODECS", {"jpeg": codecs.CODECS["jpeg"], "new": broken})
    opened, missing = codecs.open_codecs(["all"])
    assert [codec.name for codec in opened] == ["jpeg"]
    assert missing == {"new": "ImportError: no library for it"}
    with pytest.raises(UsageError, match="new does not work here: ImportError: no library for it"):
        codecs.open_codec("new")


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(UsageError, match="no codec jepg"):
        codecs.open_codecs(["jpeg", "jepg"])


def test_metrics_of_known_pictures() -> None:
    black, dark = np.zeros((4, 5, 3), np.uint8), np.full((4, 5, 3), 2, np.uint8)
    assert metrics.mse(black, dark) == metrics.mse(dark, black) == 4.0
    assert metrics.psnr(4.0) == pytest.approx(10 * math.log10(255**2 / 4))
    assert metrics.psnr(0.0) == math.inf
    assert metrics.bpp(100, 20, 10) == 4.0
    assert metrics.compression_rate(60, 20, 10) == 0.9
    with pytest.raises(ValueError, match="cannot be compared"):
        metrics.mse(black, dark[:3])


def test_the_best_file_within_a_size_is_the_largest_that_fits() -> None:
    codec = codecs.open_codec("jpeg")
    array = photograph(64, 64)
    found = match.best_within(codec, array, 1500)
    assert len(found.data) <= 1500 < len(codec.encode(array, found.quality + 1))
    assert found.bpp == 8 * len(found.data) / (64 * 64)
    assert match.best_within(codec, array, 10).quality == 1
    assert match.best_within(codec, array, 10**6).quality == 100
