"""A viewer of pictures for HTML pages: any two of them under one divider, with maps of where their bits went.

A page holds css() once, any number of fragments, and js() once. Nothing is loaded from anywhere: pictures are data
URIs. Left and right are chosen by selects, the divider is an <input type=range>: keys, pointers and fingers move it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import caecodec
from caecodec.pictures import cells

TOP_PERCENTILE = 99  # of all cells: the few that hold most would leave the others dark
WEBP_MAX_SIDE = 16383
# nine even steps of matplotlib's inferno
INFERNO = ("#000004", "#210c4a", "#57106e", "#8a226a", "#bc3754", "#e45a31", "#f98e09", "#f9cb35", "#fcffa4")


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of a viewer.

    label: what selects say. detail: figures, on one line. image: a file that browsers read, mime its type. bits: of
    each 16x16 pixels, (ceil(H/16), ceil(W/16)), or None.
    """

    label: str
    detail: str
    image: bytes
    mime: str
    bits: NDArray[np.floating[Any]] | None = None


def lossless(pixels: NDArray[np.uint8]) -> tuple[bytes, str]:
    """(H, W, 3) -> the bytes of a file that shows exactly these pixels in a browser, and its MIME type."""
    stream = io.BytesIO()
    if max(pixels.shape[:2]) > WEBP_MAX_SIDE:
        Image.fromarray(pixels).save(stream, "PNG")
        return stream.getvalue(), "image/png"
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True)
    return stream.getvalue(), "image/webp"


def heat_map(bits: NDArray[np.floating[Any]], top: float) -> bytes:
    """(rows, columns) -> a PNG of one pixel each in the colours of INFERNO, from 0 bits to `top` and more."""
    stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in INFERNO], float)  # (9, RGB)
    where = np.clip(bits / top, 0, 1) * (len(INFERNO) - 1)
    channels = [np.interp(where, range(len(INFERNO)), stops[:, channel]) for channel in range(3)]
    stream = io.BytesIO()
    Image.fromarray(np.rint(np.stack(channels, axis=2)).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def css() -> str:
    """The style sheet of every viewer of a page. It takes colours and font from the page."""
    return _asset("viewer.css")


def js() -> str:
    """The script that starts every viewer of a page, wherever on the page it stands."""
    return _asset("viewer.js")


def fragment(title: str, shown: Sequence[Shown]) -> str:
    """The HTML of one viewer: the first picture on the left, the second on the right, all to choose from.

    Of one picture there is nothing to choose and no divider. Raises ValueError on none, on pictures of several sizes,
    and on a map of another size.
    """
    if not shown:
        raise ValueError("a viewer needs a picture")
    (width, height), *others = (_size(s.image) for s in shown)
    if any(size != (width, height) for size in others):
        raise ValueError("the pictures of a viewer are of one size")
    rows, columns = cells.count(width, height)
    maps = [s.bits for s in shown if s.bits is not None]
    if any(bits.shape != (rows, columns) for bits in maps):
        raise ValueError(f"a map of {width}x{height} pixels has {rows} rows and {columns} columns")
    top = max(float(np.percentile(np.concatenate([bits.ravel() for bits in maps]), TOP_PERCENTILE)), 1.0) if maps else 0
    layers = "\n".join(_layer(number, s, top) for number, s in enumerate(shown))
    # cells at the right and bottom edges may reach beyond the picture
    style = (
        f"--w:{width};--h:{height};--at:50%;--cut:50%;"
        f"--map-w:{100 * columns * cells.CELL / width:.6g}%;--map-h:{100 * rows * cells.CELL / height:.6g}%"
    )
    left, right = shown[0], shown[min(1, len(shown) - 1)]
    single = "" if len(shown) > 1 else " is-single"
    return f"""<figure class="cae-viewer{single}" data-zoom="fit" style="{style}">
<figcaption>{escape(title)}</figcaption>
<div class="cae-controls">
<label class="cae-pick">Left <select class="cae-left">{_options(shown, 0)}</select></label>
<label class="cae-pick">Right <select class="cae-right">{_options(shown, min(1, len(shown) - 1))}</select></label>
<label>Zoom <select class="cae-zoom"><option value="fit">fit</option><option value="1">1:1</option>\
<option value="2">2:1</option><option value="4">4:1</option></select></label>
{_MAP_SWITCH if maps else ""}
</div>
<div class="cae-frame">
<div class="cae-stage">
<div class="cae-scroll" role="group" aria-label="{escape(title)}"><div class="cae-canvas" data-width="{width}">
{layers}
</div></div>
<span class="cae-tag is-left">{escape(left.label)}</span>
<span class="cae-tag is-right">{escape(right.label)}</span>
<div class="cae-divider"></div>
</div>
<input class="cae-range" type="range" min="0" max="100" value="50" autocomplete="off" aria-label="Divider">
{_legend(maps, top) if maps else ""}
<div class="cae-details" aria-live="polite">
<p class="cae-detail-left"><b>{escape(left.label)}</b> <span>{escape(left.detail)}</span></p>
<p class="cae-detail-right"><b>{escape(right.label)}</b> <span>{escape(right.detail)}</span></p>
</div>
</div>
</figure>"""


_MAP_SWITCH = '<label class="cae-check"><input class="cae-map-on" type="checkbox"> Bits per 16&times;16 pixels</label>'


def document(title: str, about: str, body: str, style: str) -> bytes:
    """A page that loads nothing, UTF-8: a heading, what it is about, and a body with a `fragment` in it.

    about, body: HTML; style: CSS beside what every page has.
    """
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>
{_PAGE_CSS}
{style}
{css()}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p>{about}</p>
{body}
<footer class="small">caecodec {caecodec.__version__}</footer>
</main>
<script>
{js()}</script>
</body>
</html>
"""
    return text.encode("utf-8", "backslashreplace")  # a file name may hold what UTF-8 cannot


_PAGE_CSS = """:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; }
main { max-width: 70rem; margin: 0 auto; padding: 1.2rem clamp(.8rem, 3vw, 2rem); }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
h1 + p { margin: .2rem 0 0; opacity: .75; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: 600; }
tr { border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent); }
.small { font-size: .85rem; opacity: .75; }"""


def _asset(name: str) -> str:
    return resources.files("caecodec.bench.viewer").joinpath(name).read_text(encoding="utf-8")


def _size(image: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(image)) as opened:
        return opened.size


def _options(shown: Sequence[Shown], chosen: int) -> str:
    return "".join(
        f"<option{' selected' if number == chosen else ''}>{escape(s.label)}</option>" for number, s in enumerate(shown)
    )


def _layer(number: int, s: Shown, top: float) -> str:
    kind, hidden = (" is-left" if number == 0 else ""), ("" if number < 2 else " hidden")
    picture = f'<img src="{_uri(s.image, s.mime)}" alt="{escape(s.label)}" draggable="false">'
    if s.bits is not None:
        heat = _uri(heat_map(s.bits, top), "image/png")
        picture += f'<img class="cae-map" src="{heat}" alt="" draggable="false" hidden>'
    texts = f'data-label="{escape(s.label)}" data-detail="{escape(s.detail)}"'
    return f'<div class="cae-layer{kind}" {texts}{hidden}>{picture}</div>'


def _legend(maps: Sequence[NDArray[np.floating[Any]]], top: float) -> str:
    most = max(float(bits.max()) for bits in maps)
    over = f" and more, at most {most:.0f}" if most > top else ""
    colours = ", ".join(INFERNO)
    return (
        '<div class="cae-legend" hidden><span>Bits per 16&times;16 pixels: 0</span>'
        f'<i style="background:linear-gradient(90deg, {colours})"></i><span>{top:.0f}{over}</span></div>'
    )


def _uri(data: bytes, mime: str) -> str:
    return f"data:{escape(mime)};base64,{base64.b64encode(data).decode()}"
