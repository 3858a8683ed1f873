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
    body = f"""{viewer.fragment(name, [shown])}
<h2>The file</h2>
<table><tbody>
{rows}
</tbody></table>"""
    return viewer.document(name, about, body, _STYLE)


_STYLE = """main { max-width: 80rem; }
figcaption { display: none; }
th, td { padding: .35rem 1.2rem .35rem 0; text-align: left; vertical-align: top; }
th { white-space: nowrap; }
footer { margin-top: 2rem; }"""


def _said(facts: Info) -> list[tuple[str, str]]:
    sections = ", ".join(f"{name} {size:,}" for name, size in facts.sections.items())
    return [
        ("Picture", f"{facts.width} x {facts.height} pixels, {facts.mode}"),
        (
            "Quality",
            "lossless" if facts.model == "lossless" else str(facts.quality) + ", for PSNR" * (facts.tune == "psnr"),
        ),
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
