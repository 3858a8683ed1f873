"""What FORMAT.md says of a decoder, as files: ours and the reference decoder take and reject the same ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import reference_decoder as reference
from support import run

import caecodec
from caecodec.codecs import opening
from caecodec.errors import CorruptFileError, ModelError
from caecodec.zoo import find

HERE = Path(__file__).parent
MUST_DECODE = sorted((HERE / "must-decode").glob("*.cae"))
MUST_FAIL = sorted((HERE / "must-fail").glob("*.cae"))
HASHES = {words[-1]: words[:-1] for words in map(str.split, (HERE / "pixels.sha256").read_text().splitlines())}
# their faults are in the pixels of a WebP, whose stream the reference decoder does not decode
OF_WEBP_PIXELS = {"tile-webp-coloured-in-gray", "tile-webp-check", "alpha-webp-coloured", "alpha-check-webp"} | {
    "alpha-webp-truncated"
}


def model_of(model_id: bytes) -> reference.Model | None:
    found = next((m for m in find.installed() if m.id == model_id), None)
    return None if found is None else reference.load_model(found.path)


@pytest.mark.parametrize("path", MUST_FAIL, ids=lambda path: path.stem)
def test_a_file_that_must_fail_is_rejected(path: Path) -> None:
    data = path.read_bytes()
    assert len(data) < 500
    for decode in (caecodec.decode, opening.verify):
        with pytest.raises((CorruptFileError, ModelError)):
            decode(data)


@pytest.mark.parametrize("path", [p for p in MUST_FAIL if p.stem not in OF_WEBP_PIXELS], ids=lambda path: path.stem)
def test_the_reference_decoder_rejects_it_too(path: Path) -> None:
    with pytest.raises(reference.RejectedError):
        reference.decoded_or_rejected(path.read_bytes(), model_of)


@pytest.mark.parametrize("path", MUST_DECODE, ids=lambda path: path.stem)
def test_a_file_that_must_decode_has_its_pixels(path: Path) -> None:
    image = caecodec.decode(path.read_bytes())
    found = [hashlib.sha256(image.tobytes()).hexdigest(), image.mode, str(image.width), str(image.height)]
    assert found == HASHES[path.stem]
    opening.verify(path.read_bytes())
    reference.decoded_or_rejected(path.read_bytes(), model_of)


def test_the_command_writes_nothing_for_one_that_fails(tmp_path: Path) -> None:
    (tmp_path / "img.cae").write_bytes((HERE / "must-fail" / "alpha-png-idat-crc.cae").read_bytes())
    result = run("decode", tmp_path / "img.cae")
    assert (result.code, [p.name for p in tmp_path.iterdir()]) == (4, ["img.cae"])


def test_there_are_files_of_every_part_of_the_format() -> None:
    names = {path.stem.split("-")[0] for path in MUST_FAIL}
    assert names == {"file", "sections", "tile", "tiles", "latents", "alpha"}
    assert len(MUST_FAIL) >= 80
    assert {path.stem for path in MUST_DECODE} == HASHES.keys()
