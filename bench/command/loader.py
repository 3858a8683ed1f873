"""The command `caecodec bench loader`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from caecodec.bench.command.terminal import (
    hold_to_one_thread,
    markdown_option,
    output_option,
    print_table,
    show_option,
    working_codecs,
)
from caecodec.errors import UsageError

if TYPE_CHECKING:
    from caecodec.bench.timing.loader import LoaderRow

_CODECS = "caecodec,jpeg,webp,avif"


@click.command()
@click.argument("pictures", nargs=-1, metavar="[PICTURE]...", type=click.Path(path_type=Path))
@click.option("--codecs", default=_CODECS, show_default=True, help="Names with commas between.")
@click.option("--count", type=click.IntRange(min=64), default=2000, show_default=True, help="Files of each codec.")
@click.option("--side", type=click.IntRange(min=16), default=256, show_default=True, help="Of the square crops.")
@click.option("--bpp", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, help="Nearest.")
@click.option("--workers", type=click.IntRange(min=0), default=2, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--files", default=Path("loader-files"), show_default=True, type=click.Path(path_type=Path), help="Kept.")
@click.option("--only-files", is_flag=True, help="Write the files and measure nothing.")
@output_option("results/loader.json", "Results.")
@show_option
@markdown_option
def loader(
    pictures: tuple[Path, ...],
    codecs: str,
    count: int,
    side: int,
    bpp: float,
    workers: int,
    rounds: int,
    files: Path,
    only_files: bool,
    output: Path,
    show: Path | None,
    markdown: bool,
) -> None:
    """Pictures a second of a torch loader over files of each codec, decoded in its workers."""
    from caecodec.bench.timing.loader import load, loader_table, measure, save, write_files

    if show is None:
        if not pictures:
            raise UsageError("give pictures to cut crops from, or --show results")
        hold_to_one_thread()
        from caecodec.bench.pictures import find_pictures

        opened, _ = working_codecs(codecs)
        found = find_pictures(pictures)
        rows: list[LoaderRow] = []
        for codec in opened:
            quality = write_files(codec, found, files, count, side, bpp)
            if not only_files:
                rows += measure(codec, quality, files, side=side, workers=workers, rounds=rounds)
        if only_files:
            return
        save(rows, output)
    table = loader_table(load(show or output))
    if markdown:
        click.echo(table.markdown())
    else:
        print_table(table, str(show or output))
