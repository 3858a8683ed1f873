"""Damage to a real file: refused with exit status 4, nothing decoded, nothing written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import contents, run, sealed

import caecodec
from caecodec.codecs import opening
from caecodec.errors import CorruptFileError


def bit_flips(data: bytes) -> Iterator[bytes]:
    for position, byte in enumerate(data):
        for bit in range(8):
            yield data[:position] + bytes((byte ^ 1 << bit,)) + data[position + 1 :]


def damaged(data: bytes) -> Iterator[bytes]:
    """Every bit flip, every truncation, every extension by one byte."""
    yield from bit_flips(data)
    yield from (data[:length] for length in range(len(data)))
    yield from (data + bytes((value,)) for value in range(256))


def test_the_file_is_whole_to_begin_with(small_cae: bytes) -> None:
    assert caecodec.decode(small_cae).size == (24, 16)
    assert 40 < len(small_cae) < 2000


def test_every_flip_truncation_and_extension_is_refused_by_the_library(small_cae: bytes) -> None:
    count = 0
    for data in damaged(small_cae):
        for function in (caecodec.info, caecodec.decode):
            with pytest.raises(CorruptFileError):
                function(data)
        count += 1
    assert count == 9 * len(small_cae) + 256


def test_every_flip_truncation_and_extension_is_4_and_nothing_is_written(tmp_path: Path, small_cae: bytes) -> None:
    path = tmp_path / "bad.cae"
    for data in damaged(small_cae):
        path.write_bytes(data)
        result = run("decode", path)
        assert (result.code, result.out) == (4, b"")
        assert result.err.startswith(f"caecodec: error: {path}: ")
        assert len(result.error_lines) == 1
        assert [p.name for p in tmp_path.iterdir()] == ["bad.cae"]


def test_a_damaged_file_is_4_in_a_process_of_its_own(tmp_path: Path, small_cae: bytes) -> None:
    middle = len(small_cae) // 2
    flipped = small_cae[:middle] + bytes((small_cae[middle] ^ 1,)) + small_cae[middle + 1 :]
    for data in (b"", small_cae[:-1], small_cae + b"\0", flipped):
        (tmp_path / "bad.cae").write_bytes(data)
        command = [sys.executable, "-m", "caecodec", "decode", "bad.cae"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.startswith("caecodec: error: bad.cae: ")
        assert done.stderr.count("\n") == 1
        assert contents(tmp_path) == {"bad.cae": data}


def test_a_flip_under_a_valid_checksum_is_a_known_error_or_another_true_file(small_cae: bytes) -> None:
    """An attacker can compute a CRC: no flip may end in anything but our errors or a picture of the promised size."""
    body = small_cae[:-4]
    flips = list(bit_flips(body))
    chosen = [*flips[: 8 * 20], *flips[8 * 20 :: 7]]
    refused = 0
    for flipped in chosen:
        data = sealed(flipped)
        try:
            facts = caecodec.info(data)
            if facts.width * facts.height > 2**16:
                continue
            opening.verify(data)
        except caecodec.CaecodecError:
            refused += 1
        else:
            assert caecodec.decode(data).size == (facts.width, facts.height)
    assert refused > len(chosen) // 2


def test_latents_under_a_valid_checksum_are_caught_by_their_own_check(small_cae: bytes) -> None:
    latents = caecodec.info(small_cae).sections["latents"]
    end = len(small_cae) - 4
    # the last word of a range coder's stream may be one of several that decode to the same symbols
    for position in range(end - latents - 2, end - 4):
        for mask in (0x01, 0x80, 0xFF):
            body = bytearray(small_cae[:end])
            body[position] ^= mask
            with pytest.raises(CorruptFileError):
                opening.verify(sealed(bytes(body)))


def test_random_bytes_under_a_valid_checksum_are_refused(small_cae: bytes) -> None:
    random = np.random.default_rng(11)
    header = caecodec.info(small_cae).sections["header"]
    for _ in range(300):
        keep = int(random.integers(3, header))
        data = sealed(small_cae[:keep] + random.bytes(int(random.integers(0, 120))))
        with pytest.raises(caecodec.CaecodecError):
            if caecodec.info(data).width * caecodec.info(data).height < 2**16:
                opening.verify(data)
            else:
                raise caecodec.LimitError("too large to try here")
