"""The codec against the decoder that was written from docs/FORMAT.md alone."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import core_models
import numpy as np
import pytest
import reference_decoder as reference
from numpy.typing import NDArray
from reference_decoder import Model, Pixels, RejectedError
from support import photograph, sealed, soft_alpha

import caecodec
from caecodec.codecs import tiling
from caecodec.codecs.codec import Codec
from caecodec.codecs.opening import open_codec
from caecodec.codecs.photo import PhotoCodec
from caecodec.engines.native import library
from caecodec.entropy.range_coder import Decoder, Encoder
from caecodec.entropy.tables import Tables
from caecodec.errors import CorruptFileError
from caecodec.format import container
from caecodec.format.container import Container
from caecodec.pictures.picture import Picture
from caecodec.pictures.view import gray_of
from caecodec.zoo import find
from caecodec.zoo.identity import model_id

ENGINES = ("native", "numpy") if library.available() else ("numpy",)
PAGE = Path(__file__).parents[2] / "docs" / "FORMAT.md"


@pytest.fixture(scope="module")
def shipped() -> Model:
    return reference.load_model(find.find("photo").path)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def array_of(pixels: Pixels) -> NDArray[np.int64]:
    """(h, w, 3), or (h, w) where they have one channel."""
    found = np.array(pixels)
    return found[..., 0] if found.shape[2] == 1 else found


def same_parse(ours: Container, theirs: reference.File) -> bool:
    return dataclasses.asdict(ours) | {"tiles": list(ours.tiles)} == dataclasses.asdict(theirs)


@functools.cache
def file_of(width: int, height: int, quality: int) -> bytes:
    """A picture by the shipped model, whatever is smaller."""
    return Codec.encode(open_codec("photo", engine=ENGINES[0]), Picture(photograph(height, width)), quality)


# by the shipped model


@pytest.mark.parametrize(("width", "height", "quality"), [(1, 1, 1), (16, 17, 100), (20, 17, 60)])
def test_a_picture_is_what_the_specification_gives(shipped: Model, width: int, height: int, quality: int) -> None:
    data = file_of(width, height, quality)
    parsed = container.parse(data)
    (y_hat,) = reference.decode_latents(data, shipped)
    expected = array_of(reference.finished(reference.synthesise(y_hat, quality, shipped), reference.parse(data)))
    for name in ENGINES:
        codec = open_codec("photo", engine=name)
        (found,) = codec.decode_latents(parsed)
        assert np.array_equal(found, y_hat)
        assert np.array_equal(codec.decode(parsed).colour, expected)


def test_a_gray_picture_with_sections_is_what_the_specification_gives(shipped: Model) -> None:
    picture = Picture(photograph(9, 16)[..., 0], soft_alpha(9, 16), exif=b"MM\0*", icc=b"icc", xmp=b"<x/>")
    data = Codec.encode(open_codec("photo", engine=ENGINES[0]), picture, 80)
    assert same_parse(container.parse(data), reference.parse(data))
    expected = array_of(reference.decode(data, shipped))
    assert expected.shape == (9, 16)
    for name in ENGINES:
        assert np.array_equal(open_codec("photo", engine=name).decode(container.parse(data)).colour, expected)


# by models of random integers


MODELS = {
    "odd": core_models.photo(1, n=12, z=8, psi=9, context=7, width=5),
    "extreme": core_models.photo(3, n=12, z=12, psi=10, context=14, width=7, depth=1, extreme=True),
    "shallow": core_models.photo(4, n=8, z=4, psi=4, context=4, width=4, depth=0, trunk=0, trunk_z=0),
    "tuned": core_models.photo(5, n=8, z=4, psi=6, context=5, width=4, depth=1, rows=200),
    "dependent": core_models.photo(7, n=12, z=8, psi=6, context=5, width=4, depth=1, rows=200, dense=10),
    "all dependent": core_models.photo(8, n=8, z=4, psi=6, context=5, width=4, depth=1, dense=0),
}


@dataclasses.dataclass(frozen=True)
class Both:
    """A model as the codec and as the specification have it."""

    codecs: Mapping[str, PhotoCodec]  # by engine
    model: Model

    @property
    def sizes(self) -> tuple[int, int]:
        """N and Z."""
        n, z = (self.model.tensors[f"quality.{key}"].shape[1] for key in ("to_u", "z_to_u"))
        return n, z


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def both(folder: Path, request: pytest.FixtureRequest) -> Both:
    return opened(request.param, folder)


@functools.cache
def opened(name: str, folder: Path) -> Both:
    tensors = MODELS[name]
    path = folder / f"{name}.safetensors"
    metadata = {"name": name, "description": "random", "id": model_id(tensors).hex()}
    metadata |= {"config": "{}", "training": "{}", "summary": "{}"}
    path.write_bytes(core_models.safetensors(tensors, "photo", metadata))
    loaded = find.load(str(path))
    return Both({name: PhotoCodec(loaded, engine=name) for name in ENGINES}, reference.load_model(path))


def latents_of(both: Both, shape: tuple[int, int], spread: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    random = np.random.default_rng(5)
    n, z = both.sizes
    z_shape = (reference.up(shape[0], 4), reference.up(shape[1], 4), z)
    of_y, of_z = random.standard_normal((*shape, n)), random.standard_normal(z_shape)
    return (of_y * spread).astype(np.float32), (of_z * spread).astype(np.float32)


def tiles_of(both: Both, width: int, height: int, quality: int, gray: bool = False) -> bytes:
    """A file of random latents."""
    codec = both.codecs[ENGINES[0]]
    grid = tiling.tiles(width, height)
    streams = [codec.latents.encode(*latents_of(both, tile.shape, 20.0), quality)[0] for tile in grid]
    return container.serialize(Container(width, height, quality, both.model.id, tuple(streams), gray=gray))


@pytest.mark.parametrize("both", MODELS, indirect=True)
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (7, 5)])
@pytest.mark.parametrize("spread", [0.0, 30.0, 30000.0])
def test_latents_that_saturate_and_escape_are_those_the_specification_gives(
    both: Both, engine: str, shape: tuple[int, int], spread: float
) -> None:
    latents = both.codecs[engine].latents
    for quality in (1, 100, both.codecs[engine].rows_of_tables):
        data, y_hat = latents.encode(*latents_of(both, shape, spread), quality)
        assert np.array_equal(reference.decode_tile(data, *shape, quality, both.model), y_hat)
        assert np.array_equal(latents.decode(data, shape, quality), y_hat)


@pytest.mark.parametrize("both", MODELS, indirect=True)
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 2)])
def test_pixels_are_those_the_specification_gives(both: Both, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(6)
    n, _ = both.sizes
    quality = next(iter(both.codecs.values())).rows_of_tables - 83
    for spread in (1000, 1 << 14, (1 << 26) - 1):
        y_hat = random.integers(-spread, spread + 1, (*shape, n)).astype(np.int32)
        expected = reference.synthesise(y_hat.tolist(), quality, both.model)
        deep = reference.synthesise(y_hat.tolist(), quality, both.model, reference.sample16)
        gray = [[reference.gray16(*pixel) for pixel in row] for row in deep]
        for codec in both.codecs.values():
            assert np.array_equal(codec.engine.synthesise(y_hat, quality), expected)
            found = codec.engine.synthesise_deep(y_hat, quality)
            assert np.array_equal(found, deep)
            assert np.array_equal(gray_of(found), gray)


@pytest.mark.parametrize(
    ("both", "width", "height", "gray"),
    [("odd", 1040, 5, False), ("odd", 3, 1030, True), ("shallow", 1040, 20, False)],
    indirect=["both"],
)
def test_a_picture_of_two_tiles_is_what_the_specification_gives(
    both: Both, width: int, height: int, gray: bool
) -> None:
    data = tiles_of(both, width, height, 35, gray)
    parsed = container.parse(data)
    assert len(parsed.tiles) == 2
    expected = array_of(reference.decode(data, both.model))
    assert expected.std() > 5
    assert expected.shape == ((height, width) if gray else (height, width, 3))
    for codec in both.codecs.values():
        assert np.array_equal(codec.decode(parsed).colour, expected)


@pytest.mark.parametrize("both", ["odd"], indirect=True)
def test_pixels_where_four_tiles_meet_are_those_of_the_whole_picture(both: Both, engine: str) -> None:
    codec = both.codecs[engine]
    parsed = container.parse(tiles_of(both, 1040, 1040, 35))
    tiles = [tile.tolist() for tile in codec.decode_latents(parsed)]
    cells = reference.joined(reference.parse(container.serialize(parsed)), tiles)
    halo, kept = reference.up(both.model.depth("g_s.blocks") + 1, 2), 2
    window = [row[65 - kept - halo :] for row in cells[65 - kept - halo :]]
    expected = np.array(reference.synthesise(window, 35, both.model))[halo * 16 :, halo * 16 :]
    found = codec.decode(parsed).colour[-kept * 16 :, -kept * 16 :]
    assert np.array_equal(found, expected)


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


def test_the_second_example_of_the_specification_holds(shipped: Model) -> None:
    assert model_id({"b": np.array([[1, -2], [3, 4]], np.int16), "a": np.array([7], np.uint8)}).hex() == "a699c80b"
    assert shipped.id == find.find("photo").id


def test_the_third_example_of_the_specification_holds() -> None:
    dump = re.findall(r"^ {4}000000[0-9a-f]0  ([0-9a-f ]+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    data = bytes.fromhex("".join(dump))
    assert len(data) == 22
    parsed = container.parse(data)
    assert same_parse(parsed, reference.parse(data))
    assert (parsed.width, parsed.height, parsed.quality, parsed.gray) == (1, 1, 1, True)
    assert len(parsed.tiles[0]) == 2 + 4
    if parsed.model_id == open_codec("photo").model.info.id:  # until it ships no longer
        assert np.array_equal(caecodec.decode(data), [[126]])
