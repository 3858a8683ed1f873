"""One picture by caecodec and by JPEG at the same bytes, side by side.

python -m caecodec.bench.show.figure PICTURE -o figure.png --bpp 0.25 --crop 100,80,256,256
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
from PIL import Image, ImageDraw, ImageFont

from caecodec.bench.codecs.match import Coded, best_within
from caecodec.bench.codecs.registry import open_codec
from caecodec.bench.pictures import Pixels, load_pixels
from caecodec.errors import CaecodecError, UsageError

SCALE = 2  # each pixel becomes 2x2: nothing is smoothed
_MARGIN = 12
_FONT_SIZE = 18
_LINE = 24


@dataclass(frozen=True, slots=True)
class Panel:
    """One part of the figure: its pixels (H, W, 3) and the lines below."""

    pixels: Pixels
    title: str
    caption: str


def parse_crop(text: str | None, width: int, height: int) -> tuple[int, int, int, int]:
    """'x,y,w,h' -> the box (left, top, right, bottom); None is the whole picture. Raises UsageError."""
    if text is None:
        return 0, 0, width, height
    try:
        x, y, w, h = (int(part) for part in text.split(","))
    except ValueError as exc:
        raise UsageError(f"--crop {text!r}: write x,y,w,h") from exc
    if x < 0 or y < 0 or w < 1 or h < 1 or x + w > width or y + h > height:
        raise UsageError(f"--crop {text}: outside the picture of {width}x{height}")
    return x, y, x + w, y + h


def panels(array: Pixels, bpp: float) -> list[Panel]:
    """The original, caecodec at the best quality within `bpp`, and JPEG at no more bytes than that.

    JPEG is optimised and progressive, 4:2:0. Raises UsageError where a codec is missing or `bpp` cannot be met.
    """
    height, width, _ = array.shape
    ours, jpeg = open_codec("caecodec"), open_codec("jpeg-progressive")
    mine = best_within(ours, array, int(bpp * width * height / 8))
    if mine.bpp > bpp:
        raise UsageError(f"{bpp} bpp cannot be met: quality {mine.quality} takes {mine.bpp:.3f} bpp")
    theirs = best_within(jpeg, array, len(mine.data))
    larger = " (cannot be smaller)" if len(theirs.data) > len(mine.data) else ""
    raw = 3 * width * height
    return [
        Panel(array, "Original", f"{raw:,} bytes, 24 bpp"),
        Panel(mine.pixels, "caecodec", _caption(mine)),
        Panel(theirs.pixels, f"JPEG, quality {theirs.quality}{larger}", _caption(theirs)),
    ]


def draw(parts: list[Panel], box: tuple[int, int, int, int]) -> Image.Image:
    """The panels' crops side by side, enlarged, with their captions."""
    width, height = SCALE * (box[2] - box[0]), SCALE * (box[3] - box[1])
    font = ImageFont.load_default(_FONT_SIZE)
    widths = [max(width, *(int(font.getlength(line)) + 1 for line in (p.title, p.caption))) for p in parts]
    figure = Image.new("RGB", (sum(widths) + _MARGIN * (len(parts) + 1), height + 2 * _LINE + 3 * _MARGIN), "white")
    pen = ImageDraw.Draw(figure)
    left = _MARGIN
    for part, column in zip(parts, widths, strict=True):
        crop = Image.fromarray(part.pixels).crop(box).resize((width, height), Image.Resampling.NEAREST)
        figure.paste(crop, (left, _MARGIN))
        pen.text((left, height + 2 * _MARGIN), part.title, "black", font)
        pen.text((left, height + 2 * _MARGIN + _LINE), part.caption, "black", font)
        left += column + _MARGIN
    return figure


def _caption(coded: Coded) -> str:
    return f"{len(coded.data):,} bytes, {coded.bpp:.3f} bpp, {coded.psnr:.2f} dB"


@click.command()
@click.argument("picture", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--bpp", type=float, default=0.25, show_default=True, help="Of the whole picture.")
@click.option("--crop", metavar="X,Y,W,H", help="What is shown; the numbers are of the whole picture.")
def main(picture: Path, output: Path, bpp: float, crop: str | None) -> None:
    """Draw original, caecodec and JPEG at the same bytes."""
    try:
        array = load_pixels(picture)
        box = parse_crop(crop, array.shape[1], array.shape[0])
        parts = panels(array, bpp)
        output.parent.mkdir(parents=True, exist_ok=True)
        draw(parts, box).save(output, optimize=True)
    except CaecodecError as exc:
        raise click.ClickException(str(exc)) from exc
    for part in parts:
        click.echo(f"{part.title}: {part.caption}")


if __name__ == "__main__":
    main()
