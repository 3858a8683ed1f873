"""The parser in JavaScript takes and rejects what the one in Python does (FORMAT.md, 2.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import sealed

from caecodec.errors import CorruptFileError, LimitError
from caecodec.format import container
from caecodec.format.container import Container, parse, serialize
from caecodec.limits import Limits

PARSE = """
    const { parse, serialize } = await import("./container.js");
    const hex = (bytes) => Buffer.from(bytes).toString("hex");
    return given.map((text) => {
        try {
            const { sections, tiles, ...rest } = parse(new Uint8Array(Buffer.from(text, "hex")));
            const known = Object.entries(sections).map(([name, bytes]) => [name, hex(bytes)]);
            const again = hex(serialize({ sections, tiles, ...rest }));
            return { ...rest, sections: Object.fromEntries(known), tiles: tiles.map(hex), again };
        } catch (error) {
            return { kind: error.kind, message: error.message };
        }
    });"""
LIMITS = Limits(pixels=2**26)
NAMES = {b"A": "alpha", b"e": "exif", b"i": "icc", b"x": "xmp"}
HEAD = b"\xca\xec\x0d\x02"
ID = b"\x01\x02\x03\x04"


@pytest.fixture(autouse=True)
def version_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "VERSION", 2)


def expected(data: bytes) -> dict[str, Any] | str:
    """What Python's parser says, as JavaScript's would; of an error its kind."""
    try:
        found = parse(data, LIMITS)
    except CorruptFileError:
        return "corrupt"
    except LimitError:
        return "limit"
    return {
        "width": found.width,
        "height": found.height,
        "quality": found.quality,
        "model": found.model_id.hex(),
        "gray": found.gray,
        "sections": {NAMES[tag]: payload.hex() for tag, payload in found.sections.items()},
        "tiles": [tile.hex() for tile in found.tiles],
    }


def said(answer: dict[str, Any]) -> dict[str, Any] | str:
    answer.pop("again", None)
    return str(answer["kind"]) if "kind" in answer else answer


def files() -> list[bytes]:
    small = Container(1, 2, 50, ID, (b"\xaa\xbb\xcc",))
    rich = Container(1025, 300, 100, b"abcd", (b"\x01\x02\x03", b"\x04\x05"), True, {b"e": b"exif", b"A": b"alpha!"})
    long = Container(5000, 4000, 1, b"\0\0\0\0", tuple(bytes([9] * n) for n in range(2, 22)), False, {b"i": bytes(300)})
    return [serialize(one) for one in (small, rich, long)]


def test_files_are_taken_apart_as_in_python_and_put_together_again(node_web: Callable[..., Any]) -> None:
    found = node_web(PARSE, [data.hex() for data in files()])
    for data, answer in zip(files(), found, strict=True):
        assert answer["again"] == data.hex()
        assert said(answer) == expected(data)


REJECTED = {
    "nothing": b"",
    "another file": b"\x89PNG\r\n\x1a\n" + bytes(20),
    "too short": HEAD + bytes(13),
    "another version": sealed(b"\xca\xec\x0d\x03\x00\x32" + ID + b"\x01\x01\xaa\xbb"),
    "a checksum that does not match": sealed(HEAD + b"\x00\x32" + ID + b"\x01\x01\xaa\xbb")[:-1] + b"\x00",
    "a critical flag": sealed(HEAD + b"\x04\x32" + ID + b"\x01\x01\xaa\xbb"),
    "quality 0": sealed(HEAD + b"\x00\x00" + ID + b"\x01\x01\xaa\xbb"),
    "quality 201": sealed(HEAD + b"\x00\xc9" + ID + b"\x01\x01\xaa\xbb"),
    "width 0": sealed(HEAD + b"\x00\x32" + ID + b"\x00\x01\xaa\xbb"),
    "a long varint": sealed(HEAD + b"\x00\x32" + ID + b"\x81\x00\x01\xaa\xbb"),
    "a varint of 6 bytes": sealed(HEAD + b"\x00\x32" + ID + b"\x81\x80\x80\x80\x80\x01\x01\xaa\xbb"),
    "no section": sealed(HEAD + b"\x02\x32" + ID + b"\x01\x01\x00\xaa\xbb"),
    "256 sections": sealed(HEAD + b"\x02\x32" + ID + b"\x01\x01\x80\x02" + bytes(600)),
    "a tag that is no letter": sealed(HEAD + b"\x02\x32" + ID + b"\x01\x01\x01\x31\x01\x07\xaa\xbb"),
    "a critical tag": sealed(HEAD + b"\x02\x32" + ID + b"\x01\x01\x01B\x01\x07\xaa\xbb"),
    "tags that fall": sealed(HEAD + b"\x02\x32" + ID + b"\x01\x01\x02x\x01e\x01\x07\x07\xaa\xbb"),
    "a tag twice": sealed(HEAD + b"\x02\x32" + ID + b"\x01\x01\x02e\x01e\x01\x07\x07\xaa\xbb"),
    "an empty section": sealed(HEAD + b"\x02\x32" + ID + b"\x01\x01\x01e\x00\xaa\xbb"),
    "a section past the end": sealed(HEAD + b"\x02\x32" + ID + b"\x01\x01\x01e\x7f\xaa\xbb"),
    "a tile past the end": sealed(HEAD + b"\x00\x32" + ID + b"\x81\x08\x01\x7f\xaa\xbb\xaa\xbb"),
    "a short tile": sealed(HEAD + b"\x00\x32" + ID + b"\x81\x08\x01\x01\xaa\xaa\xbb\xcc"),
    "a tile that ends in zero": sealed(HEAD + b"\x00\x32" + ID + b"\x01\x01\xaa\xbb\x00"),
    "more tiles than bytes": sealed(HEAD + b"\x00\x32" + ID + b"\x80\x40\x80\x40\xaa\xbb\xcc"),
}


def test_what_a_parser_must_reject_is_rejected(node_web: Callable[..., Any]) -> None:
    found = node_web(PARSE, [data.hex() for data in REJECTED.values()])
    for (name, data), answer in zip(REJECTED.items(), found, strict=True):
        assert answer.get("kind") == expected(data) == "corrupt", name


def test_a_picture_over_the_limit_is_not_called_damaged(node_web: Callable[..., Any]) -> None:
    data = sealed(HEAD + b"\x00\x32" + ID + b"\x80\x80\x02\x80\x80\x02\xaa\xbb")  # 32768x32768
    assert said(node_web(PARSE, [data.hex()])[0]) == expected(data) == "limit"


def test_unknown_ancillary_flags_and_sections_are_ignored(node_web: Callable[..., Any]) -> None:
    data = sealed(HEAD + b"\x82\x32" + ID + b"\x01\x01\x02e\x01q\x02\x07\x08\x09\xaa\xbb")
    found = said(node_web(PARSE, [data.hex()])[0])
    assert found == expected(data)
    assert isinstance(found, dict) and found["sections"] == {"exif": "07"}


def test_damaged_files_are_judged_as_in_python(node_web: Callable[..., Any]) -> None:
    random = np.random.default_rng(1)
    damaged = []
    for _ in range(1500):
        body = bytearray(files()[random.integers(3)][:-4])
        for _ in range(random.integers(1, 4)):
            body[random.integers(4, min(len(body), 40))] = random.choice([0, 1, 2, 127, 128, 255, random.integers(256)])
        damaged.append(sealed(bytes(body[: random.integers(12, len(body) + 1)] if random.random() < 0.2 else body)))
    found = node_web(PARSE, [data.hex() for data in damaged])
    judged = [said(answer) for answer in found]
    assert judged == [expected(data) for data in damaged]
    assert 100 < sum(isinstance(answer, dict) for answer in judged) < 1400
