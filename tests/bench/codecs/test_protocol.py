from __future__ import annotations

import io
import math
import pickle
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support import photograph

import caecodec
from caecodec.bench.codecs import match, protocol
from caecodec.bench.metrics import metrics
from caecodec.errors import UsageError


@pytest.mark.parametrize("name", protocol.CODECS)
@pytest.mark.parametrize("size", [(32, 48), (33, 47), (32, 47), (33, 48)])
def test_every_codec_gives_a_whole_file_and_the_picture_back(name: str, size: tuple[int, int]) -> None:
    codec = protocol.open_codec(name)
    array = photograph(*size)
    data = codec.encode(array, codec.qualities[-1])
    back = codec.decode(data)
    assert back.shape == array.shape
    assert metrics.psnr(metrics.mse(array, back)) > 33
    assert codec.encode(array, codec.qualities[-1]) == data


@pytest.mark.parametrize("name", protocol.CODECS)
def test_every_codec_is_named_and_travels_to_other_processes_and_its_files_grow(name: str) -> None:
    codec = protocol.open_codec(name)
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
    codec = protocol.open_codec(name)
    assert codec.extension == extension
    data = codec.encode(photograph(32, 48), codec.qualities[0])
    assert re.match(begins, data, re.DOTALL)


@pytest.mark.parametrize("name", ["mozjpeg", "mozjpeg-q1", "jpegli", "jpeg", "jpeg-progressive"])
def test_jpeg_files_are_420_and_those_of_444_are_not(name: str) -> None:
    for codec_name, sampling in ((name, (2, 2)), ("jpeg-progressive-444", (1, 1))):
        codec = protocol.open_codec(codec_name)
        with Image.open(io.BytesIO(codec.encode(photograph(32, 48), 95))) as image:
            assert image.layer[0][1:3] == sampling


def test_the_quality_of_vvc_is_63_less_qp() -> None:
    codec = protocol.open_codec("vvc")
    array = photograph(64, 64)
    sizes = {quality: len(codec.encode(array, quality)) for quality in (21, 36)}
    assert sizes[21] < sizes[36]  # QP 42 and 27


def test_an_odd_vvc_picture_costs_one_byte_more_than_its_padded_one() -> None:
    codec = protocol.open_codec("vvc")
    odd = photograph(33, 47)
    data = codec.encode(odd, 31)
    padded = np.pad(odd, ((0, 1), (0, 1), (0, 0)), "edge")
    assert data == b"\3" + codec.encode(padded, 31)
    assert codec.decode(data).shape == odd.shape


def test_a_failing_ffmpeg_is_an_error_with_its_words() -> None:
    with pytest.raises(OSError, match="ffmpeg: "):
        protocol.open_codec("vvc").decode(b"\0\0\0\1 not a bitstream")


def test_a_libvips_without_mozjpeg_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain:
        """A libvips to which the options of mozjpeg say nothing."""

        def jpegsave_buffer(self, **_options: object) -> bytes:
            return b"same"

    def new_from_memory(*_: object) -> Plain:
        return Plain()

    plain = SimpleNamespace(Image=SimpleNamespace(new_from_memory=new_from_memory))
    monkeypatch.setitem(sys.modules, "pyvips", plain)
    with pytest.raises(UsageError, match="built without mozjpeg"):
        protocol.open_codec("mozjpeg")


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
        protocol.open_codec(name)


def test_another_model_is_a_codec_of_its_name() -> None:
    default, named = protocol.open_codec("caecodec"), protocol.open_codec("caecodec:photo")
    assert named.name == "caecodec:photo"
    assert "model photo " in named.version
    array = photograph(32, 48)
    assert caecodec.info(named.encode(array, 40)).model == "photo"
    assert np.array_equal(default.decode(named.encode(array, 40)), named.decode(named.encode(array, 40)))
    _, missing = protocol.open_codecs(["caecodec:no-such-model"])
    assert "no-such-model" in missing["caecodec:no-such-model"]


def test_all_can_be_joined_by_other_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CODECS", {"jpeg": protocol.CODECS["jpeg"], "webp": protocol.CODECS["webp"]})
    opened, _ = protocol.open_codecs(["all", "jpeg", "caecodec:photo"])
    assert [codec.name for codec in opened] == ["jpeg", "webp", "caecodec:photo"]


def test_threads_are_given_to_the_codecs_that_take_them() -> None:
    array = photograph(256, 512)
    one, four = protocol.open_codec("avif"), protocol.with_threads(protocol.open_codec("avif"), 4)
    assert one.encode(array, 50) != four.encode(array, 50)  # tiles
    jxl = protocol.open_codec("jxl-7")
    assert protocol.with_threads(jxl, 4) != jxl
    assert protocol.with_threads(jxl, 4).encode(array, 50) == jxl.encode(array, 50)
    jpegli = protocol.open_codec("jpegli")
    assert protocol.with_threads(jpegli, 4) == jpegli


def test_jpeg_is_what_pillow_writes_by_default() -> None:
    array = photograph(32, 48)
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "JPEG", quality=40)
    assert protocol.open_codec("jpeg").encode(array, 40) == stream.getvalue()


def test_a_codec_that_does_not_work_is_named_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> protocol.BenchCodec:
        raise ImportError("no library for it")

    monkeypatch.setattr(protocol, "CODECS", {"jpeg": protocol.CODECS["jpeg"], "new": broken})
    opened, missing = protocol.open_codecs(["all"])
    assert [codec.name for codec in opened] == ["jpeg"]
    assert missing == {"new": "ImportError: no library for it"}
    with pytest.raises(UsageError, match="new does not work here: ImportError: no library for it"):
        protocol.open_codec("new")


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(UsageError, match="no codec jepg"):
        protocol.open_codecs(["jpeg", "jepg"])


def test_metrics_of_known_pictures() -> None:
    black, dark = np.zeros((4, 5, 3), np.uint8), np.full((4, 5, 3), 2, np.uint8)
    assert metrics.mse(black, dark) == metrics.mse(dark, black) == 4.0
    assert metrics.psnr(4.0) == pytest.approx(10 * math.log10(255**2 / 4))
    assert metrics.psnr(0.0) == math.inf
    assert metrics.bpp(100, 20, 10) == 4.0
    assert metrics.compression_rate(60, 20, 10) == 0.9
    with pytest.raises(ValueError, match="cannot be compared"):
        metrics.mse(black, dark[:3])


def test_every_metric_is_best_on_equal_pictures_and_worse_on_worse_ones() -> None:
    array = photograph(176, 200)
    files = [protocol.open_codec("jpeg").encode(array, quality) for quality in (10, 90)]
    bad, good = (protocol.open_codec("jpeg").decode(data) for data in files)
    for name in metrics.ASKABLE:
        values = [metrics.measure(name, array, other) for other in (bad, good, array)]
        assert values == sorted(values, key=lambda value: value or 0)
        assert values[0] != values[1]
        assert values[2] == pytest.approx(100 if name == "ssimulacra2" else 1)


def test_ssim_of_flat_pictures_is_its_luminance_term() -> None:
    a, b = np.full((176, 176, 3), 100, np.uint8), np.full((176, 176, 3), 120, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert metrics.ssim(a, b) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1), abs=1e-4)


def test_a_metric_is_none_where_the_picture_is_too_small() -> None:
    for name, metric in metrics.ASKABLE.items():
        side = metric.smallest_side
        too_small = photograph(side - 1, side + 20)
        large = photograph(side, side + 20)
        assert metrics.measure(name, too_small, too_small) is None
        assert metrics.measure(name, large, large) is not None


def test_metrics_are_named_with_commas_between() -> None:
    assert metrics.names("psnr") == ()
    assert metrics.names("ms_ssim, ssim") == metrics.names("ms-ssim,ssim") == ("ssim", "ms_ssim")
    assert metrics.names("all") == ("ssim", "ms_ssim", "ssimulacra2")
    with pytest.raises(UsageError, match="no metric 'vmaf'; choose from psnr, ssim, ms_ssim, ssimulacra2 or all"):
        metrics.names("psnr,vmaf")


def test_metrics_to_compare_by_are_in_the_order_given_and_all_is_three_of_them() -> None:
    assert metrics.chosen(["ssimulacra2", "psnr", "ssimulacra2"]) == (metrics.SSIMULACRA2, metrics.PSNR)
    assert metrics.chosen(["all"]) == (metrics.PSNR, metrics.MS_SSIM, metrics.SSIMULACRA2)
    assert metrics.chosen(["ms-ssim", "all"])[0] is metrics.MS_SSIM
    with pytest.raises(UsageError, match="no metric 'vmaf'; choose from psnr, ssim, ms_ssim, ssimulacra2 or all"):
        metrics.chosen(["psnr", "vmaf"])


def test_levels_are_decibels_of_what_nears_one_and_else_the_value() -> None:
    for value, level in ((0.9, 10), (0.99, 20), (0.0, 0), (1.0, math.inf), (1.0000001, math.inf)):
        assert metrics.MS_SSIM.level(value) == pytest.approx(level)
    assert metrics.SSIM.level_unit == metrics.MS_SSIM.level_unit == metrics.PSNR.level_unit == "dB"
    assert (metrics.PSNR.level(31.5), metrics.SSIMULACRA2.level(-12.0)) == (31.5, -12.0)
    assert metrics.SSIMULACRA2.level_unit == ""
    assert metrics.MS_SSIM.level(None) is None


def test_a_metric_without_its_package_says_what_to_install_and_ssimulacra2_needs_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for package in ("pytorch_msssim", "ssimulacra2"):
        monkeypatch.setitem(sys.modules, package, None)
    metrics.require(("ssimulacra2",))
    with pytest.raises(UsageError, match=r"pip install caecodec\[bench\]"):
        metrics.require(("ssim",))


def test_the_best_file_within_a_size_is_the_largest_that_fits() -> None:
    codec = protocol.open_codec("jpeg")
    array = photograph(64, 64)
    found = match.best_within(codec, array, 1500)
    assert len(found.data) <= 1500 < len(codec.encode(array, found.quality + 1))
    assert found.bpp == 8 * len(found.data) / (64 * 64)
    assert match.best_within(codec, array, 10).quality == 1
    assert match.best_within(codec, array, 10**6).quality == 100


def test_caecodec_takes_a_model_and_an_effort_in_its_name() -> None:
    usual, hard = protocol.open_codec("caecodec"), protocol.open_codec("caecodec:photo@3")
    assert usual.version == hard.version
    assert "model photo" in usual.version
    array = photograph(64, 96)
    assert hard.encode(array, 50) == caecodec.encode(array, 50, model="photo", effort=3)
    assert protocol.options_of_caecodec("caecodec:photo@3") == ("--model", "photo", "--effort", "3")
    assert protocol.options_of_caecodec("caecodec") == ()
    assert protocol.options_of_caecodec("webp") is None
    with pytest.raises(UsageError, match="caecodec@EFFORT"):
        protocol.open_codecs(["caecodec@0"])
