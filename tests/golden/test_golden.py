"""Files of every released format version decode forever: photo, tiny and lossless to the same pixels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import contents, opened, run

import caecodec
from caecodec.engines.native import library
from caecodec.engines.opening import torch_lacks

GOLDEN = sorted(Path(__file__).parent.glob("v*/*.cae"))
SMALL = Path(__file__).parent / "v2" / "small.cae"
LARGE = ("two-tiles",)  # takes numpy long
HASHES = {
    path.parent / f"{name}.cae": found
    for path in sorted(Path(__file__).parent.glob("v*/pixels.sha256"))
    for found, name in (line.split() for line in path.read_text().splitlines())
}
PATHS = {f"{path.parent.name}-{path.stem}": path for path in GOLDEN}
EXACT = {name: path for name, path in PATHS.items() if path in HASHES}
ROUNDED = {name: path for name, path in PATHS.items() if path not in HASHES}


def expected(path: Path) -> Image.Image:
    return opened(path.with_suffix(".png"))


def exact(path: Path, engine: str) -> None:
    """Whether a file decodes to its pixels; that latents match their check is the decoder's own."""
    decoded = caecodec.decode(path.read_bytes(), engine=engine)
    assert decoded.mode == expected(path).mode
    assert np.array_equal(np.asarray(decoded), np.asarray(expected(path)))
    assert hashlib.sha256(np.asarray(decoded).tobytes()).hexdigest() == HASHES[path]


@pytest.mark.skipif(not library.available(), reason=library.why_not())
@pytest.mark.parametrize("name", EXACT)
def test_golden_file_decodes_to_its_pixels_natively(name: str) -> None:
    exact(EXACT[name], "native")


@pytest.mark.parametrize("name", [name for name in EXACT if not name.endswith(LARGE)])
def test_golden_file_decodes_to_its_pixels_by_numpy(name: str) -> None:
    exact(EXACT[name], "numpy")


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("name", ROUNDED)
def test_golden_file_of_an_autoencoder_decodes_to_its_pixels_within_one_step(name: str, engine: str) -> None:
    if engine == "torch" and torch_lacks():
        pytest.skip(torch_lacks())
    decoded = caecodec.decode(ROUNDED[name].read_bytes(), precision="float32", engine=engine)
    picture = expected(ROUNDED[name])
    assert decoded.mode == picture.mode
    assert np.abs(np.asarray(decoded).astype(int) - np.asarray(picture).astype(int)).max() <= 1


def test_there_are_golden_files_of_every_exact_family() -> None:
    names = {path.stem for path in EXACT.values()}
    assert names >= {"small", "one-pixel", "colour", "gray", "alpha", "metadata", "two-tiles"}
    assert names >= {"tiny", "tiny-gray-odd", "lossless", "lossless-stored"}
    assert len(HASHES) == len(EXACT)


def test_golden_metadata_is_kept() -> None:
    image = caecodec.decode((SMALL.parent / "metadata.cae").read_bytes())
    assert image.getexif()[0x0112] == 6
    assert image.info["xmp"].startswith(b"<x:xmpmeta")


def test_every_bit_flip_and_truncation_of_the_small_file_exits_4_and_writes_nothing(tmp_path: Path) -> None:
    data = SMALL.read_bytes()
    flips = [data[:i] + bytes((data[i] ^ 1 << bit,)) + data[i + 1 :] for i in range(len(data)) for bit in range(8)]
    damaged = flips + [data[:length] for length in range(len(data))]
    for number, bad in enumerate(damaged):
        source = tmp_path / "bad.cae"
        source.write_bytes(bad)
        result = run("decode", source)
        assert result.code == 4, number
        assert contents(tmp_path).keys() == {"bad.cae"}, number
