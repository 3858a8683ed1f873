"""C1: mutated .cae files of all families, checksums made good. C4: every bit flip and prefix of every golden file."""

from __future__ import annotations

import functools
from pathlib import Path

from harness import MIB, Bounds, Report, run
from mutants import cae, mutant

import caecodec
from caecodec.codecs import opening
from caecodec.errors import CaecodecError, CorruptFileError
from caecodec.limits import Limits

TESTS = Path(__file__).parents[1]
GOLDEN = sorted((TESTS / "golden").glob("v*/*.cae"))
SMALL = [path for path in GOLDEN if path.stat().st_size < 4000]
SEEDS = [p.read_bytes() for p in (*SMALL, *sorted((TESTS / "conformance").glob("must-*/*.cae")))]
LIMITS = Limits(pixels=2**14, blank_pixels=2**14)  # time and memory are those of the files, not of large pictures


def made(number: int) -> bytes:
    return mutant(SEEDS, number, cae)


def tried(data: bytes) -> str:
    """One of our errors, or a picture of the size that the file states."""
    try:
        facts = caecodec.info(data, LIMITS)
        opening.verify(data, LIMITS)
        image = caecodec.decode(data, limits=LIMITS)
    except CaecodecError as exc:
        return type(exc).__name__
    assert (image.width, image.height, image.mode) == (facts.width, facts.height, facts.mode)
    return "decoded"


def warm() -> None:
    """Models are opened before memory is looked at, and stay open: what is attacked is the file."""
    opening._open = functools.lru_cache(64)(opening._open.__wrapped__)  # type: ignore[assignment]
    for path in SMALL:
        caecodec.decode(path.read_bytes())


def containers(count: int) -> Report:
    warm()
    return run(count, made, tried, Bounds(0.5, 64 * MIB))


def _damage() -> list[tuple[int, int]]:
    """(file, place): places below 8 times a file's length are its bits, the others its prefixes."""
    sizes = [path.stat().st_size for path in GOLDEN]
    return [(number, place) for number, size in enumerate(sizes) for place in range(9 * size)]


def golden(count: int) -> Report:
    """C4, all of it where `count` is as large; otherwise evenly spread."""
    files, damage = [path.read_bytes() for path in GOLDEN], _damage()
    step = max(1, len(damage) // count)
    chosen = damage[::step]

    def damaged(number: int) -> bytes:
        which, place = chosen[number]
        data = files[which]
        if place >= 8 * len(data):
            return data[: place - 8 * len(data)]
        return data[: place // 8] + bytes((data[place // 8] ^ 1 << place % 8,)) + data[place // 8 + 1 :]

    def refused(data: bytes) -> str:
        for function in (caecodec.info, caecodec.decode):
            try:
                function(data)
            except CorruptFileError:
                continue
            raise AssertionError("a damaged file was taken")
        return "refused"

    return run(len(chosen), damaged, refused, Bounds(0.5, 64 * MIB))
