"""The command `pack`."""

from __future__ import annotations

from pathlib import Path

import click

from caecodec.command.options import debug_option
from caecodec.command.terminal import shown


@click.command(short_help="Pack .cae files into tar shards.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="shard-%05d.tar", required=True, help="Shards; %05d is their number.")
@click.option("--size", metavar="SIZE", help="Most bytes of a shard: 500MB.  [default: 1000MB]")
@click.option("--count", type=click.IntRange(min=1), help="Most pictures of a shard.")
@click.option("-f", "--force", is_flag=True, help="Overwrite existing shards.")
@debug_option
def pack(folder: Path, output: str, size: str | None, count: int | None, force: bool) -> None:
    """Pack the .cae files of a folder into tar shards, each with the files of its name (a.cae, a.cls, a.json).

    \b
    caecodec pack train/ -o shards/train-%05d.tar --size 500MB
    caecodec decode tar://a.cae::shards/train-00000.tar -o a.png      one member, without unpacking
    caecodec decode tar://::shards/train-00000.tar -r --output-dir out
    """
    from caecodec.batch import packing
    from caecodec.command.encode import parse_size

    most = packing.DEFAULT_BYTES if size is None else parse_size(size)
    for shard in packing.pack(folder, output, most_bytes=most, most_samples=count, overwrite=force):
        click.echo(f"{shown(shard.path)}: {shard.samples} pictures, {shard.bytes} bytes")
