"""Bytes changed as an attacker would, the same for the same number."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence

_ODD = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f")


def changed(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """One change: a bit, a byte, odd numbers, a part gone, doubled, moved, cut off, or of another file."""
    if not data:
        return dice.randbytes(8)
    at, length = dice.randrange(len(data)), 1 + int(dice.expovariate(0.2))
    part = data[at : at + length]
    kind = dice.randrange(8)
    if kind == 0:
        return data[:at] + bytes((data[at] ^ 1 << dice.randrange(8),)) + data[at + 1 :]
    if kind == 1:
        return data[:at] + dice.randbytes(len(part)) + data[at + length :]
    if kind == 2:
        odd = dice.choice(_ODD)
        return data[:at] + odd + data[at + len(odd) :]
    if kind == 3:
        return data[:at] + data[at + length :]
    if kind == 4:
        return data[:at] + part * dice.choice((2, 2, 3, 50)) + data[at + length :]
    if kind == 5:
        to = dice.randrange(len(data))
        rest = data[:at] + data[at + length :]
        return rest[:to] + part + rest[to:]
    if kind == 6:
        return data[:at] if dice.randrange(4) == 0 else data[:at] + bytes(length) + data[at:]
    other = dice.choice(others)
    start = dice.randrange(max(1, len(other)))
    return data[:at] + other[start : start + length * 4] + data[at + length :]


def mutant(seeds: Sequence[bytes], number: int, repair: Callable[[bytes], bytes] = bytes) -> bytes:
    """One to four changes of a seed, and its checksums made good nine times in ten."""
    dice = random.Random(number)
    data = dice.choice(seeds)
    for _ in range(dice.choice((1, 1, 2, 4))):
        data = changed(data, dice, seeds)
    return repair(data) if dice.randrange(10) else data


def cae(data: bytes) -> bytes:
    """With the CRC of the file, and those of a PNG within."""
    body = png(data[:-4])
    return body + zlib.crc32(body).to_bytes(4, "little")


def png(data: bytes) -> bytes:
    """With the CRCs of its chunks, as far as lengths are whole; a PNG may begin anywhere."""
    start = data.find(b"\x89PNG\r\n\x1a\n")
    if start < 0:
        return data
    out, at = bytearray(data), start + 8
    while at + 12 <= len(out):
        end = at + 12 + int.from_bytes(out[at : at + 4], "big")
        if end > len(out):
            break
        out[end - 4 : end] = zlib.crc32(out[at + 4 : end - 4]).to_bytes(4, "big")
        if out[at + 4 : at + 8] == b"IEND":
            break
        at = end
    return bytes(out)
