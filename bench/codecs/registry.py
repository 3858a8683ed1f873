"""The table of codecs, and how they are opened by name.

A new codec of ours is a line in `CODECS`: its name, and what makes it of that name. What it makes is what
`protocol.BenchCodec` asks for: a class in a module of this room, or other options for a format that Pillow writes.
Importing its library is for the maker, which raises UsageError that says what to install. Another package brings its
own by entry points, and a TOML file names command lines (`commands`).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from caecodec.bench.codecs import peers, pillow, vvc
from caecodec.bench.codecs.ours import of_caecodec, open_caecodec
from caecodec.bench.codecs.protocol import BenchCodec, Maker
from caecodec.errors import UsageError

GROUP = "caecodec.bench_codecs"  # of entry points
_PROGRESSIVE = {"optimize": True, "progressive": True}
_PROGRESSIVE_444 = _PROGRESSIVE | {"subsampling": "4:4:4"}
_AVIF_GRID = (5, 10, 20, 30, 40, 50, 60, 70, 80, 88, 95)
_AVIF_444_GRID = (4, 16, 30, 45, 60, 75, 88)  # several seconds a file
_AVIF_444 = {"subsampling": "4:4:4", "speed": 3, "advanced": {"tune": "psnr"}}
# Pillow's default is without the colour transform, which more than doubles the files of photographs.
_JPEG2000 = {"irreversible": True, "mct": 1, "quality_mode": "dB"}

CODECS: Mapping[str, Maker] = {
    "caecodec": open_caecodec,
    "jpeg": pillow.jpeg({}),
    "jpeg-progressive": pillow.jpeg(_PROGRESSIVE),
    "jpeg-progressive-444": pillow.jpeg(_PROGRESSIVE_444),
    "mozjpeg": partial(peers.open_mozjpeg, quant_table=3),
    "mozjpeg-q1": partial(peers.open_mozjpeg, quant_table=1),
    "jpegli": peers.open_jpegli,
    "webp": pillow.webp({"method": 4}),
    "webp-6": pillow.webp({"method": 6}),
    "jxl-7": partial(peers.open_jxl, effort=7),
    "jxl-9": partial(peers.open_jxl, effort=9),
    "avif": pillow.avif(_AVIF_GRID, {}),
    "avif-444": pillow.avif(_AVIF_444_GRID, _AVIF_444),
    "heic-444": peers.open_heic,
    "vvc": vvc.open_vvc,
    "jpeg2000": pillow.jpeg2000(_JPEG2000),
}


def plugged() -> dict[str, Maker]:
    """Codecs of other packages, by the entry points `caecodec.bench_codecs`: each a `protocol.Maker`.

    One that cannot be imported says so when it is opened, as any other that does not work here.
    """
    found: dict[str, Maker] = {}
    for entry in importlib.metadata.entry_points(group=GROUP):
        found[entry.name] = partial(_of_entry, entry)
    return found


def _of_entry(entry: importlib.metadata.EntryPoint, name: str) -> BenchCodec:
    made: BenchCodec = entry.load()(name)
    return made


def all_codecs(more: Mapping[str, Maker] | None = None) -> dict[str, Maker]:
    """Ours, those of other packages and `more`, by name. Raises UsageError where two have one name."""
    found = dict(CODECS)
    for others in (plugged(), more or {}):
        for name, make in others.items():
            if name in found or of_caecodec(name):
                raise UsageError(f"there is a codec {name} already: choose another name")
            found[name] = make
    return found


def known_names(names: Sequence[str], more: Mapping[str, Maker] | None = None) -> list[str]:
    """Names of codecs, each once; 'all' stands for all of `all_codecs`.

    'caecodec:NAME' is caecodec with another model, 'caecodec@6' with another effort, 'caecodec@psnr' and
    'caecodec@6@psnr' with --tune psnr. Raises UsageError for a name that is none of these, and without any.
    """
    there = all_codecs(more)
    wanted = list(dict.fromkeys(one for name in names for one in (there if name == "all" else [name])))
    unknown = [name for name in wanted if name not in there and not of_caecodec(name)]
    if unknown or not wanted:
        choices = f"{', '.join(there)}, caecodec:MODEL, caecodec@EFFORT or all"
        raise UsageError(f"no codec {', '.join(unknown) or 'named'}; choose from {choices}")
    return wanted


def open_codecs(
    names: Sequence[str], more: Mapping[str, Maker] | None = None
) -> tuple[list[BenchCodec], dict[str, str]]:
    """Names (see `known_names`) -> the codecs that work here, and why each of the others does not."""
    codecs, missing = [], {}
    there = all_codecs(more)
    for name in known_names(names, more):
        make = open_caecodec if of_caecodec(name) else there[name]
        try:
            codecs.append(_tried(make(name)))
        except Exception as exc:  # whatever keeps a codec from working is the reason that is shown
            missing[name] = f"{type(exc).__name__}: {exc}"
    return codecs, missing


def open_codec(name: str) -> BenchCodec:
    """One codec by name. Raises UsageError, with the reason where it does not work here."""
    codecs, missing = open_codecs([name])
    if missing:
        raise UsageError(f"{name} does not work here: {missing[name]}")
    return codecs[0]


def _tried(codec: BenchCodec) -> BenchCodec:
    """The codec, after it has coded a small picture."""
    flat = np.full((32, 32, 3), 128, np.uint8)
    if codec.decode(codec.encode(flat, codec.qualities[-1])).shape != flat.shape:
        raise ValueError("a picture comes back in another shape")
    return codec
