"""The core's reader of model files: what safetensors writes is read, anything else is refused."""

from __future__ import annotations

import ctypes
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from core_library import MODEL, CoreError, library, sure
from core_parts import F16, F32, I16, I32, I64, U8, FileStruct, Size, pointer
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from caecodec.models import weights

TYPES = {U8: np.uint8, I16: np.int16, I32: np.int32, I64: np.int64, F16: np.float16, F32: np.float32}
NUMBER = {np.dtype(kind): number for number, kind in TYPES.items()}
WEIGHTS = sorted(Path(weights.__path__[0]).glob("*.safetensors"))


class CFile:
    """A model file, opened by the core. `offset`: of its first byte to a multiple of 16."""

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self.bytes = np.frombuffer(b"\0" * offset + data, np.uint8).copy()[offset:]
        self.struct = FileStruct()
        sure(library().cae_file_open(pointer(self.bytes), Size(len(data)), ctypes.byref(self.struct)))

    def close(self) -> None:
        library().cae_file_close(ctypes.byref(self.struct))

    def tensor(self, name: str, kind: int, *shape: int) -> NDArray[np.generic] | None:
        """As an array; -1 in `shape` is any size."""
        sizes = (ctypes.c_int64 * max(len(shape), 1))(*shape)
        at = library().cae_file_tensor(ctypes.byref(self.struct), name.encode(), kind, len(shape), sizes)
        if at is None:
            return None
        found = tuple(sizes[: len(shape)])
        count = int(np.prod(found)) * np.dtype(TYPES[kind]).itemsize
        start = at - self.bytes.ctypes.data
        assert 0 <= start <= start + count <= len(self.bytes)
        return np.frombuffer(self.bytes[start : start + count].tobytes(), TYPES[kind]).reshape(found)

    def says(self, key: str, value: str) -> bool:
        return bool(library().cae_file_metadata(ctypes.byref(self.struct), key.encode(), value.encode()))


@contextmanager
def opened(data: bytes, offset: int = 0) -> Iterator[CFile]:
    file = CFile(data, offset)
    try:
        yield file
    finally:
        file.close()


def refused(data: bytes) -> bool:
    try:
        with opened(data):
            return False
    except CoreError as error:
        return error.number == MODEL


def sealed(header: str | bytes, data: bytes = b"") -> bytes:
    text = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(text)) + text + data


TWO = {"a": np.array([7], np.uint8), "b": np.array([[1, -2], [3, 4]], np.int16)}
META = {"format": "caecodec-model 2", "family": "photo", "other": 'q"\\\n\u00e9'}


@pytest.mark.parametrize("offset", range(8))
def test_tensors_are_found_by_name_type_and_shape_at_any_alignment(offset: int) -> None:
    with opened(save(TWO, META), offset) as file:
        for shape in ((2, 2), (-1, 2), (2, -1), (-1, -1)):
            assert np.array_equal(file.tensor("b", I16, *shape), TWO["b"])
        assert np.array_equal(file.tensor("a", U8, 1), TWO["a"])
        assert file.tensor("b", I16, 2, 3) is None
        assert file.tensor("b", I16, 4) is None
        assert file.tensor("b", I16, 2, 2, 1) is None
        assert file.tensor("b", I32, 2, 2) is None
        assert file.tensor("c", I16, 2, 2) is None
        assert file.tensor("", U8, 1) is None
        assert file.tensor("aa", U8, 1) is None


def test_family_and_format_are_compared_whole() -> None:
    with opened(save(TWO, META)) as file:
        assert file.says("family", "photo") and file.says("format", "caecodec-model 2")
        assert not any(file.says("family", value) for value in ("", "phot", "photos", "caecodec-model 2"))
    with opened(save(TWO)) as file:
        assert not file.says("family", "photo") and not file.says("format", "")


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_every_shipped_model_is_read_as_safetensors_reads_it(path: Path) -> None:
    data = path.read_bytes()
    tensors = load(data)
    with opened(data) as file:
        assert file.struct.count == len(tensors)
        for name, array in tensors.items():
            found = file.tensor(name, NUMBER[array.dtype], *array.shape)
            assert found is not None and found.tobytes() == array.tobytes()


def test_a_file_without_tensors_and_tensors_without_numbers() -> None:
    with opened(sealed("{}")) as file:
        assert file.tensor("a", U8, 1) is None
    wide, scalar = np.zeros((3, 0, 2), np.float16), np.array(5, np.int64)
    arrays = {"none": np.zeros((0,), np.float32), "scalar": scalar, "wide": wide}
    with opened(save(arrays)) as file:
        assert file.tensor("none", F32, 0) is not None
        assert file.tensor("scalar", I64) == 5
        assert file.tensor("wide", F16, 3, -1, 2) is not None


def entry(**changed: object) -> str:
    """A header of one tensor of two U8, some of it changed; None leaves it out."""
    whole = {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]} | changed
    return json.dumps({"a": {key: value for key, value in whole.items() if value is not None}})


GOOD = entry()


def test_what_the_others_are_broken_from_is_good() -> None:
    assert not refused(sealed(GOOD, b"xy"))
    assert not refused(sealed(f" {GOOD} \n\t ", b"xy"))
    assert not refused(sealed(entry(shape=[1, 2, 1, 1, 1, 1]), b"xy"))
    assert not refused(sealed(entry(), b"xyz"))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "[]",
        "{",
        "}",
        "null",
        GOOD[:-1],
        GOOD + "}",
        GOOD + " x",
        GOOD[:-1] + ",}",
        GOOD.replace(":", "", 1),
        GOOD.replace('"a"', "a"),
        GOOD.replace('"a"', '"a'),
        GOOD.replace('"a"', '"\\x"'),
        GOOD.replace('"a"', '"\\u12"'),
        GOOD.replace('"a"', '"\\u12g4"'),
        GOOD.replace('"a"', '"\n"'),
        GOOD.replace('"a"', '"\0"'),
        GOOD[:-1] + "," + GOOD[1:],  # twice one name
        entry(dtype=None),
        entry(shape=None),
        entry(data_offsets=None),
        entry(more=1),
        entry(dtype="U7"),
        entry(dtype="BF16"),
        entry(dtype=8),
        entry(dtype=""),
        entry(shape=2),
        entry(shape=[-2]),
        entry(shape=[2.0]),
        entry(shape=["2"]),
        entry(shape=[[2]]),
        entry(shape=[1]),
        entry(shape=[3]),
        entry(shape=[1] * 6 + [2]),
        entry(shape=[2**63]),
        entry(shape=[2**62]),
        entry(shape=[2**32, 2**32]),
        entry(shape=[2**61 + 1], dtype="I64", data_offsets=[0, 8]),
        entry(shape=[2**63 - 1, 2, 2]),
        entry(data_offsets=[0]),
        entry(data_offsets=[]),
        entry(data_offsets=[0, 2, 2]),
        entry(data_offsets=[2, 0]),
        entry(data_offsets=[1, 3]),
        entry(data_offsets=[2**63 - 3, 2**63 - 1]),
        entry(data_offsets=[-2, 0]),
        entry(data_offsets=[0, 1]),
        GOOD.replace("[2]", "[02]"),
        GOOD.replace("[2]", "[+2]"),
        GOOD.replace("[2]", "[2e0]"),
        GOOD.replace("[2]", "[2,]"),
        GOOD.replace("[2]", "[,2]"),
        GOOD.replace('"dtype"', '"shape": [2], "dtype"'),
        '{"__metadata__": {"a": 1}}',
        '{"__metadata__": {"a": {}}}',
        '{"__metadata__": []}',
        '{"__metadata__": {"a": "b",}}',
        '{"__metadata__": {"family": "x", "family": "y"}}',
        '{"__metadata__": {}, "__metadata__": {}}',
        '{"a": ' * 50000,
        "[" * 100000,
    ],
    ids=lambda header: header[:60],
)
def test_a_header_that_nothing_writes_is_refused(header: str) -> None:
    assert refused(sealed(header, b"xy"))


@pytest.mark.parametrize("length", [0, 1, 3, 2**16, 2**31, 2**32, 2**63, 2**64 - 8, 2**64 - 1])
def test_a_length_of_the_header_past_the_end_is_refused(length: int) -> None:
    assert refused(struct.pack("<Q", length) + GOOD.encode() + b"xy")


def test_every_truncation_is_refused() -> None:
    whole = save(TWO, META)
    assert all(refused(whole[:length]) for length in range(len(whole)))


@settings(deadline=None, max_examples=500)
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=6), st.booleans())
def test_a_mutated_file_is_refused_or_read_as_safetensors_reads_it(place: int, noise: bytes, insert: bool) -> None:
    whole = bytearray(save(TWO, META))
    at = place % len(whole)
    whole[at : at if insert else at + len(noise)] = noise
    check(bytes(whole))


@settings(deadline=None, max_examples=300)
@given(st.text('{}[]":,ab0129.e- \\UI16F32shapedtype', max_size=60), st.binary(max_size=8))
def test_any_header_is_refused_or_read_as_safetensors_reads_it(header: str, data: bytes) -> None:
    check(sealed(header, data))
    check(sealed('{"a":' + header + "}", data))


def check(data: bytes) -> None:
    """What the core takes, it reads as safetensors does, where that takes it: it also wants data without gaps."""
    if refused(data):
        return
    try:
        theirs = load(data)
    except (SafetensorError, ValueError):
        return
    with opened(data) as file:
        assert file.struct.count == len(theirs)
        for name, array in theirs.items():
            found = file.tensor(name, NUMBER[array.dtype], *array.shape)
            assert (found is not None and found.tobytes() == array.tobytes()) or b"\\" in data
