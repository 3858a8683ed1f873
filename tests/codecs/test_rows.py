"""Regions, smaller pictures and 16 bits of whole files, by every exact engine."""

from __future__ import annotations

import numpy as np
import pytest
from support import photograph, psnr, soft_alpha

import caecodec
from caecodec.codecs.lossless import LosslessCodec
from caecodec.codecs.opening import open_codec
from caecodec.engines.native import library
from caecodec.engines.native.photo import NativePhotoLatents
from caecodec.format import container
from caecodec.pictures.picture import from_array
from caecodec.pictures.view import View, rounded

needs_core = pytest.mark.skipif(not library.available(), reason="takes minutes without the native core")
SIZE = (1100, 1330)  # 2 x 2 tiles, whole cells at neither edge


@pytest.fixture(scope="module")
def data() -> bytes:
    return open_codec().encode(from_array(photograph(*SIZE, seed=2)), 60)


@pytest.fixture(scope="module")
def whole(data: bytes) -> np.ndarray:
    return np.asarray(caecodec.decode(data))


@needs_core
@pytest.mark.parametrize(
    "region", [(0, 0, 1, 1), (1000, 1000, 1100, 1100), (1329, 1099, 1330, 1100), (7, 900, 1330, 901)]
)
def test_a_region_is_the_crop_of_the_whole(data: bytes, whole: np.ndarray, region: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = region
    np.testing.assert_array_equal(np.asarray(caecodec.decode(data, region=region)), whole[top:bottom, left:right])
    deep = caecodec.decode(data, region=region, depth=16)
    np.testing.assert_array_equal(rounded(deep), whole[top:bottom, left:right])


@needs_core
def test_a_region_decodes_only_the_tiles_it_sees(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = 0
    real = NativePhotoLatents.decode

    def counted(self: NativePhotoLatents, *arguments: object) -> object:
        nonlocal decoded
        decoded += 1
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(NativePhotoLatents, "decode", counted)
    for region, tiles in (((0, 0, 500, 500), 1), ((900, 0, 950, 50), 1), ((1000, 0, 1010, 50), 2), (None, 4)):
        decoded = 0
        caecodec.decode(data, region=region)
        assert decoded == tiles


@needs_core
def test_a_smaller_picture_looks_like_the_whole_made_smaller(data: bytes, whole: np.ndarray) -> None:
    """1/2 and 1/4 are made of the whole; 1/8 and 1/16 of the linear branch, as near as nobody sees."""
    for divisor, at_least in ((2, 50), (4, 50), (8, 44), (16, 46)):
        small = np.asarray(caecodec.decode(data, scale=1 / divisor))
        assert small.shape == (-(-SIZE[0] // divisor), -(-SIZE[1] // divisor), 3)
        assert psnr(View(None, divisor).of_plane(whole), small) >= at_least
        part = np.asarray(caecodec.decode(data, region=(300, 40, 1330, 1090), scale=1 / divisor))
        d = divisor
        np.testing.assert_array_equal(part, small[40 // d : -(-1090 // d), 300 // d : -(-1330 // d)])


@needs_core
def test_bands_are_the_picture_and_are_decoded_as_they_are_taken(data: bytes, whole: np.ndarray) -> None:
    bands = list(caecodec.decode_rows(data))
    assert [len(band) for band in bands] == [1024 - 64, 1100 - 1024 + 64]
    np.testing.assert_array_equal(np.concatenate(bands), whole)
    parsed = container.parse(data)
    broken = container.Container(parsed.width, parsed.height, 60, parsed.model_id, (*parsed.tiles[:3], b"\0\0\1"))
    rows = caecodec.decode_rows(container.serialize(broken))
    assert len(next(rows)) == 1024 - 64
    with pytest.raises(caecodec.CorruptFileError):
        next(rows)


@pytest.mark.parametrize("gray", [False, True])
def test_all_exact_engines_give_the_same_sixteen_bits_and_the_same_small_pictures(gray: bool) -> None:
    pixels = photograph(40, 50)
    pixels[:8] = 255
    data = open_codec().encode(from_array(pixels[..., 0] if gray else pixels), 40)
    eight = np.asarray(caecodec.decode(data))
    engines = ("native", "numpy") if library.available() else ("numpy",)
    found = [
        [caecodec.decode(data, depth=16, scale=scale, engine=engine) for scale in (1, 1 / 2, 1 / 8, 1 / 16)]
        for engine in engines
    ]
    for one in found:
        for mine, first in zip(one, found[0], strict=True):
            assert mine.dtype == np.uint16
            np.testing.assert_array_equal(mine, first)
        np.testing.assert_array_equal(rounded(one[0]), eight)
        np.testing.assert_array_equal(rounded(one[2]), np.asarray(caecodec.decode(data, scale=1 / 8)))
    assert len(np.unique(found[0][0])) > 256


def test_torch_gives_nearly_the_same_sixteen_bits() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    data = open_codec().encode(from_array(photograph(40, 50)), 40)
    for scale in (1, 1 / 8, 1 / 16):
        exact = caecodec.decode(data, depth=16, scale=scale).astype(int)
        by_torch = caecodec.decode(data, depth=16, scale=scale, engine="torch", precision="float32")
        assert np.abs(exact - by_torch).max() <= 257


def test_a_soft_gradient_keeps_its_steps_small_in_sixteen_bits() -> None:
    """Four steps of 8 bits over 512 pixels: bands of 128 pixels, with an edge each."""
    ramp = np.broadcast_to(np.linspace(100, 104, 512), (128, 512))
    source = np.repeat((ramp + 0.5).astype(np.uint8)[..., None], 3, axis=2)
    data = open_codec().encode(from_array(source), 75)
    row = np.asarray(caecodec.decode(data))[64, :, 1].astype(int)
    deep = caecodec.decode(data, depth=16)[64, :, 1].astype(int)
    assert np.abs(np.diff(row)).max() == 1
    assert len(np.unique(row)) <= 6
    assert np.abs(np.diff(deep)).max() < 0.8 * 257
    assert len(np.unique(deep)) > 200


def test_alpha_and_gray_follow_a_view() -> None:
    alpha = soft_alpha(70, 90)
    both = np.dstack((photograph(70, 90), alpha))
    data = caecodec.encode(both, 50)
    whole = np.asarray(caecodec.decode(data))
    part = np.asarray(caecodec.decode(data, region=(3, 4, 80, 60)))
    np.testing.assert_array_equal(part, whole[4:60, 3:80])
    np.testing.assert_array_equal(part[..., 3], alpha[4:60, 3:80])
    deep = caecodec.decode(data, depth=16)
    np.testing.assert_array_equal(rounded(deep), whole)
    assert deep.shape == (70, 90, 4)
    assert caecodec.decode(data, scale=1 / 4).mode == "RGBA"


@pytest.mark.parametrize("gray", [False, True])
def test_lossless_and_small_pictures_have_views_too(gray: bool) -> None:
    pixels = photograph(1040, 1050)[..., 0] if gray else photograph(1040, 1050)
    data = LosslessCodec().encode(from_array(pixels))
    np.testing.assert_array_equal(caecodec.decode(data, region=(1000, 1010, 1040, 1030)), pixels[1010:1030, 1000:1040])
    for d in (1, 4, 16):
        np.testing.assert_array_equal(caecodec.decode(data, scale=1 / d), View(None, d).of_plane(pixels))
    np.testing.assert_array_equal(np.concatenate(list(caecodec.decode_rows(data))), pixels)
    small = caecodec.encode(pixels[:30, :40], 60, model="tiny")
    whole = np.asarray(caecodec.decode(small))
    np.testing.assert_array_equal(caecodec.decode(small, region=(3, 4, 33, 20)), whole[4:20, 3:33])
    np.testing.assert_array_equal(rounded(caecodec.decode(small, depth=16)), whole)
