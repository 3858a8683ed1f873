"""The reader of model files on what nobody should write, and beside safetensors' own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from caecodec.errors import ModelError
from caecodec.zoo import find, header
from caecodec.zoo.file import load_verified, read_info
from caecodec.zoo.identity import model_id

METADATA = {"format": "caecodec-model 2", "name": "x", "id": "00000000", "family": "photo", "description": ""}
METADATA |= {"config": "{}", "training": "{}", "summary": "{}"}


def whole(text: bytes | str, data: bytes = b"", length: int | None = None) -> bytes:
    """A file with any header."""
    text = text.encode() if isinstance(text, str) else text
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(kind: object = "U8", shape: object = (4,), offsets: object = (0, 4)) -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": offsets}


def told(**tensors: object) -> str:
    return json.dumps({"__metadata__": METADATA, **tensors})


def read(data: bytes) -> header.Header:
    return header.read(io.BytesIO(data), len(data))


def test_what_is_read_is_what_safetensors_reads() -> None:
    for info in find.installed():
        ours, theirs = load_verified(info).tensors, load_file(info.path)
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            assert (tensor.dtype, tensor.shape) == (theirs[name].dtype, theirs[name].shape)
            assert np.array_equal(tensor, theirs[name])
            assert not tensor.flags.writeable or not tensor.size
        with safe_open(info.path, "np") as file:
            assert read(info.path.read_bytes()).metadata == file.metadata()


def test_every_type_and_shape_comes_back(tmp_path: Path) -> None:
    tensors = {
        kind: np.arange(size, dtype=kind).reshape(shape)
        for kind in ("u1", "i2", "i4", "i8", "f2", "f4")
        for size, shape in [(6, (1, 2, 3))]
    } | {"none": np.zeros((0, 5), np.int16), "one": np.array(7, np.int32), "odd": np.arange(3, dtype=np.uint8)}
    path = tmp_path / "x.safetensors"
    save_file(tensors, path, METADATA | {"id": model_id(tensors).hex()})
    found = load_verified(read_info(path)).tensors
    assert {name: (t.dtype, t.shape, t.tolist()) for name, t in found.items()} == {
        name: (t.dtype, t.shape, t.tolist()) for name, t in tensors.items()
    }


HOSTILE = {
    "nothing": b"",
    "half a length": b"\x10\0\0",
    "a huge length": whole("{}", length=(1 << 64) - 1),
    "a length over the file": whole("{}", length=1 << 20),
    "no JSON": whole(b"{nonsense}"),
    "no UTF-8": whole(b'{"\xff": 1}'),
    "a list": whole("[1, 2]"),
    "deep lists": whole("[" * 200_000 + "]" * 200_000),
    "deep objects": whole('{"a":' * 100_000 + "1" + "}" * 100_000),
    "a huge number": whole('{"a": ' + "9" * 100_000 + "}"),
    "a name twice": whole('{"a": %s, "a": %s}' % ((json.dumps(entry()),) * 2), b"abcd"),
    "metadata that are no texts": whole('{"__metadata__": {"format": ["x"]}}'),
    "metadata that are no object": whole('{"__metadata__": "x"}'),
    "a tensor that is a number": whole(told(a=1)),
    "a tensor without a place": whole(told(a={"dtype": "U8", "shape": [1]})),
    "more than an entry has": whole(told(a=entry() | {"more": 1}), b"abcd"),
    "an unknown type": whole(told(a=entry("F64", (1,), (0, 8))), b"abcdefgh"),
    "a type that is no text": whole(told(a=entry(["U8"])), b"abcd"),
    "a negative side": whole(told(a=entry(shape=(-4,))), b"abcd"),
    "a true side": whole(told(a=entry(shape=(True,), offsets=(0, 1))), b"a"),
    "half a side": whole(told(a=entry(shape=(4.0,))), b"abcd"),
    "a side beyond memory": whole(told(a=entry(shape=(0, 10**30), offsets=(0, 0)))),
    "too many sides": whole(told(a=entry(shape=(1,) * 70, offsets=(0, 1))), b"a"),
    "a shape that is larger than the data": whole(told(a=entry(shape=(1 << 31, 1 << 31))), b"abcd"),
    "a place before the data": whole(told(a=entry(offsets=(-4, 0))), b"abcd"),
    "a place that ends before it begins": whole(told(a=entry(offsets=(4, 0))), b"abcd"),
    "a place beyond the file": whole(told(a=entry(offsets=(1 << 40, (1 << 40) + 4))), b"abcd"),
    "three offsets": whole(told(a=entry(offsets=(0, 4, 4))), b"abcd"),
    "places that overlap": whole(told(a=entry(), b=entry(offsets=(2, 6))), b"abcdef"),
    "one place for two": whole(told(a=entry(), b=entry()), b"abcd"),
    "a gap": whole(told(a=entry(), b=entry(offsets=(5, 9))), b"abcdefghi"),
    "bytes after the last": whole(told(a=entry()), b"abcdef"),
    "data that are cut": whole(told(a=entry()), b"abc"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_model_error_that_names_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(ModelError, match=r"hostile\.safetensors"):
        find.load(str(path))


@pytest.mark.parametrize("value", ["[" * 100_000, "[]", "1", "{"])
def test_a_hostile_configuration_is_a_model_error(value: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(whole(json.dumps({"__metadata__": METADATA | {"config": value}})))
    with pytest.raises(ModelError, match=r"hostile\.safetensors"):
        find.find(str(path))


def test_a_name_that_no_text_can_hold_is_a_model_error(tmp_path: Path) -> None:
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(whole(told(**{"\ud800": entry()}), b"abcd"))
    with pytest.raises(ModelError, match=r"hostile\.safetensors"):
        find.load(str(path))


SMALL = whole(told(a=entry(), b=entry("I16", (2, 1), (4, 8))), b"abcdefgh")


@given(st.integers(0, len(SMALL) - 1), st.integers(0, 255))
def test_any_byte_changed_is_read_or_refused(place: int, value: int) -> None:
    changed = SMALL[:place] + bytes([value]) + SMALL[place + 1 :]
    try:
        found = read(changed)
    except ValueError:
        return
    assert sum(p.count * header.BYTES[p.kind] for p in found.tensors.values()) == 8


def test_a_folder_and_a_file_that_is_not_there_are_model_errors(tmp_path: Path) -> None:
    (tmp_path / "folder.safetensors").mkdir()
    for name in ("folder", "missing"):
        with pytest.raises(ModelError, match=name):
            find.load(str(tmp_path / f"{name}.safetensors"))


def test_a_model_is_read_without_safetensors() -> None:
    program = "import sys; sys.modules['safetensors'] = None; from caecodec.zoo import find; find.load('tiny')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
