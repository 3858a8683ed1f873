from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import sealed

from caecodec.errors import CorruptFileError, LimitError
from caecodec.format.container import Container, parse, serialize, tile_grid, varint
from caecodec.limits import Limits

# magic, version, flags, quality, model id, width, height, check and latents
SMALL = Container(1, 2, 50, b"\x01\x02\x03\x04", (b"\xaa\xbb\xcc",))
SMALL_BYTES = bytes.fromhex("ca ec 0d  02 00 32  01 02 03 04  01 02  aa bb cc  e5 23 a8 ff")
# flags: gray and sections; 1025 wide is two tiles, so the first one's length stands in front of both
RICH = Container(1025, 300, 100, b"abcd", (b"\x01\x02\x03", b"\x04\x05"), True, {b"e": b"exif", b"A": b"alpha!"})
RICH_BYTES = bytes.fromhex(
    "ca ec 0d  02 03 64  61 62 63 64  81 08  ac 02  02 41 06 65 04  61 6c 70 68 61 21  65 78 69 66"
    "03  01 02 03  04 05  7e 78 a0 e0"
)


def body(
    *,
    version: int = 2,
    flags: int = 0,
    quality: int = 50,
    size: bytes = b"\x01\x01",
    rest: bytes = b"\xaa\xbb",
) -> bytes:
    return sealed(b"\xca\xec\x0d" + bytes((version, flags, quality)) + b"\x01\x02\x03\x04" + size + rest)


@pytest.mark.parametrize(("container", "data"), [(SMALL, SMALL_BYTES), (RICH, RICH_BYTES)])
def test_a_container_and_its_bytes_are_one_to_one(container: Container, data: bytes) -> None:
    assert serialize(container) == data
    assert parse(data) == container


def test_the_smallest_file_is_eighteen_bytes() -> None:
    assert len(serialize(Container(1, 1, 1, b"abcd", (b"\0\0",)))) == 18


@pytest.mark.parametrize(
    ("value", "data"),
    [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (1024, b"\x80\x08"), (2**28, b"\x80\x80\x80\x80\x01")],
)
def test_varints_are_little_endian_base_128(value: int, data: bytes) -> None:
    assert varint(value) == data


@pytest.mark.parametrize(
    ("width", "height", "grid"), [(1, 1, (1, 1)), (1024, 1024, (1, 1)), (1025, 1024, (1, 2)), (1, 2049, (3, 1))]
)
def test_tiles_are_1024_pixels(width: int, height: int, grid: tuple[int, int]) -> None:
    assert tile_grid(width, height) == grid


@settings(deadline=None, max_examples=60)
@given(
    width=st.integers(1, 4000),
    height=st.integers(1, 4000),
    quality=st.integers(1, 200),
    gray=st.booleans(),
    sections=st.dictionaries(st.sampled_from([b"A", b"e", b"i", b"x"]), st.binary(min_size=1, max_size=300)),
    data=st.data(),
)
def test_every_container_survives_the_round_trip(
    width: int, height: int, quality: int, gray: bool, sections: dict[bytes, bytes], data: st.DataObject
) -> None:
    rows, columns = tile_grid(width, height)
    stream = st.binary(min_size=2, max_size=150).filter(lambda tile: len(tile) == 2 or tile[-1] != 0)
    tiles = data.draw(st.lists(stream, min_size=rows * columns, max_size=rows * columns))
    container = Container(width, height, quality, b"\0\xff\x80\x7f", tuple(tiles), gray, sections)
    assert parse(serialize(container)) == container


@pytest.mark.parametrize("data", [SMALL_BYTES, RICH_BYTES])
def test_every_bit_flip_truncation_and_extension_is_refused(data: bytes) -> None:
    flips = [data[:i] + bytes((data[i] ^ 1 << bit,)) + data[i + 1 :] for i in range(len(data)) for bit in range(8)]
    truncations = [data[:length] for length in range(len(data))]
    extensions = [data + bytes((value,)) for value in range(256)]
    for damaged in (*flips, *truncations, *extensions):
        with pytest.raises(CorruptFileError):
            parse(damaged)


@pytest.mark.parametrize("data", [SMALL_BYTES, RICH_BYTES])
def test_no_shorter_or_longer_file_is_accepted_even_with_a_valid_checksum(data: bytes) -> None:
    inner = data[:-4]
    # the last tile takes what is left, so cutting it is not the container's to see; anything before it is
    for length in range(len(inner) - len(parse(data).tiles[-1]) + 2):
        with pytest.raises(CorruptFileError):
            parse(sealed(inner[:length]))


@pytest.mark.parametrize("data", [b"", b"\xca", b"\xca\xec", b"\xca\xec\x0d", b"\xca\xec\x0d\x01\x00\x32"])
def test_a_beginning_of_a_file_is_called_truncated(data: bytes) -> None:
    with pytest.raises(CorruptFileError, match="truncated"):
        parse(data)


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n" + bytes(40), b"\x00", b"caec" * 10])
def test_another_kind_of_file_is_called_not_a_cae_file(data: bytes) -> None:
    with pytest.raises(CorruptFileError, match=r"not a \.cae file"):
        parse(data)


@pytest.mark.parametrize("version", [3, 255])
def test_another_version_is_refused_and_named(version: int) -> None:
    with pytest.raises(CorruptFileError, match=f"format version {version}; .*install a newer one"):
        parse(body(version=version))


@pytest.mark.parametrize("version", [0, 1])
def test_a_version_before_the_first_release_is_refused(version: int) -> None:
    with pytest.raises(CorruptFileError, match=f"format version {version}; .*the first released"):
        parse(body(version=version))


@pytest.mark.parametrize("flags", [0x04, 0x08, 0x0D, 0xF4])
def test_an_unknown_critical_flag_is_refused(flags: int) -> None:
    with pytest.raises(CorruptFileError, match="need a newer caecodec"):
        parse(body(flags=flags))


@pytest.mark.parametrize("flags", [0x10, 0x20, 0x40, 0x80, 0xF0])
def test_an_unknown_ancillary_flag_is_ignored(flags: int) -> None:
    assert parse(body(flags=flags)) == parse(body())


def test_an_unknown_critical_section_is_refused() -> None:
    with pytest.raises(CorruptFileError, match="section b'B' needs a newer caecodec"):
        parse(body(flags=0x02, rest=b"\x01B\x03abc" + b"\xaa\xbb"))


def test_an_unknown_ancillary_section_is_ignored() -> None:
    parsed = parse(body(flags=0x02, rest=b"\x02e\x01q\x03E" + b"abc" + b"\xaa\xbb"))
    assert parsed.sections == {b"e": b"E"}
    assert parsed.tiles == (b"\xaa\xbb",)


@pytest.mark.parametrize("quality", [0, 201, 255])
def test_a_quality_outside_1_to_200_is_refused(quality: int) -> None:
    with pytest.raises(CorruptFileError, match=r"not in 1\.\.200"):
        parse(body(quality=quality))


@pytest.mark.parametrize("size", [b"\x00\x01", b"\x01\x00", b"\x00\x00"])
def test_a_picture_without_pixels_is_refused(size: bytes) -> None:
    with pytest.raises(CorruptFileError, match="no pixels"):
        parse(body(size=size))


@pytest.mark.parametrize(
    "data",
    [
        body(size=b"\x81\x00\x01"),
        body(size=b"\x01\x81\x00"),
        body(size=b"\x01\x81\x80\x00"),
        body(flags=0x02, rest=b"\x81\x00e\x01E\xaa\xbb"),
        body(flags=0x02, rest=b"\x01e\x81\x00E\xaa\xbb"),
        body(size=b"\x81\x08\x01", rest=b"\x82\x00\xaa\xbb\xaa\xbb"),
    ],
    ids=["width", "height", "height, two zero bytes", "section count", "section length", "tile length"],
)
def test_a_number_with_needless_zero_bytes_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptFileError, match="needless zero bytes"):
        parse(data)


def test_a_number_over_five_bytes_is_refused() -> None:
    with pytest.raises(CorruptFileError, match="over 5 bytes"):
        parse(body(size=b"\x80\x80\x80\x80\x80\x01\x01"))


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (b"\x00\xaa\xbb", "0 sections"),
        (b"\x80\x02" + b"e\x00" * 256 + b"\xaa\xbb", "256 sections"),
        (b"\x02x\x01e\x01XE\xaa\xbb", "rising order"),
        (b"\x02e\x01e\x01EE\xaa\xbb", "rising order"),
        (b"\x01e\x05E\xaa\xbb", "truncated: a section of 5 bytes, 3 left"),
        (b"\x01e\xff\xff\xff\xff\x7fE\xaa\xbb", "truncated: a section"),
        (b"\x04e\x01", "truncated"),
        (b"\x01e\x00\xaa\xbb", "no section is empty"),
        (b"\x011\x01E\xaa\xbb", "a tag is a letter"),
        (b"\x01\xe9\x01E\xaa\xbb", "a tag is a letter"),
    ],
)
def test_a_broken_section_table_is_refused(rest: bytes, message: str) -> None:
    with pytest.raises(CorruptFileError, match=message):
        parse(body(flags=0x02, rest=rest))


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (b"\x09\xaa\xbb\xaa\xbb", "truncated: a tile of 9 bytes"),
        (b"\x01\xaa\xaa\xbb\xcc", "too short"),
        (b"\x03\xaa\xbb\xcc\xaa", "too short"),
        (b"\xaa\xbb\xcc\xdd", "cannot hold 2 tiles"),
        (b"\x03\xaa\xbb\x00\xaa\xbb", "ends in zero bytes"),
        (b"\x02\xaa\xbb\xaa\xbb\x01\x00", "ends in zero bytes"),
    ],
)
def test_broken_tile_lengths_are_refused(rest: bytes, message: str) -> None:
    with pytest.raises(CorruptFileError, match=message):
        parse(body(size=b"\x81\x08\x01", rest=rest))


@pytest.mark.parametrize(
    ("size", "error"),
    [
        (varint(2**24 + 1) + b"\x01", LimitError),
        (varint(2**35 - 1) * 2, LimitError),
        (varint(2**14 + 1) + varint(2**14), LimitError),
        (varint(2**14) * 2, CorruptFileError),  # within the limits, but 256 tiles are promised and none is there
    ],
)
def test_an_absurd_size_is_refused_before_anything_is_allocated(size: bytes, error: type[Exception]) -> None:
    data = body(size=size)
    tracemalloc.start()
    try:
        with pytest.raises(error):
            parse(data)
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()


def test_limits_are_the_callers() -> None:
    data = body(size=b"\x0a\x0a")
    assert parse(data, Limits(pixels=100)).width == 10
    with pytest.raises(LimitError, match="10x10 is 100 pixels, over the limit of 99"):
        parse(data, Limits(pixels=99))
    with pytest.raises(LimitError, match="a side is over the limit of 9"):
        parse(data, Limits(side=9))


@pytest.mark.parametrize("tag", [b"e", b"i", b"x"])
def test_metadata_over_the_limit_is_refused(tag: bytes) -> None:
    data = serialize(Container(1, 1, 50, b"abcd", (b"\0\0",), False, {tag: bytes(11)}))
    assert parse(data, Limits(metadata_bytes=11)).sections[tag] == bytes(11)
    with pytest.raises(LimitError, match="11 bytes of metadata are over the limit of 10"):
        parse(data, Limits(metadata_bytes=10))


def test_alpha_is_no_metadata() -> None:
    data = serialize(Container(1, 1, 50, b"abcd", (b"\0\0",), False, {b"A": bytes(11)}))
    assert parse(data, Limits(metadata_bytes=10)).sections == {b"A": bytes(11)}
