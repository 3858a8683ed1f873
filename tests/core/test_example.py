"""`examples/decode_tile.c` and the build lines that are documented, as somebody else would use them."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import core_models
import numpy as np
import pytest
from core_library import CORE, compiler
from numpy.typing import NDArray
from PIL import Image
from support import sealed

from caecodec.engines.numpy.networks import Synthesis
from caecodec.entropy.tables import Tables
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork

ROOT = CORE.parents[1]
EXAMPLE = ROOT / "examples" / "decode_tile.c"
QUALITY, WIDTH, HEIGHT = 60, 45, 70


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the line in its first comment, but without optimisation, which takes its time."""
    line = re.search(r"^ \* +cc -O3 (.+) -o decode_tile$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert line is not None
    out = tmp_path_factory.mktemp("example") / "decode_tile"
    command = f"{compiler()} -O1 -std=gnu11 -Wall -Wextra -Werror {line[1]} -o {out}"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def tensors() -> core_models.TensorDict:
    return core_models.photo(1, n=12, z=8, psi=13, context=11, width=9)


@pytest.fixture(scope="module")
def model(tensors: core_models.TensorDict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    path.write_bytes(core_models.safetensors(tensors, "photo"))
    return path


@pytest.fixture(scope="module")
def tile(tensors: core_models.TensorDict) -> tuple[bytes, NDArray[np.uint8]]:
    """A stream, and its pixels (HEIGHT, WIDTH, 3)."""
    random = np.random.default_rng(3)
    y = random.laplace(0, 5, (5, 3, 12)).astype(np.float32)
    z = random.laplace(0, 5, (2, 1, 8)).astype(np.float32)
    tables = Tables.of(tensors["table.frequencies"], tensors["table.tail"])
    stream, y_hat = LatentCodec(EntropyNetwork(tensors), tables).encode(y, z, QUALITY)
    return stream, Synthesis(tensors, 16)(y_hat, QUALITY)[:HEIGHT, :WIDTH]


def cae(stream: bytes, flags: int = 0) -> bytes:
    """A file without sections (FORMAT.md, 2), of a model whose id nobody asks for."""
    return sealed(b"\xca\xec\x0d\x02" + bytes((flags, QUALITY)) + b"\1\2\3\4" + bytes((WIDTH, HEIGHT)) + stream)


def decoded(program: Path, model: Path, data: bytes, folder: Path) -> subprocess.CompletedProcess[bytes]:
    path = folder / "img.cae"
    path.write_bytes(data)
    return subprocess.run([program, model, path], capture_output=True)


@pytest.mark.parametrize("gray", [False, True])
def test_it_writes_the_pixels_of_a_tile(
    program: Path, model: Path, tile: tuple[bytes, NDArray[np.uint8]], gray: bool, tmp_path: Path
) -> None:
    stream, pixels = tile
    done = decoded(program, model, cae(stream, int(gray)), tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    expected = (pixels.sum(2, dtype=int) + 1) // 3 if gray else pixels
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(done.stdout))), expected)


def test_it_refuses_what_it_does_not_decode(
    program: Path, model: Path, tile: tuple[bytes, NDArray[np.uint8]], tmp_path: Path
) -> None:
    stream, _ = tile
    whole = cae(stream)
    flipped = bytearray(stream)
    flipped[0] ^= 1
    damaged = {
        b"not a .cae file": (b"", whole[:17], b"\0" + whole[1:], whole[:3] + b"\1" + whole[4:]),
        b"damaged": (whole[:-1], whole + b"\0", whole[:20] + bytes((whole[20] ^ 1,)) + whole[21:]),
        b"alpha": (cae(stream, 2), cae(stream, 4)),
        b"check": (cae(bytes(flipped)),),
        b"invalid": (cae(stream[:2] + b"\xff" * 8),),
    }
    for words, files in damaged.items():
        for data in files:
            done = decoded(program, model, data, tmp_path)
            assert (done.returncode, done.stdout) == (1, b"")
            assert words in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="asks nm for an ELF file's names: run it on Linux")
def test_the_documented_library_shows_its_headers_and_nothing_else(tmp_path: Path) -> None:
    compiler()
    page = (ROOT / "docs" / "native.md").read_text(encoding="utf-8")
    line = re.search(r"^cc -O3 (.+ -o) libcae\.so (.+)$", page, re.MULTILINE)
    assert line is not None
    out = tmp_path / "libcae.so"
    command = f"{compiler()} -O1 {line[1]} {out} {line[2]}"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    shown = subprocess.run(["nm", "-D", "--defined-only", str(out)], capture_output=True, text=True, check=True)
    names = {entry.split()[-1] for entry in shown.stdout.splitlines()} - {"_init", "_fini"}
    headers = "".join((CORE / name).read_text(encoding="utf-8") for name in ("cae.h", "cae_search.h"))
    assert names == set(re.findall(r"^CAE_API [^(]*?(\w+)\(", headers, re.MULTILINE))
