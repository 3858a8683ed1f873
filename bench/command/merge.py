"""The command `caecodec bench merge`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from caecodec.errors import FileSystemError

mixed_option = click.option("--mixed", is_flag=True, help="Even where a codec has rows of several versions.")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="RESULTS.json...", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="All of them.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing output.")
@mixed_option
def merge(files: tuple[Path, ...], output: Path, force: bool, mixed: bool) -> None:
    """Results of `rd` from several machines or days, as one file."""
    from caecodec.bench.rd.merge import merged
    from caecodec.bench.rd.results import load_rd, save_rd

    if os.path.lexists(output) and not force:
        raise FileSystemError(f"{output} exists; -f overwrites it")
    whole = merged([(str(file), load_rd(file)) for file in files], mixed=mixed)
    save_rd(whole, output)
    click.echo(f"{output}: {len(whole.rows)} rows of {len(whole.codecs)} codecs on {len(whole.pictures)} pictures")
