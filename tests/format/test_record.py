from __future__ import annotations

import dataclasses
import json
import sys

import numpy as np
import pytest
from PIL import Image
from support import photograph

import caecodec
from caecodec.errors import CorruptFileError, LimitError
from caecodec.format.container import CHECK_BYTES, Container, serialize
from caecodec.format.record import info
from caecodec.limits import Limits
from caecodec.zoo import find

UNKNOWN = b"\0\0\0\1"
PLAIN = Container(40, 30, 7, UNKNOWN, (b"\1\2\3\4\5",))


@pytest.mark.parametrize(
    ("container", "sections"),
    [
        (PLAIN, {"header": 18, "latents": 3}),
        (dataclasses.replace(PLAIN, width=1025, tiles=(b"\1\2\3", b"\4\5")), {"header": 22, "latents": 1}),
        (
            dataclasses.replace(PLAIN, sections={b"A": b"12345", b"e": b"6", b"i": b"78", b"x": b"90a"}),
            {"header": 27, "latents": 3, "alpha": 5, "exif": 1, "icc": 2, "xmp": 3},
        ),
    ],
)
def test_sections_are_counted_and_sum_to_the_size(container: Container, sections: dict[str, int]) -> None:
    data = serialize(container)
    facts = info(data)
    assert facts.sections == sections
    assert sum(sections.values()) == facts.size_bytes == len(data)


@pytest.mark.parametrize(
    ("gray", "alpha", "mode"), [(True, False, "L"), (True, True, "LA"), (False, False, "RGB"), (False, True, "RGBA")]
)
def test_the_mode_is_the_decoded_pictures(gray: bool, alpha: bool, mode: str) -> None:
    facts = info(serialize(dataclasses.replace(PLAIN, gray=gray, sections={b"A": b"?"} if alpha else {})))
    assert facts.mode == mode
    assert facts.compression_rate == pytest.approx(1 - facts.size_bytes / (40 * 30 * len(mode)))


def test_facts_are_the_files() -> None:
    facts = info(serialize(PLAIN))
    assert (facts.width, facts.height, facts.quality, facts.tiles, facts.format_version) == (40, 30, 7, 1, 2)
    assert facts.bpp == pytest.approx(8 * 21 / 1200)
    assert (facts.model_id, facts.model) == ("00000001", None)


@pytest.mark.parametrize(
    ("row", "quality", "tune"), [(1, 1, "eye"), (100, 100, "eye"), (101, 1, "psnr"), (200, 100, "psnr")]
)
def test_a_quality_above_100_is_one_for_psnr(row: int, quality: int, tune: str) -> None:
    facts = info(serialize(dataclasses.replace(PLAIN, quality=row)))
    assert (facts.quality, facts.tune) == (quality, tune)


def test_an_installed_model_is_named(small_cae: bytes) -> None:
    assert info(small_cae).model == find.DEFAULT_MODEL


def test_facts_are_plain_values_for_json(small_cae: bytes) -> None:
    facts = info(small_cae)
    assert json.loads(json.dumps(facts.to_dict())) == facts.to_dict()
    assert facts.to_dict()["width"] == 24


def test_the_record_is_frozen(small_cae: bytes) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        info(small_cae).width = 3  # type: ignore[misc]


def test_nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("caecodec.codecs.opening", "caecodec.pictures.picture", "torch", "PIL"):
        monkeypatch.setitem(sys.modules, module, None)  # importing it now fails
    assert info(serialize(PLAIN)).width == 40


def test_damage_and_limits_are_the_parsers() -> None:
    data = serialize(PLAIN)
    with pytest.raises(CorruptFileError):
        info(data[:-1])
    with pytest.raises(LimitError):
        info(data, Limits(pixels=1199))


@pytest.mark.parametrize("quality", [1, 50, 100])
def test_overhead_is_at_most_20_bytes_for_a_picture_of_32x32(quality: int) -> None:
    for picture in (photograph(32, 32), np.full((32, 32, 3), 100, np.uint8), photograph(32, 32)[..., 0]):
        facts = caecodec.info(caecodec.encode(picture, quality))
        assert list(facts.sections) == ["header", "pixels" if facts.model == "lossless" else "latents"]
        assert facts.sections["header"] <= 20


def test_overhead_with_every_section_is_the_table_only() -> None:
    image = Image.fromarray(photograph(32, 32)).convert("RGBA")
    image.info |= {"exif": b"Exif\0\0MM\0*", "icc_profile": b"profile", "xmp": b"<x/>"}
    facts = caecodec.info(caecodec.encode(image))
    assert facts.sections["header"] <= 20 + 1 + 5 * 2 + 1 + CHECK_BYTES
    assert (facts.sections["exif"], facts.sections["icc"], facts.sections["xmp"]) == (4, 7, 4)
