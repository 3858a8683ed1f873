"""The command `latents`."""

from __future__ import annotations

import os

import click

from caecodec.command.options import debug_option, machine_options
from caecodec.command.terminal import each, shown
from caecodec.errors import FileSystemError
from caecodec.files.jobs import find_inputs, listed, picture_suffixes
from caecodec.files.writing import is_stream, write_atomically
from caecodec.limits import Limits


@click.command(short_help="Write y of pictures as arrays.")
@click.argument("inputs", nargs=-1, required=True, metavar="PICTURE...")
@click.option("-o", "--output", metavar="FILE.npz", required=True, help="Where to write the arrays.")
@click.option("-r", "--recursive", is_flag=True, help="Take every picture in folders.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing output.")
@click.option("--model", help="Name, id or .safetensors file of the model.")
@machine_options
@debug_option
def latents(
    inputs: tuple[str, ...],
    output: str,
    recursive: bool,
    force: bool,
    model: str | None,
    device: str,
    precision: str,
    engine: str,
    limits: Limits,
) -> None:
    """Write what the encoder sees in pictures: y before any quality, as float32 arrays (rows, columns, channels).

    \b
    caecodec latents photos/ -r --model tiny -o latents.npz
    numpy.load("latents.npz")["y"]       (pictures, rows, columns, channels) where all are of one size;
                                         y0, y1, ... one by one where they are not
    numpy.load("latents.npz")["names"]   the files, in the same order
    """
    from caecodec.batch.features import Gathering

    inputs_found = find_inputs(inputs, recursive, picture_suffixes(), own=frozenset((".npz",)))
    if not force and not is_stream(output) and os.path.lexists(output):
        raise FileSystemError(f"{output} exists; -f overwrites it")
    gathering = Gathering(model, device, precision, engine, limits)
    try:
        each([source for source, _ in inputs_found.files], gathering.add)
    finally:  # those that can be read are written whatever the others are
        gathering.finish()
        if gathering.found:
            write_atomically(output, gathering.archive(), overwrite=force)
            shape = "x".join(map(str, gathering.found[0].shape)) if gathering.same else "several sizes"
            count = len(gathering.found)
            click.echo(f"{shown(output)}: {count} pictures, y of {shape}", err=is_stream(output))
        if inputs_found.skipped:
            click.echo(shown(listed(inputs_found.skipped)), err=True)
