"""The page that `caecodec view` opens: one picture, what its file says of itself, and where its bits went."""

from __future__ import annotations

from dataclasses import replace
from html import escape

import caecodec
from caecodec.bench.viewer import viewer
from caecodec.codecs import opening
from caecodec.errors import UsageError
from caecodec.format import container
from caecodec.format.record import Info
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.pictures import saving
from caecodec.pictures.metadata import ORIENTATION
from caecodec.pictures.picture import Picture
from caecodec.pictures.view import DIVISORS, View

PAGE_PIXELS = 2**25  # larger pictures are shown smaller; browsers show little more


def page(data: bytes, name: str, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """One HTML file, UTF-8, that loads nothing. Raises CorruptFileError, LimitError, ModelError."""
    facts = caecodec.info(data, limits)
    pixels = facts.width * facts.height
    divisor = next((d for d in DIVISORS if pixels <= PAGE_PIXELS * d * d), DIVISORS[-1])
    parsed = container.parse(data, limits)
    codec = opening.open_codec(parsed.model_id)
    picture = opening.rows_held(parsed, codec, View(None, divisor), limits).picture()
    turned = _turned(picture)
    bits = None
    if divisor == 1 and turned is picture:
        try:
            bits = codec.allocation(parsed).cells
        except UsageError:  # a model that keeps no map of them
            bits = None
    about = f"{facts.width}x{facts.height} pixels, {facts.size_bytes:,} bytes, {facts.bpp:.3f} bpp"
    shown = viewer.Shown(name, "" if divisor == 1 else f"shown at 1/{divisor}", *_file(turned), bits)
    rows = "\n".join(f"<tr><th scope=row>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in _said(facts))
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{escape(name)}</title>
<style>
{_CSS}
{viewer.css()}</style>
</head>
<body>
<main>
<h1>{escape(name)}</h1>
<p>{about}</p>
{viewer.fragment(name, [shown])}
<h2>The file</h2>
<table><tbody>
{rows}
</tbody></table>
<footer class="small">caecodec {caecodec.__version__}</footer>
</main>
<script>
{viewer.js()}</script>
</body>
</html>
"""
    return text.encode("utf-8", "backslashreplace")  # a file name may hold what UTF-8 cannot


_CSS = """:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; }
main { max-width: 80rem; margin: 0 auto; padding: 1.2rem clamp(.8rem, 3vw, 2rem); }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
h1 + p { margin: .2rem 0 0; opacity: .75; }
figcaption { display: none; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem 1.2rem .35rem 0; text-align: left; vertical-align: top; }
th { font-weight: 600; white-space: nowrap; }
tr { border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent); }
.small { font-size: .85rem; opacity: .75; margin-top: 2rem; }"""


def _said(facts: Info) -> list[tuple[str, str]]:
    sections = ", ".join(f"{name} {size:,}" for name, size in facts.sections.items())
    return [
        ("Picture", f"{facts.width} x {facts.height} pixels, {facts.mode}"),
        ("Quality", "lossless" if facts.model == "lossless" else str(facts.quality)),
        ("Model", f"{facts.model} ({facts.model_id})"),
        ("Bytes", f"{facts.size_bytes:,}, {facts.compression_rate:.2%} less than raw pixels"),
        ("Of these", sections),
        ("Tiles", str(facts.tiles)),
    ]


def _turned(picture: Picture) -> Picture:
    """As its EXIF orientation says, without that; the same where it says nothing."""
    from PIL import ImageOps

    image = saving.to_image(replace(picture, icc=b"", xmp=b""))
    if image.getexif().get(ORIENTATION, 1) == 1:
        return picture
    from caecodec.pictures import pillow

    upright = pillow.from_image(ImageOps.exif_transpose(image), Limits(pixels=1 << 62, memory=1 << 62))
    return replace(upright, icc=picture.icc, exif=b"")


def _file(picture: Picture) -> tuple[bytes, str]:
    """What a browser shows exactly so, and its MIME type."""
    suffix = "png" if max(picture.width, picture.height) > viewer.WEBP_MAX_SIDE else "webp"
    return saving.saved(replace(picture, exif=b"", xmp=b""), f".{suffix}"), f"image/{suffix}"
