from __future__ import annotations

import math

import numpy as np
import pytest
from support import photograph

import caecodec
from caecodec.codecs import opening
from caecodec.codecs.codec import Codec
from caecodec.codecs.photo import PhotoCodec
from caecodec.command.encode import parse_size
from caecodec.errors import UsageError
from caecodec.pictures.picture import Picture, from_array
from caecodec.pictures.ssimulacra2 import score
from caecodec.search import choice
from caecodec.search import target as rate
from caecodec.search.target import Target, highest, psnr


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("40000", 40000),
        ("1", 1),
        ("40kB", 40_000),
        ("40KB", 40_000),
        ("40k", 40_000),
        ("40KiB", 40_960),
        ("1.5MB", 1_500_000),
        ("1.5 M", 1_500_000),
        ("2MiB", 2_097_152),
        (" 12 b ", 12),
        ("0.5kB", 500),
        ("1e3", 1000),
        ("1.9", 1),
    ],
)
def test_sizes_are_read_with_decimal_and_binary_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "kB", "forty", "40xB", "40 40", "4,5kB", "0", "0.5", "-5kB", "nan", "inf", "1e400", "1 e", "0x10"]
)
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="size"):
        parse_size(text)


@pytest.mark.parametrize("last", range(101))
def test_highest_finds_where_a_predicate_ends_within_seven_questions(last: int) -> None:
    asked: list[int] = []

    def meets(quality: int) -> bool:
        asked.append(quality)
        return quality <= last

    assert highest(meets) == last
    assert len(asked) <= 7
    assert all(1 <= quality <= 100 for quality in asked)


@pytest.mark.parametrize("values", [{}, {"size": 5, "bpp": 1.0}, {"size": 5, "bpp": 1.0, "psnr": 30.0}])
def test_a_target_is_exactly_one_wish(values: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="give one of"):
        Target(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
@pytest.mark.parametrize("name", ["size", "bpp", "psnr", "ssimulacra2"])
def test_a_target_is_finite_and_above_zero(name: str, value: float) -> None:
    with pytest.raises(UsageError, match="above zero"):
        Target(**{name: value})  # type: ignore[arg-type]


def test_psnr_is_that_of_the_whole_picture() -> None:
    a = np.full((4, 5, 3), 100, np.uint8)
    b = a.copy()
    b[0, 0, 0] = 110
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 / (100 / 60)))
    assert psnr(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)) == pytest.approx(0)  # no wrap-around
    assert psnr(a, a) == math.inf


def test_psnr_of_two_heights_is_a_bug() -> None:
    with pytest.raises(ValueError, match="argument 2 is"):
        psnr(np.zeros((2, 2), np.uint8), np.zeros((3, 2), np.uint8))


@pytest.fixture(scope="module")
def coder() -> PhotoCodec:
    return opening.open_codec()


PICTURE = Picture(photograph(50, 70))


@pytest.mark.parametrize("quality", [1, 2, 17, 50, 99, 100])
@pytest.mark.parametrize("spare", [-1, 0, 1, 40])
def test_a_target_size_is_never_exceeded_and_the_next_quality_would(
    coder: PhotoCodec, quality: int, spare: int
) -> None:
    def lossy(at: int) -> bytes:  # at the highest qualities `encode` prefers a lossless file
        return Codec.encode(coder, PICTURE, at)

    reachable = len(choice.encode(coder, PICTURE, 1))  # what lies below is the next test's
    size = max(reachable, len(lossy(quality)) + spare)
    found = rate.encode_to_target(coder, PICTURE, Target(size=size), opening.no_progress)
    assert len(found.data) <= size
    assert caecodec.info(found.data).quality == found.quality
    assert found.data == lossy(found.quality)
    assert found.quality == 100 or len(lossy(found.quality + 1)) > size


@pytest.mark.parametrize("quality", [20, 50, 80])
def test_a_target_rate_counts_the_whole_file(coder: PhotoCodec, quality: int) -> None:
    picture = Picture(photograph(50, 70), np.full((50, 70), 9, np.uint8), exif=bytes(20))
    bpp = 8 * len(choice.encode(coder, picture, quality)) / (50 * 70)
    found = rate.encode_to_target(coder, picture, Target(bpp=bpp * 1.0001), opening.no_progress)
    assert 8 * len(found.data) / (50 * 70) <= bpp * 1.0001
    assert found.quality >= quality


@pytest.mark.parametrize("quality", [15, 50, 85])
def test_a_target_psnr_is_reached_by_what_is_decoded(coder: PhotoCodec, quality: int) -> None:
    wanted = psnr(PICTURE.colour, opening.decode(choice.encode(coder, PICTURE, quality)).colour) - 0.05
    found = rate.encode_to_target(coder, PICTURE, Target(psnr=wanted), opening.no_progress)
    assert psnr(PICTURE.colour, opening.decode(found.data).colour) >= wanted
    lower = opening.decode(choice.encode(coder, PICTURE, found.quality - 1)).colour
    assert psnr(PICTURE.colour, lower) < wanted


@pytest.mark.parametrize("quality", [40, 70])
def test_a_target_ssimulacra2_is_reached_by_what_is_decoded(coder: PhotoCodec, quality: int) -> None:
    wanted = score(PICTURE.colour, opening.decode(choice.encode(coder, PICTURE, quality)).colour) - 0.05
    found = rate.encode_to_target(coder, PICTURE, Target(ssimulacra2=wanted), opening.no_progress)
    assert score(PICTURE.colour, opening.decode(found.data).colour) >= wanted
    lower = opening.decode(choice.encode(coder, PICTURE, found.quality - 1)).colour
    assert score(PICTURE.colour, lower) < wanted


def test_a_ssimulacra2_that_cannot_be_is_refused(coder: PhotoCodec) -> None:
    with pytest.raises(UsageError, match="ends at 100"):
        Target(ssimulacra2=101)
    tiny = from_array(PICTURE.colour[:5, :40].copy())
    with pytest.raises(UsageError, match="at least 8 pixels"):
        rate.encode_to_target(coder, tiny, Target(ssimulacra2=50), opening.no_progress)


def test_an_impossible_size_says_what_was_reachable(coder: PhotoCodec) -> None:
    smallest = len(choice.encode(coder, PICTURE, 1))
    with pytest.raises(UsageError, match=f"20 bytes cannot be met: quality 1 takes {smallest} bytes$"):
        rate.encode_to_target(coder, PICTURE, Target(size=20), opening.no_progress)
    found = rate.encode_to_target(coder, PICTURE, Target(size=smallest), opening.no_progress)
    assert len(found.data) <= smallest


def test_an_impossible_size_points_at_the_metadata(coder: PhotoCodec) -> None:
    picture = Picture(PICTURE.colour, xmp=bytes(3000))
    with pytest.raises(UsageError, match="keep_metadata=False drops metadata"):
        rate.encode_to_target(coder, picture, Target(size=1000), opening.no_progress)


def test_a_psnr_above_what_the_model_reaches_is_met_losslessly(coder: PhotoCodec) -> None:
    found = rate.encode_to_target(coder, PICTURE, Target(psnr=99), opening.no_progress)
    np.testing.assert_array_equal(opening.decode(found.data).colour, PICTURE.colour)
    assert found.quality == 100


def test_a_lossless_file_that_fits_the_size_or_beats_the_psnr_is_taken(coder: PhotoCodec) -> None:
    stripes = from_array(np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] % 2 * 255, 64, 0).repeat(3, 2))
    for target in (Target(size=500), Target(psnr=30), Target(bpp=2)):
        found = rate.encode_to_target(coder, stripes, target, opening.no_progress)
        np.testing.assert_array_equal(opening.decode(found.data).colour, stripes.colour)
        assert len(found.data) < 200
