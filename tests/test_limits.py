"""Limits on pixels, memory and worth, and memory that runs out, in the API and on the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import photograph, run

import caecodec
from caecodec import limits
from caecodec.codecs.codec import Codec
from caecodec.errors import LimitError, ModelError, is_out_of_memory
from caecodec.format.container import Container, serialize
from caecodec.limits import Limits

WORST = Path(__file__).parent / "campaigns" / "worst" / "787-bytes-of-2-to-the-28-pixels.cae"


def flat(tiles: int) -> bytes:
    """A file of so many tiles side by side, of two bytes each."""
    return serialize(Container(1024 * tiles, 1024, 1, b"abcd", (b"\1\2",) * tiles))


def test_few_bytes_that_state_many_pixels_are_refused_at_once() -> None:
    for function in (caecodec.decode, caecodec.info):
        with pytest.raises(LimitError, match="787 bytes state 16384x16384 pixels, over the limit of 67108864 for"):
            function(WORST)
    assert caecodec.info(flat(64)).tiles == 64
    with pytest.raises(LimitError, match="for so few"):
        caecodec.info(flat(65))
    assert caecodec.info(flat(65), Limits(blank_pixels=2**28)).tiles == 65
    photo = serialize(Container(1024 * 65, 1024, 1, b"abcd", (b"\1" * 40,) * 65))  # 0.0003 bits a pixel
    assert caecodec.info(photo).tiles == 65


def test_the_size_named_on_the_command_line_is_taken_however_few_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "flat.cae").write_bytes(flat(65))
    refused = run("info", tmp_path / "flat.cae")
    assert (refused.code, "--max-pixels" in refused.err) == (6, True)
    assert run("info", "--max-pixels", str(2**28), tmp_path / "flat.cae").code == 0


def test_decoding_whole_is_held_against_memory_before_anything_is_decoded(tmp_path: Path) -> None:
    data = caecodec.encode(photograph(64, 64), 50)
    with pytest.raises(LimitError, match=r"decoding 64x64 pixels whole takes about 97 MiB .* limits=Limits\(memory"):
        caecodec.decode(data, limits=Limits(memory=2**20))
    assert caecodec.decode(data, limits=Limits(memory=2**27)).size == (64, 64)
    (tmp_path / "a.cae").write_bytes(data)
    refused = run("decode", "--max-memory", "50", tmp_path / "a.cae")
    assert (refused.code, "--max-memory" in refused.err) == (6, True)
    assert run("info", "--max-memory", "50", tmp_path / "a.cae").code == 0


def test_the_default_is_two_gibibytes_or_half_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**18}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__, raising=False)
    assert limits.default_memory.__wrapped__() == 2**29
    sizes["SC_PHYS_PAGES"] = 2**30
    assert limits.default_memory.__wrapped__() == 2**31


def test_limits_for_strangers_are_lower_in_everything() -> None:
    strangers, default = Limits.for_strangers(), Limits(memory=2**31)
    assert all(getattr(strangers, name) < getattr(default, name) for name in Limits.__slots__)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        ImportError("libx.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_memory_that_runs_out_is_one_error_whatever_says_it(
    error: Exception, picture_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModelError("the model cannot be opened") from error

    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("something else"))
    monkeypatch.setattr(Codec, "wrap", fail)
    with pytest.raises(LimitError, match="out of memory"):
        caecodec.encode(np.zeros((20, 20, 3), np.uint8) + np.arange(20, dtype=np.uint8)[:, None])
    result = run("encode", picture_file)
    assert (result.code, result.error_lines) == (6, [f"caecodec: error: {picture_file}: out of memory"])


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of address space is Linux's")
@pytest.mark.parametrize("mebibytes", [90, 120, 130])
def test_a_process_that_libraries_do_not_fit_into_ends_with_6_and_in_our_words(
    mebibytes: int, picture_file: Path
) -> None:
    import resource

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))

    command = [sys.executable, "-m", "caecodec", "encode", picture_file]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=bound, check=False)
    assert done.returncode == 6, done.stderr
    assert done.stderr.startswith("caecodec: error: ")
    assert "out of memory" in done.stderr


def test_every_way_to_pixels_is_held_against_memory() -> None:
    from caecodec.batch import thumbnails
    from caecodec.bench.viewer import single

    pixels = np.dstack([photograph(64, 64), np.full((64, 64), 9, np.uint8)])
    data, little = caecodec.encode(pixels, quality=30), Limits(memory=1)
    for made in (
        lambda: caecodec.decode(data, limits=little),
        lambda: caecodec.decode_rows(data, limits=little),
        lambda: thumbnails.made(data, 16, little),
        lambda: single.page(data, "x", little),
    ):
        with pytest.raises(LimitError, match="memory"):
            made()


def test_a_band_of_a_wide_lossless_picture_is_counted_at_its_full_size() -> None:
    data = caecodec.encode(np.zeros((1, 1 << 15, 3), np.uint8), model="lossless")
    with pytest.raises(LimitError, match="32768x"):
        caecodec.decode(data, scale=1 / 16, limits=Limits(memory=limits.DECODING_BASE + (1 << 15)))


def test_memory_that_runs_out_between_rows_is_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from caecodec.codecs.photo import PhotoCodec

    data = caecodec.encode(photograph(32, 32), quality=30)
    real = PhotoCodec.rows

    def rows(self: PhotoCodec, *arguments: object) -> object:
        def failing() -> object:
            raise MemoryError
            yield

        found = real(self, *arguments)  # type: ignore[arg-type]
        return type(found)(found.width, found.height, found.channels, found.depth, failing())  # type: ignore[arg-type]

    monkeypatch.setattr(PhotoCodec, "rows", rows)
    with pytest.raises(LimitError):
        list(caecodec.decode_rows(data))
