"""See it work: one photograph, encoded, decoded, and measured beside other formats at the same size.

python -m caecodec.bench.show.demo [PICTURE]
"""

from __future__ import annotations

import time
from pathlib import Path

import click
from PIL import Image

from caecodec.bench.codecs.match import Coded, best_within
from caecodec.bench.codecs.protocol import BenchCodec
from caecodec.bench.codecs.registry import open_codec
from caecodec.bench.metrics.metrics import bpp, compression_rate, mse, psnr
from caecodec.bench.pictures import load_pixels
from caecodec.errors import CaecodecError

PHOTO = Path("tests/data/photo.png")
FOLDER = Path(".demo")
RIVALS = {"jpeg-progressive": ".jpg", "webp-6": ".webp", "avif": ".avif"}


def demonstrate(picture: Path, folder: Path, quality: int) -> None:
    """Write every file into `folder` and print a line for each. Raises CaecodecError."""
    array = load_pixels(picture)
    height, width, _ = array.shape
    folder.mkdir(parents=True, exist_ok=True)
    click.echo(f"{picture}: {width}x{height}, {picture.stat().st_size:,} bytes as {picture.suffix[1:].upper()}\n")
    click.echo(f"{'':18}{'bytes':>9}{'bpp':>8}{'PSNR':>11}{'saved':>8}")

    ours = open_codec("caecodec")
    start = time.perf_counter()
    data = ours.encode(array, quality)
    middle = time.perf_counter()
    pixels = ours.decode(data)
    end = time.perf_counter()
    mine = Coded(quality, data, pixels, bpp(len(data), width, height), psnr(mse(array, pixels)))
    _line(ours, mine, width, height)
    written = [folder / "photo.cae", folder / "photo.cae.png"]
    written[0].write_bytes(data)
    Image.fromarray(pixels).save(written[1])

    for name, suffix in RIVALS.items():
        try:
            rival = open_codec(name)
        except CaecodecError as exc:
            click.echo(str(exc))
            continue
        theirs = best_within(rival, array, len(data))
        _line(rival, theirs, width, height, "" if len(theirs.data) <= len(data) else "  (cannot be smaller)")
        written.append(folder / f"photo{suffix}")
        written[-1].write_bytes(theirs.data)

    click.echo(f"\nmodel loaded, encoded in {middle - start:.2f} s, decoded in {end - middle:.2f} s ({ours.version})")
    click.echo("the others: the highest quality whose file is not larger")
    click.echo(f"written: {', '.join(map(str, written))}")


def _line(codec: BenchCodec, coded: Coded, width: int, height: int, note: str = "") -> None:
    size = len(coded.data)
    saved = compression_rate(size, width, height)
    click.echo(f"{codec.name:18}{size:9,}{coded.bpp:8.3f}{coded.psnr:8.2f} dB{saved:8.1%}{note}")


@click.command()
@click.argument("picture", type=click.Path(path_type=Path), default=PHOTO)
@click.option("-q", "--quality", type=click.IntRange(1, 100), default=50, show_default=True)
@click.option("-o", "--output-dir", type=click.Path(path_type=Path), default=FOLDER, show_default=True)
def main(picture: Path, quality: int, output_dir: Path) -> None:
    """Encode PICTURE, decode it, and set other formats beside it at the same size."""
    try:
        demonstrate(picture, output_dir, quality)
    except CaecodecError as exc:
        raise click.ClickException(str(exc)) from exc


if __name__ == "__main__":
    main()
