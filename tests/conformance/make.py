"""Writes the conformance files: `python tests/conformance/make.py` (needs Pillow and the package; see README.md).

Files are only ever added: what is there stays as it is, unless `--anew` is given.
"""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

import caecodec

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "v2"
WIDTH, HEIGHT = 5, 3
GRAY = np.arange(WIDTH * HEIGHT, dtype=np.uint8).reshape(HEIGHT, WIDTH) * 17
COLOUR = np.stack([GRAY, 255 - GRAY, GRAY // 2], axis=2)
SIGNATURE = b"\x89PNG\r\n\x1a\n"
LOSSLESS = bytes(4)


# the file


def varint(value: int) -> bytes:
    return bytes((value & 0x7F | 0x80,)) + varint(value >> 7) if value > 0x7F else bytes((value,))


def crc_16(data: bytes) -> bytes:
    return (zlib.crc32(data) & 0xFFFF).to_bytes(2, "little")


def sealed(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


def cae(
    tiles: list[bytes],
    sections: list[tuple[bytes, bytes]] | None = None,
    *,
    gray: bool = False,
    size: bytes = varint(WIDTH) + varint(HEIGHT),
    flags: int = 0,
    quality: int = 100,
    version: int = 2,
    model: bytes = LOSSLESS,
) -> bytes:
    flags |= gray | 2 * bool(sections)
    table = b""
    if sections:
        table = varint(len(sections)) + b"".join(tag + varint(len(data)) for tag, data in sections)
        table += b"".join(data for _, data in sections)
    index = b"".join(varint(len(tile)) for tile in tiles[:-1])
    head = b"\xca\xec\x0d" + bytes((version, flags, quality)) + model + size
    return sealed(b"".join((head, table, index, *tiles)))


def stored(samples: np.ndarray) -> bytes:
    return crc_16(samples.tobytes()) + samples.tobytes() + b"\x01"


def packed(samples: np.ndarray, picture: bytes) -> bytes:
    return crc_16(samples.tobytes()) + picture + b"\x02"


def with_alpha(picture: bytes, check: bytes | None = crc_16(GRAY.tobytes())) -> bytes:
    return cae([stored(COLOUR)], [(b"A", picture), *([(b"a", check)] if check is not None else [])])


# picture files


def chunk(name: bytes, data: bytes, crc: int = 0) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + (zlib.crc32(name + data) ^ crc).to_bytes(4, "big")


def head(width: int = WIDTH, height: int = HEIGHT, depth: int = 8, colour: int = 0, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def rows(samples: np.ndarray = GRAY, kind: int = 0) -> bytes:
    """Rows by one filter; only 0 to 2 are computed."""
    values = samples.reshape(len(samples), -1).astype(int)
    before = np.zeros_like(values)
    if kind == 1:
        before[:, 1:] = values[:, :-1]
    elif kind == 2:
        before[1:] = values[:-1]
    lines = ((values - before) % 256).astype(np.uint8)
    return b"".join(bytes((kind,)) + line.tobytes() for line in lines)


PIXELS = zlib.compress(rows())
END = chunk(b"IEND", b"")


def png(*chunks: bytes) -> bytes:
    return b"".join((SIGNATURE, *chunks))


PLAIN = png(head(), chunk(b"IDAT", PIXELS), END)


def saved(samples: np.ndarray, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(samples).save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def webp(samples: np.ndarray, **options: object) -> bytes:
    return saved(samples, "WEBP", lossless=True, **options)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(n + len(d).to_bytes(4, "little") + d + bytes(len(d) % 2) for n, d in chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


GRAY_RGB = np.repeat(GRAY[..., None], 3, axis=2)
WEBP = webp(GRAY_RGB)
VP8L = WEBP[20 : 20 + int.from_bytes(WEBP[16:20], "little")]


def extended(width: int = WIDTH, height: int = HEIGHT) -> bytes:
    return bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def animation() -> bytes:
    stream, frames = io.BytesIO(), [Image.fromarray(GRAY_RGB), Image.fromarray(255 - GRAY_RGB)]
    frames[0].save(stream, "WEBP", lossless=True, save_all=True, append_images=frames[1:])
    return stream.getvalue()


def interlaced() -> bytes:
    """Adam7 of GRAY."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    parts = [GRAY[y::high, x::wide] for y, x, high, wide in passes]
    return zlib.compress(b"".join(rows(part) for part in parts if part.size))


def decodes() -> dict[str, bytes]:
    """Files that MUST decode."""
    two = PIXELS[:9], PIXELS[9:]
    described = (chunk(b"gAMA", bytes(4)), chunk(b"tRNS", b"\0\x11"), chunk(b"tEXt", b"a\0b"))
    golden = {name: (GOLDEN / f"{name}.cae").read_bytes() for name in ("one-pixel", "small", "tiny-gray-odd")}
    return {
        **golden,
        "alpha-png": with_alpha(PLAIN),
        "alpha-webp": with_alpha(WEBP),
        "alpha-without-check": with_alpha(PLAIN, None),
        "alpha-png-ancillary-chunks-are-ignored": with_alpha(png(head(), *described, chunk(b"IDAT", PIXELS), END)),
        "alpha-png-two-idat": with_alpha(png(head(), *(chunk(b"IDAT", part) for part in two), END)),
        "alpha-png-empty-idat": with_alpha(png(head(), chunk(b"IDAT", b""), chunk(b"IDAT", PIXELS), END)),
        **{
            f"alpha-png-filter-{kind}": with_alpha(png(head(), chunk(b"IDAT", zlib.compress(rows(kind=kind))), END))
            for kind in (1, 2)
        },
        "ancillary-flag-is-ignored": cae([stored(COLOUR)], flags=0x80),
        "ancillary-section-is-ignored": cae([stored(COLOUR)], [(b"q", b"?")]),
        "every-section": cae(
            [stored(COLOUR)],
            [(b"A", PLAIN), (b"a", crc_16(GRAY.tobytes())), (b"e", b"MM\0*"), (b"i", b"ICC"), (b"x", b"<x/>")],
        ),
        "tile-stored": cae([stored(COLOUR)]),
        "tile-stored-gray": cae([stored(GRAY)], gray=True),
        "tile-webp": cae([packed(COLOUR, webp(COLOUR))]),
        "tile-webp-gray": cae([packed(GRAY, WEBP)], gray=True),
        "tile-png-gray": cae([packed(GRAY, PLAIN)], gray=True),
        "two-tiles": cae(
            [stored(np.zeros((1, 1024), np.uint8)), stored(GRAY[:1, :1] + 9)], gray=True, size=b"\x81\x08\x01"
        ),
    }


def fails() -> dict[str, bytes]:
    """Files that MUST be rejected."""
    good, one = cae([stored(COLOUR)]), stored(COLOUR)
    small = bytearray((GOLDEN / "small.cae").read_bytes()[:-4])
    at = len(small) - 6  # within the stream
    tiny = (GOLDEN / "tiny-gray-odd.cae").read_bytes()[:-4]
    odd = WEBP if len(VP8L) % 2 else riff((b"VP8L", VP8L + b"\0"))
    return {
        "file-empty": b"",
        "file-magic": b"\xca\xec\x0e" + good[3:],
        "file-version-1": cae([one], version=1),
        "file-version-3": cae([one], version=3),
        "file-crc": good[:-1] + bytes((good[-1] ^ 1,)),
        "file-truncated": good[:-5],
        "file-byte-behind-the-end": good + b"\0",
        "file-critical-flag-4": cae([one], flags=4),
        "file-critical-flag-8": cae([one], flags=8),
        "file-quality-0": cae([one], quality=0),
        "file-quality-201": cae([one], quality=201),
        "file-quality-above-the-models": sealed(tiny[:5] + b"\x65" + tiny[6:]),
        "file-width-0": cae([one], size=b"\0\3"),
        "file-height-0": cae([one], size=b"\5\0"),
        "file-varint-not-shortest": cae([one], size=b"\x85\0\3"),
        "file-varint-of-6-bytes": cae([one], size=b"\x85\x80\x80\x80\x80\0\3"),
        "file-no-such-model": cae([one], model=b"\xff\xff\xff\xfe"),
        "sections-none": sealed(good[:4] + b"\2" + good[5:12] + b"\0" + good[12:-4]),
        "sections-tag-no-letter": cae([one], [(b"1", b"?")]),
        "sections-critical": cae([one], [(b"B", b"?")]),
        "sections-fall": cae([one], [(b"x", b"?"), (b"e", b"?")]),
        "sections-twice": cae([one], [(b"e", b"?"), (b"e", b"?")]),
        "sections-empty": cae([one], [(b"e", b"")]),
        "sections-past-the-end": sealed(good[:4] + b"\2" + good[5:12] + b"\1e\x7f" + good[12:-4]),
        "tiles-too-few-bytes": cae([b"\1"], size=varint(3000) + varint(3000)),
        "tiles-past-the-end": sealed(cae([one], size=b"\x81\x08\x01")[:13] + b"\x7f" + one),
        "tile-of-2-bytes": cae([one[:2]]),
        "tile-kind-3": cae([one[:-1] + b"\3"]),
        "tile-ends-in-zero": cae([one[:-1] + b"\0"]),
        "tile-check": cae([bytes((one[0] ^ 1,)) + one[1:]]),
        "tile-sample-missing": cae([stored(COLOUR.reshape(-1)[:-1])]),
        "tile-lossy-webp": cae([packed(COLOUR, saved(COLOUR, "WEBP", quality=100))]),
        "tile-png-of-colour": cae([packed(COLOUR, saved(COLOUR, "PNG"))]),
        "tile-webp-coloured-in-gray": cae([packed(GRAY, webp(COLOUR))], gray=True),
        "tile-webp-of-another-size": cae([packed(COLOUR, webp(COLOUR[:2]))]),
        "tile-webp-check": cae([packed(GRAY_RGB, webp(COLOUR))]),
        "latents-check": sealed(bytes(small[:-8]) + bytes((small[-8] ^ 1,)) + bytes(small[-7:])),
        "latents-stream": sealed(bytes(small[:at]) + bytes((small[at] ^ 0x80,)) + bytes(small[at + 1 :])),
        "alpha-check": with_alpha(PLAIN, bytes(2)),
        "alpha-check-webp": with_alpha(WEBP, bytes(2)),
        "alpha-check-of-3-bytes": with_alpha(PLAIN, crc_16(GRAY.tobytes()) + b"\0"),
        "alpha-check-without-alpha": cae([one], [(b"a", b"\0\0")]),
        "alpha-empty": with_alpha(b"?"),
        "alpha-bmp": with_alpha(saved(COLOUR, "BMP")),
        "alpha-webp-lossy": with_alpha(saved(GRAY_RGB, "WEBP", quality=100), None),
        "alpha-webp-coloured": with_alpha(webp(COLOUR), None),
        "alpha-webp-vp8x": with_alpha(riff((b"VP8X", extended()), (b"VP8L", VP8L))),
        "alpha-webp-vp8x-of-a-smaller-frame": with_alpha(riff((b"VP8X", extended(9, 9)), (b"VP8L", VP8L))),
        "alpha-webp-animated": with_alpha(animation(), None),
        "alpha-webp-two-pictures": with_alpha(riff((b"VP8L", VP8L), (b"VP8L", VP8L))),
        "alpha-webp-with-exif": with_alpha(riff((b"VP8L", VP8L), (b"EXIF", b"MM\0*"))),
        "alpha-webp-with-alpha": with_alpha(webp(np.dstack([GRAY_RGB, GRAY])), None),
        "alpha-webp-of-a-later-version": with_alpha(
            riff((b"VP8L", VP8L[:4] + bytes((VP8L[4] | 0x20,)) + VP8L[5:])), None
        ),
        "alpha-webp-bytes-behind-the-end": with_alpha(WEBP + b"\0\0"),
        "alpha-webp-riff-too-short": with_alpha(WEBP[:4] + (len(WEBP) - 10).to_bytes(4, "little") + WEBP[8:]),
        "alpha-webp-padding": with_alpha(odd[:-1] + b"\1"),
        "alpha-webp-truncated": with_alpha(riff((b"VP8L", VP8L[:-6])), None),
        "alpha-webp-of-another-size": with_alpha(webp(GRAY_RGB[:2]), None),
        "alpha-png-of-another-size": with_alpha(saved(GRAY[:2], "PNG"), None),
        "alpha-png-interlaced": with_alpha(png(head(interlace=1), chunk(b"IDAT", interlaced()), END)),
        "alpha-png-2-bit": with_alpha(png(head(depth=2), chunk(b"IDAT", zlib.compress(bytes(3 * HEIGHT))), END), None),
        "alpha-png-16-bit": with_alpha(saved(GRAY.astype(np.uint16), "PNG"), None),
        "alpha-png-rgb": with_alpha(saved(COLOUR, "PNG"), None),
        "alpha-png-gray-alpha": with_alpha(saved(COLOUR[..., :2], "PNG"), None),
        "alpha-png-palette": with_alpha(
            png(head(colour=3), chunk(b"PLTE", bytes(range(48))), chunk(b"IDAT", PIXELS), END), None
        ),
        "alpha-png-gray-with-palette": with_alpha(png(head(), chunk(b"PLTE", bytes(3)), chunk(b"IDAT", PIXELS), END)),
        "alpha-png-critical-chunk": with_alpha(png(head(), chunk(b"ABCD", b""), chunk(b"IDAT", PIXELS), END)),
        "alpha-png-animated": with_alpha(
            png(head(), chunk(b"acTL", bytes(3) + b"\1" + bytes(4)), chunk(b"IDAT", PIXELS), END)
        ),
        "alpha-png-idat-crc": with_alpha(png(head(), chunk(b"IDAT", PIXELS, crc=1), END)),
        "alpha-png-text-crc": with_alpha(png(head(), chunk(b"tEXt", b"a\0b", crc=1), chunk(b"IDAT", PIXELS), END)),
        "alpha-png-iend-crc": with_alpha(png(head(), chunk(b"IDAT", PIXELS), chunk(b"IEND", b"", crc=1))),
        "alpha-png-without-iend": with_alpha(png(head(), chunk(b"IDAT", PIXELS))),
        "alpha-png-iend-not-empty": with_alpha(png(head(), chunk(b"IDAT", PIXELS), chunk(b"IEND", b"\0"))),
        "alpha-png-bytes-behind-the-end": with_alpha(PLAIN + b"\0"),
        "alpha-png-head-not-first": with_alpha(png(chunk(b"tEXt", b"a\0b"), head(), chunk(b"IDAT", PIXELS), END)),
        "alpha-png-two-heads": with_alpha(png(head(), head(), chunk(b"IDAT", PIXELS), END)),
        "alpha-png-without-pixels": with_alpha(png(head(), END)),
        "alpha-png-idat-apart": with_alpha(
            png(head(), chunk(b"IDAT", PIXELS[:9]), chunk(b"tEXt", b"a\0b"), chunk(b"IDAT", PIXELS[9:]), END)
        ),
        "alpha-png-zlib-truncated": with_alpha(png(head(), chunk(b"IDAT", PIXELS[:-1]), END)),
        "alpha-png-zlib-checksum": with_alpha(png(head(), chunk(b"IDAT", PIXELS[:-1] + bytes((PIXELS[-1] ^ 1,))), END)),
        "alpha-png-bytes-behind-zlib": with_alpha(png(head(), chunk(b"IDAT", PIXELS + b"\0"), END)),
        "alpha-png-row-too-many": with_alpha(
            png(head(), chunk(b"IDAT", zlib.compress(rows() + rows()[: WIDTH + 1])), END)
        ),
        "alpha-png-row-missing": with_alpha(png(head(), chunk(b"IDAT", zlib.compress(rows()[: -WIDTH - 1])), END)),
        "alpha-png-filter-5": with_alpha(png(head(), chunk(b"IDAT", zlib.compress(b"\5" + rows()[1:])), END)),
    }


def main() -> None:
    hashes = []
    for folder, files in (("must-decode", decodes()), ("must-fail", fails())):
        (HERE / folder).mkdir(exist_ok=True)
        for name, data in files.items():
            path = HERE / folder / f"{name}.cae"
            if not path.exists() or "--anew" in sys.argv:
                path.write_bytes(data)
    for path in sorted((HERE / "must-decode").glob("*.cae")):
        image = caecodec.decode(path.read_bytes())
        hashes.append(
            f"{hashlib.sha256(image.tobytes()).hexdigest()} {image.mode} {image.width} {image.height} {path.stem}"
        )
    (HERE / "pixels.sha256").write_text("\n".join(hashes) + "\n")


if __name__ == "__main__":
    main()
