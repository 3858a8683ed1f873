from __future__ import annotations

import pickle
import re
import sys

import pytest
from support import photograph

from caecodec.bench.codecs import registry
from caecodec.bench.codecs.protocol import BenchCodec
from caecodec.bench.metrics import metrics
from caecodec.errors import UsageError


@pytest.mark.parametrize("name", registry.CODECS)
@pytest.mark.parametrize("size", [(32, 48), (33, 47), (32, 47), (33, 48)])
def test_every_codec_gives_a_whole_file_and_the_picture_back(name: str, size: tuple[int, int]) -> None:
    codec = registry.open_codec(name)
    array = photograph(*size)
    data = codec.encode(array, codec.qualities[-1])
    back = codec.decode(data)
    assert back.shape == array.shape
    assert metrics.psnr(metrics.mse(array, back)) > 33
    assert codec.encode(array, codec.qualities[-1]) == data


@pytest.mark.parametrize("name", registry.CODECS)
def test_every_codec_is_named_and_travels_to_other_processes_and_its_files_grow(name: str) -> None:
    codec = registry.open_codec(name)
    assert codec.name == name
    assert re.search(r"\d\.\d", codec.version)
    assert pickle.loads(pickle.dumps(codec)) == codec
    assert codec.qualities == tuple(sorted(set(codec.qualities)))
    array = photograph(64, 64)
    sizes = [len(codec.encode(array, codec.qualities[place])) for place in (0, len(codec.qualities) // 2, -1)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    ("name", "begins", "extension"),
    [
        ("mozjpeg", b"\xff\xd8\xff", "jpg"),
        ("jpegli", b"\xff\xd8\xff", "jpg"),
        ("jxl-7", b"\xff\x0a", "jxl"),
        ("heic-444", b"\0\0\0.ftyphei", "heic"),
        ("vvc", b"\0\0\0\1", "266"),
        ("avif", b"\0\0\0.ftypavif", "avif"),
        ("jpeg2000", b"\0\0\0.jP  ", "jp2"),
        ("webp", b"RIFF", "webp"),
        ("caecodec", b"\xca\xec", "cae"),
    ],
)
def test_files_are_of_the_format_that_their_extension_says(name: str, begins: bytes, extension: str) -> None:
    codec = registry.open_codec(name)
    assert codec.extension == extension
    data = codec.encode(photograph(32, 48), codec.qualities[0])
    assert re.match(begins, data, re.DOTALL)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("mozjpeg", "pyvips"),
        ("jpegli", "pyjpegli"),
        ("jxl-7", "pillow_jxl"),
        ("heic-444", "pillow_heif"),
        ("vvc", "imageio_ffmpeg"),
    ],
)
def test_a_codec_without_its_package_says_what_to_install(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"{name} does not work here: .*pip install caecodec\[bench\]"):
        registry.open_codec(name)


def test_all_can_be_joined_by_other_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "CODECS", {"jpeg": registry.CODECS["jpeg"], "webp": registry.CODECS["webp"]})
    opened, _ = registry.open_codecs(["all", "jpeg", "caecodec:photo"])
    assert [codec.name for codec in opened] == ["jpeg", "webp", "caecodec:photo"]


def test_a_codec_that_does_not_work_is_named_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> BenchCodec:
        raise ImportError("no library for it")

    monkeypatch.setattr(registry, "CODECS", {"jpeg": registry.CODECS["jpeg"], "new": broken})
    opened, missing = registry.open_codecs(["all"])
    assert [codec.name for codec in opened] == ["jpeg"]
    assert missing == {"new": "ImportError: no library for it"}
    with pytest.raises(UsageError, match="new does not work here: ImportError: no library for it"):
        registry.open_codec("new")


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(UsageError, match="no codec jepg"):
        registry.open_codecs(["jpeg", "jepg"])
    with pytest.raises(UsageError, match="no codec named"):
        registry.open_codecs([])


def test_names_are_known_once_each_whether_the_codec_works_or_not() -> None:
    assert registry.known_names(["jpeg", "caecodec:tiny", "jpeg"]) == ["jpeg", "caecodec:tiny"]
    assert registry.known_names(["all", "caecodec@6"]) == [*registry.CODECS, "caecodec@6"]
