"""Pictures of letters to train on, for photographs have few: words of no language, on paper and on photographs.

`python -m caecodec.models.data.letters PHOTOGRAPHS -o FOLDER` writes PNG files for `caecodec train --data FOLDER`.
Words are made up, in Latin, Greek and Cyrillic letters and digits, in all fonts found; tilted, a little out of focus
and noisy as what a camera takes. What they say and where they stand follows from the seed, how they look from the
fonts that are installed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from caecodec.models.data import pictures

_SIZE = 640, 512  # width and height
_TWICE = 2  # drawn larger, then reduced: letters end between pixels
_FONTS = Path("/usr/share/fonts")
_SCRIPTS = (
    ("aeiouy", "bcdfghjklmnprstvwxz"),
    ("αεηιουω", "βγδζθκλμνξπρστφχψ"),
    ("аеиоуыэюя", "бвгджзклмнпрстфхцчшщ"),
)
_LATIN = 0.8  # of all lines
_SMALLEST, _LARGEST = 7.0, 40.0  # height of a line's letters in pixels; small ones are the more frequent
Samples = NDArray[np.float32]


def pages(photographs: list[Path], fonts: list[Path], count: int, seed: int) -> Iterator[Image.Image]:
    """Pictures of letters, every third on one of the photographs (folders, tar shards, pictures).

    Raises FileNotFoundError for data that is not there, OSError for a font that cannot be read.
    """
    rng = np.random.default_rng(seed)
    grounds = itertools.cycle(_grounds(photographs, -(-count // 3)))
    for number in range(count):
        photograph = next(grounds) if number % 3 == 2 else None
        yield _page(rng, fonts, photograph)


def _grounds(photographs: list[Path], most: int) -> list[Image.Image]:
    """Photographs that are large enough, reduced until they are hardly larger."""
    found: list[Image.Image] = []
    for encoded in pictures.encoded_pictures(photographs, warn=lambda _: None):
        picture = Image.fromarray(pictures.read(encoded).numpy())
        scale = max(side / whole for side, whole in zip(_SIZE, picture.size, strict=True))
        if scale > 1:
            continue
        width, height = (max(side, round(scale * whole)) for side, whole in zip(_SIZE, picture.size, strict=True))
        found.append(picture.resize((width, height), Image.Resampling.LANCZOS).crop((0, 0, *_SIZE)))
        if len(found) == most:
            return found
    if not found:
        raise FileNotFoundError(
            f"no photograph of at least {_SIZE[0]}x{_SIZE[1]} in {', '.join(map(str, photographs))}"
        )
    return found


def _page(rng: np.random.Generator, fonts: list[Path], photograph: Image.Image | None) -> Image.Image:
    paper, ink = _colours(rng)
    ground = _plain(rng, paper) if photograph is None else np.asarray(photograph, np.float32)
    if photograph is not None and rng.random() < 0.5:  # a label: paper that lets little of it through
        ground = ground * 0.25 + paper * 0.75
    size = (_TWICE * _SIZE[0], _TWICE * _SIZE[1])
    ink_lies = Image.new("L", size)
    _write(rng, ImageDraw.Draw(ink_lies), fonts)
    ink_lies = ink_lies.rotate(float(rng.normal(0, 2)), Image.Resampling.BICUBIC)
    ink_lies = ink_lies.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.8))))
    share = np.asarray(ink_lies.resize(_SIZE, Image.Resampling.BOX), np.float32)[..., None] / 255
    share *= np.float32(rng.uniform(0.5, 1.0))  # printed pale, or dark
    shown = ground * (1 - share) + ink * share
    shown += rng.normal(0, rng.uniform(0, 4), shown.shape).astype(np.float32)
    return Image.fromarray(shown.round().clip(0, 255).astype(np.uint8))


def _colours(rng: np.random.Generator) -> tuple[Samples, Samples]:
    """Of paper and ink, light and dark or the other way round."""
    light = (rng.uniform(160, 252) + rng.uniform(-30, 3, 3)).astype(np.float32)
    dark = rng.uniform(0, 110, 3).astype(np.float32)
    if rng.random() < 0.5:
        dark[:] = dark.min()  # black print is the most frequent
    return (light, dark) if rng.random() < 0.75 else (dark, light)


def _plain(rng: np.random.Generator, paper: Samples) -> Samples:
    """Paper with a shadow across it, (H, W, 3)."""
    width, height = _SIZE
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    slope = rng.normal(0, 0.12, 2)
    shade = 1 + slope[0] * across + slope[1] * down
    shown: Samples = (paper * shade[..., None]).astype(np.float32)
    return shown


def _write(rng: np.random.Generator, draw: ImageDraw.ImageDraw, fonts: list[Path]) -> None:
    """Fill a page with lines of words, each line of one font and size."""
    width, height = (_TWICE * side for side in _SIZE)
    top = float(rng.uniform(0, 20))
    while top < height:
        tall = _TWICE * _SMALLEST * (_LARGEST / _SMALLEST) ** (rng.random() ** 1.5)
        font = ImageFont.truetype(str(fonts[rng.integers(len(fonts))]), round(tall))
        script = _SCRIPTS[0] if rng.random() < _LATIN else _SCRIPTS[rng.integers(1, len(_SCRIPTS))]
        left, right = float(rng.uniform(0, 0.2)) * width, float(rng.uniform(0.6, 1.0)) * width
        while left < right:
            word = _word(rng, *script)
            draw.text((left, top), word, fill=255, font=font)
            left += draw.textlength(word, font=font) + 0.35 * tall
        top += tall * float(rng.uniform(1.1, 1.9))


def _word(rng: np.random.Generator, vowels: str, consonants: str) -> str:
    if rng.random() < 0.1:
        return str(rng.integers(10**5))
    letters = "".join(
        consonants[rng.integers(len(consonants))] + vowels[rng.integers(len(vowels))] for _ in range(rng.integers(1, 5))
    )
    word = letters[rng.integers(2) :]
    case = rng.random()
    word = word.upper() if case < 0.1 else word.capitalize() if case < 0.3 else word
    return word + (".,:;-)"[rng.integers(6)] if rng.random() < 0.1 else "")


@click.command()
@click.argument("photographs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder.")
@click.option("--count", default=100, show_default=True, help="Pictures to write.")
@click.option("--fonts", "folder", type=click.Path(path_type=Path), default=_FONTS, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(photographs: tuple[Path, ...], output: Path, count: int, folder: Path, seed: int) -> None:
    """Write pictures of letters, on paper and on PHOTOGRAPHS (folders, tar shards, pictures)."""
    fonts = sorted(path for path in folder.rglob("*.ttf"))
    if not fonts:
        raise click.UsageError(f"no TrueType font in {folder}; --fonts names another folder")
    output.mkdir(parents=True, exist_ok=True)
    try:
        for number, page in enumerate(pages(list(photographs), fonts, count, seed)):
            page.save(output / f"letters-{number:03}.png")
    except (OSError, ValueError) as exc:
        raise click.UsageError(str(exc)) from exc
    click.echo(f"{output}: {count} pictures, {len(fonts)} fonts")


if __name__ == "__main__":
    main()
