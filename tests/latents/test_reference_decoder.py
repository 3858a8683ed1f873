"""The codec against the decoder that was written from docs/FORMAT.md alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import reference_decoder as reference
from numpy.typing import NDArray
from reference_decoder import Cells, Model, RejectedError
from support import photograph, sealed, soft_alpha

from caecodec.codecs import tiling
from caecodec.codecs.codec import Codec
from caecodec.codecs.opening import open_codec
from caecodec.codecs.photo import PhotoCodec
from caecodec.entropy.range_coder import Decoder, Encoder
from caecodec.entropy.tables import Tables
from caecodec.errors import CorruptFileError
from caecodec.format import container
from caecodec.format.container import Container
from caecodec.pictures.picture import Picture
from caecodec.zoo import find
from caecodec.zoo.identity import model_id


@pytest.fixture(scope="module")
def model() -> Model:
    return reference.load_model(find.find().path)


@pytest.fixture(scope="module")
def codec() -> PhotoCodec:
    return open_codec(device="cpu", precision="float32")


@pytest.fixture(scope="module")
def two_tiles(codec: PhotoCodec) -> bytes:
    return codec.encode(Picture(photograph(20, 1040)), 35)


@pytest.fixture(scope="module")
def two_tiles_decoded(two_tiles: bytes, model: Model) -> list[Cells[int]]:
    return reference.decode_latents(two_tiles, model)


def latents(codec: PhotoCodec, data: bytes) -> list[NDArray[np.int32]]:
    parsed = container.parse(data)
    tiles = tiling.tiles(parsed.width, parsed.height)
    return [codec.latents.decode(s, t.shape, parsed.quality) for s, t in zip(parsed.tiles, tiles, strict=True)]


def same_parse(ours: Container, theirs: reference.File) -> bool:
    return dataclasses.asdict(ours) | {"tiles": list(ours.tiles)} == dataclasses.asdict(theirs)


@pytest.mark.parametrize(
    ("width", "height", "quality"), [(1, 1, 1), (1, 1, 100), (40, 24, 1), (40, 24, 60), (33, 16, 100), (70, 50, 25)]
)
def test_latents_of_a_picture_are_those_the_specification_gives(
    codec: PhotoCodec, model: Model, width: int, height: int, quality: int
) -> None:
    data = Codec.encode(codec, Picture(photograph(height, width)), quality)  # by the network, whatever is smaller
    (expected,) = reference.decode_latents(data, model)
    (found,) = latents(codec, data)
    assert np.array_equal(found, expected)


def test_latents_of_a_gray_picture_with_sections_are_those_the_specification_gives(
    codec: PhotoCodec, model: Model
) -> None:
    picture = Picture(photograph(24, 40)[..., 0], soft_alpha(24, 40), exif=b"MM\0*", icc=b"icc", xmp=b"<x/>")
    data = codec.encode(picture, 80)
    assert same_parse(container.parse(data), reference.parse(data))
    (expected,) = reference.decode_latents(data, model)
    (found,) = latents(codec, data)
    assert np.array_equal(found, expected)


def test_latents_of_every_tile_are_those_the_specification_gives(
    codec: PhotoCodec, two_tiles: bytes, two_tiles_decoded: list[Cells[int]]
) -> None:
    found = latents(codec, two_tiles)
    assert [tile.shape[:2] for tile in found] == [(2, 64), (2, 1)]
    for tile, expected in zip(found, two_tiles_decoded, strict=True):
        assert np.array_equal(tile, expected)


@pytest.mark.parametrize("spread", [30.0, 30000.0])
def test_latents_that_saturate_and_escape_are_those_the_specification_gives(
    codec: PhotoCodec, model: Model, spread: float
) -> None:
    random = np.random.default_rng(5)
    n, z = model.tensors["quality.to_u"].shape[1], model.tensors["quality.z_to_u"].shape[1]
    y = (random.standard_normal((3, 5, n)) * spread).astype(np.float32)
    data, y_hat = codec.latents.encode(y, (random.standard_normal((1, 2, z)) * spread).astype(np.float32), 100)
    assert np.array_equal(reference.decode_tile(data, 3, 5, 100, model), y_hat)
    assert np.array_equal(codec.latents.decode(data, (3, 5), 100), y_hat)


def test_a_picture_is_within_one_step_of_what_the_specification_gives(codec: PhotoCodec, model: Model) -> None:
    data = codec.encode(Picture(photograph(24, 40)), 70)
    (y_hat,) = reference.decode_latents(data, model)
    expected = np.array(reference.synthesise(y_hat, 70, model))[:24, :40]
    found = codec.decode(container.parse(data)).colour
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.01  # only where the exact value lies at a rounding edge


def test_pixels_at_a_border_of_tiles_are_those_of_the_whole_picture(
    codec: PhotoCodec, model: Model, two_tiles: bytes, two_tiles_decoded: list[Cells[int]]
) -> None:
    rows = [left + right for left, right in zip(*two_tiles_decoded, strict=True)]
    halo, border = reference.up(model.depth("g_s.blocks") + 1, 2), 64
    window = [row[border - 1 - halo :] for row in rows]
    expected = np.array(reference.synthesise(window, 35, model))[:20, halo * 16 :]
    found = codec.decode(container.parse(two_tiles)).colour[:, (border - 1) * 16 :]
    assert found.shape == expected.shape == (20, 32, 3)
    assert np.abs(found - expected).max() <= 1


def mutations(data: bytes) -> Iterator[bytes]:
    """Bodies of files that are wrong or odd in one place, with the checksum put right."""
    body = data[:-4]
    for at in range(3, min(len(body), 40)):
        for value in (0, 1, 2, 4, 0x10, 0x7F, 0x80, 0xFF, body[at] ^ 0x20, (body[at] + 1) % 256):
            yield sealed(body[:at] + bytes((value,)) + body[at + 1 :])
        yield sealed(body[:at] + body[at + 1 :])
        yield sealed(body[:at] + b"\x80" + body[at:])
    for end in range(len(body)):
        yield sealed(body[:end])
    yield data[:-1]
    yield data + b"\0"
    yield b"\xca\xec\x0e" + data[3:]


@pytest.mark.parametrize(
    "whole",
    [
        Container(40, 24, 50, b"abcd", (b"12345678",)),
        Container(40, 24, 50, b"abcd", (b"12345",), sections={b"A": b"alpha", b"e": b"ee", b"x": b"xmp"}),
        Container(2049, 3, 1, b"abcd", (b"12", b"123", b"1234"), gray=True, sections={b"i": b"12"}),
    ],
    ids=["plain", "sections", "tiles"],
)
def test_the_parser_accepts_and_rejects_what_the_specification_does(whole: Container) -> None:
    verdicts = set()
    for data in (container.serialize(whole), *mutations(container.serialize(whole))):
        try:
            expected = reference.parse(data)
        except RejectedError:
            verdicts.add(False)
            with pytest.raises(CorruptFileError):
                container.parse(data)
        else:
            verdicts.add(True)
            assert same_parse(container.parse(data), expected), data.hex()
    assert verdicts == {True, False}


def test_the_first_example_of_the_specification_holds() -> None:
    stream = bytes.fromhex("ffdcda6240879661")
    symbols, table = [0, 0, 1, 0, -1, 0, 0, -6, 0, 2], [1000, 16773216, 2000, 1000]
    tables = Tables.of(np.array(table * 64), np.ones(64, np.int32))
    indices = np.zeros(10, np.uint8)
    assert Decoder(tables, stream).decode(indices).tolist() == symbols
    encoder = Encoder(tables)
    encoder.encode(np.array(symbols, np.int32), indices)
    assert encoder.finish() == stream

    model = Model({}, b"", tails=[1] * 64, tables=[tuple(table)] * 64)
    assert reference.RangeDecoder(stream).batch([0] * 10, model) == symbols


def test_the_second_example_of_the_specification_holds(model: Model) -> None:
    assert model_id({"b": np.array([[1, -2], [3, 4]], np.int16), "a": np.array([7], np.uint8)}).hex() == "a699c80b"
    assert model.id == find.find().id


def test_a_model_keeps_the_bounds_of_the_specification(model: Model) -> None:
    for name in (key.removesuffix(".weight") for key in model.tensors if key.startswith("int.") and "weight" in key):
        layer = model.layer(name)
        for column, bias in zip(layer.columns, layer.biases, strict=True):
            assert (sum(map(abs, column)) << 22) + abs(bias) + (1 << layer.shift) < 2**53, name
    largest = {"to_u": 32767 * 2**10 + 2**25, "z_to_u": 32767 * 2**10 + 2**25, "to_y": 2**22}
    for table, value in largest.items():
        assert 2 * max(abs(int(t)) for t in model.tensors[f"quality.{table}"].values) * value < 2**53
    assert all(abs(int(t)) <= 2**25 for t in model.tensors["quality.z_mean"].values)
    assert all(0 <= int(t) <= 63 for t in model.tensors["quality.z_index"].values)


# the families of small pictures, with models of random weights
