"""What -q and --precision promise, on a real photograph with the model that ships."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import caecodec
from caecodec.codecs.codec import Codec, no_progress
from caecodec.codecs.opening import open_codec
from caecodec.pictures.picture import from_array
from caecodec.search import target
from caecodec.search.target import psnr

PHOTO = Path(__file__).parents[1] / "data" / "photo.png"


@pytest.fixture(scope="module")
def photo() -> NDArray[np.uint8]:
    return np.asarray(Image.open(PHOTO).convert("RGB"))


def test_size_and_psnr_rise_with_quality(photo: NDArray[np.uint8]) -> None:
    points = []
    for quality in (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100):
        data = caecodec.encode(photo, quality)
        points.append((len(data), psnr(photo, np.asarray(caecodec.decode(data)))))
    for (size, quality), (larger, better) in itertools.pairwise(points):
        assert larger > size
        assert better > quality


def test_gray_costs_less_than_colour(photo: NDArray[np.uint8]) -> None:
    gray = np.asarray(Image.fromarray(photo).convert("L"))
    assert len(caecodec.encode(gray, 50)) < len(caecodec.encode(photo, 50))


def test_bfloat16_loses_at_most_a_fiftieth_of_a_decibel_at_the_highest_quality(photo: NDArray[np.uint8]) -> None:
    reached = {}
    for precision in ("float32", "bfloat16"):
        # latents, though a lossless file is preferred at 100
        data = Codec.encode(open_codec(precision=precision), from_array(photo), 100)
        reached[precision] = psnr(photo, np.asarray(caecodec.decode(data, precision=precision)))
    assert reached["bfloat16"] > reached["float32"] - 0.02


@pytest.mark.parametrize("jpeg_quality", [30, 60, 85])
def test_the_photograph_is_smaller_than_progressive_jpeg_at_equal_psnr(
    photo: NDArray[np.uint8], jpeg_quality: int
) -> None:
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "JPEG", quality=jpeg_quality, optimize=True, progressive=True)
    wanted = psnr(photo, np.asarray(Image.open(stream)))
    found = target.encode_to_target(open_codec(), from_array(photo), target.Target(psnr=wanted), no_progress)
    assert psnr(photo, np.asarray(caecodec.decode(found.data))) >= wanted
    assert len(found.data) < len(stream.getvalue())
