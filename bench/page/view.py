"""Pictures of the report: files of several codecs at about the same size, and maps of where caecodec's bits went."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import caecodec
from caecodec.bench.codecs.match import Coded, best_within
from caecodec.bench.codecs.ours import of_caecodec
from caecodec.bench.codecs.protocol import BenchCodec
from caecodec.bench.codecs.registry import open_codec
from caecodec.bench.pictures import Pixels, find_pictures, load_pixels
from caecodec.bench.viewer import viewer
from caecodec.bench.viewer.viewer import Shown
from caecodec.errors import UsageError
from caecodec.latents.allocation import BitAllocation
from caecodec.pictures import cells

DEFAULT_PICTURES = 2  # of the pictures given: every one adds megabytes to the page


@dataclass(frozen=True, slots=True)
class Views:
    """HTML of the viewers, and JSON of the maps and of what was shown."""

    html: str
    shown: list[dict[str, Any]]
    maps: list[dict[str, Any]]


def make_views(
    paths: Sequence[Path],
    names: Sequence[str] | None,
    codec_names: Sequence[str],
    bpp: float,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Views:
    """Encode the pictures called `names` (None: the first two) with every codec at about `bpp`.

    The first codec takes the largest file within `bpp`, the others the largest within the first one's bytes.
    Raises UsageError for a picture that is not among `paths` and for a codec that does not work here.
    """
    found = {picture.name: picture for picture in find_pictures(paths)}
    wanted = list(found)[:DEFAULT_PICTURES] if names is None else list(dict.fromkeys(names))
    for name in wanted:
        if name not in found:
            raise UsageError(f"--view {name!r}: no such picture in --pictures; there are {', '.join(found)}")
    opened = [open_codec(name) for name in dict.fromkeys(codec_names)]
    fragments, shown, maps = [], [], []
    for number, name in enumerate(wanted):
        pixels = load_pixels(found[name].path)
        height, width, _ = pixels.shape
        layers = [Shown("original", f"{width}x{height}", *viewer.lossless(pixels))]
        size = int(bpp * width * height / 8)
        for place, codec in enumerate(opened):
            coded = _within(codec, pixels, size)
            size = len(coded.data) if place == 0 else size
            bits = None
            if of_caecodec(codec.name) and (allocation := _allocation(coded)) is not None:
                bits = allocation.cells
                hyper = allocation.hyper_bits.sum() / 8
                about = f"{len(coded.data):,} bytes, of them {hyper:,.0f} for the hyper latents"
                maps.append(_map(f"{name}, {codec.name} at quality {coded.quality}", about, bits, coded.pixels))
            layers.append(Shown(codec.name, _detail(coded), *viewer.lossless(coded.pixels), bits))
            shown.append(_facts(name, codec, coded))
            progress(number * len(opened) + place + 1, len(wanted) * len(opened))
        fragments.append(viewer.fragment(name, layers))
    return Views("\n".join(fragments), shown, maps)


def _allocation(coded: Coded) -> BitAllocation | None:
    try:
        return caecodec.bit_allocation(coded.data)
    except UsageError:  # of a model of small pictures, which has none
        return None


def _within(codec: BenchCodec, pixels: Pixels, size: int) -> Coded:
    # every whole quality between the ends of its own grid: what lies outside may mean nothing to it
    return best_within(codec, pixels, size, range(codec.qualities[0], codec.qualities[-1] + 1))


def _facts(picture: str, codec: BenchCodec, coded: Coded) -> dict[str, Any]:
    return {
        "picture": picture,
        "codec": codec.name,
        "version": codec.version,
        "quality": coded.quality,
        "bytes": len(coded.data),
    }


def _detail(coded: Coded) -> str:
    return f"{len(coded.data):,} bytes, {coded.bpp:.3f} bpp, PSNR {coded.psnr:.2f} dB, quality {coded.quality}"


def _map(title: str, about: str, bits: NDArray[np.floating[Any]], pixels: Pixels) -> dict[str, Any]:
    height, width, _ = pixels.shape
    top, most = max(float(np.percentile(bits, viewer.TOP_PERCENTILE)), 1.0), float(bits.max())
    label = f"Map of bits of {title}: {bits.min():.0f} to {bits.max():.0f} bits a block, {bits.mean():.1f} on average."
    return {
        "title": title,
        "about": about,
        "label": f"{label} Arrow keys read blocks.",
        "width": width,
        "height": height,
        "side": cells.CELL,
        "cells": [[round(float(value), 1) for value in row] for row in bits],
        "low": "0 bits",
        "high": f"{top:.0f} bits" + (f" and more, at most {most:.0f}" if most > top else ""),
        "colours": list(viewer.INFERNO),
        "image": _uri(*viewer.lossless(pixels)),
        "heat": _uri(viewer.heat_map(bits, top), "image/png"),
    }


def _uri(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
