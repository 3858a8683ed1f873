"""The commands that look at files, at models and at what an encoder sees: `info`, `verify`, `models`, `latents`."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from caecodec.command.options import debug_option, machine_options, max_pixels_option, reporting_options
from caecodec.command.terminal import each, warn
from caecodec.errors import FileSystemError
from caecodec.files import jobs, writing
from caecodec.limits import Limits


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="FILE...")
@max_pixels_option
@reporting_options
def info(inputs: tuple[str, ...], max_pixels: int, quiet: bool, as_json: bool) -> None:
    """Show what .cae files say about themselves, without decoding them."""

    def one(source: str) -> None:
        from caecodec.format import record

        facts = record.info(writing.read_bytes(source), Limits(pixels=max_pixels))
        if as_json:
            click.echo(json.dumps({"file": source} | facts.to_dict()))
            return
        if quiet:
            return
        model = facts.model or "not installed"
        click.echo(f"{source}: {facts.width}x{facts.height} {facts.mode}, quality {facts.quality}")
        click.echo(f"  model     {model} ({facts.model_id}), format {facts.format_version}, {facts.tiles} tile(s)")
        click.echo(f"  size      {facts.size_bytes} bytes, {facts.bpp:.4f} bpp, {facts.compression_rate:.2%} saved")
        click.echo("  sections  " + ", ".join(f"{name} {size}" for name, size in facts.sections.items()))

    each(inputs, one)


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="FILE...")
@max_pixels_option
@reporting_options
def verify(inputs: tuple[str, ...], max_pixels: int, quiet: bool, as_json: bool) -> None:
    """Check that .cae files are whole and decode exactly; writes nothing."""

    def one(source: str) -> None:
        from caecodec.format import container

        data = writing.read_bytes(source)
        limits = Limits(pixels=max_pixels)
        container.parse(data, limits)
        from caecodec.codecs import opening

        opening.verify(data, limits)
        if as_json:
            click.echo(json.dumps({"file": source, "ok": True}))
        elif not quiet:
            click.echo(f"{source}: ok")

    each(inputs, one)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per model.")
@click.option("--card", metavar="NAME", help="Print the card of one model.")
@debug_option
def models(as_json: bool, card: str | None) -> None:
    """List the installed models."""
    from caecodec.zoo import find

    if card is not None:
        click.echo(find.find(card).card or f"{card} has no card")
        return
    for error in find.everything()[1]:
        warn(str(error))
    for model in find.installed():
        facts = {
            "name": model.name,
            "id": model.id.hex(),
            "bytes": model.size_bytes,
            "description": model.description,
            "data": model.summary.get("data", ""),
            "quality": model.summary.get("quality", ""),
            "path": str(model.path),
            "default": model.name == find.DEFAULT_MODEL,
        }
        if as_json:
            click.echo(json.dumps(facts))
            continue
        mark = "  (default)" if facts["default"] else ""
        size = f"{model.size_bytes / 1e6:.1f} MB" if model.size_bytes >= 1e6 else f"{model.size_bytes / 1e3:.0f} kB"
        click.echo(f"{model.name}  {facts['id']}  {size}{mark}")
        for key in ("description", "data", "quality"):
            if facts[key]:
                click.echo(f"  {facts[key]}")


@click.command()
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
    max_pixels: int,
) -> None:
    """Write what the encoder sees in pictures: y before any quality, as float32 arrays (rows, columns, channels).

    \b
    caecodec latents photos/ -r --model tiny -o latents.npz
    numpy.load("latents.npz")["y"]       (pictures, rows, columns, channels) where all are of one size;
                                         y0, y1, ... one by one where they are not
    numpy.load("latents.npz")["names"]   the files, in the same order
    """
    from caecodec.pictures import pillow

    names = [source for source, _ in jobs.find_inputs(inputs, recursive, jobs.PICTURE_SUFFIXES)]
    if not force and not writing.is_stream(output) and os.path.lexists(output):
        raise FileSystemError(f"{output} exists; -f overwrites it")
    limits = Limits(pixels=max_pixels)
    found: list[Any] = []
    good: list[str] = []

    def one(name: str) -> None:
        picture = pillow.open_picture(writing.read_bytes(name), limits, keep_metadata=False)
        from caecodec.codecs import opening

        coder = opening.open_codec(model, device, precision)
        coder.check(picture)
        waiting.append(picture)
        good.append(name)
        if len(waiting) >= coder.batch:
            flush()

    def flush() -> None:
        from caecodec.codecs import opening

        if waiting:
            found.extend(opening.open_codec(model, device, precision).features(waiting))
            waiting.clear()

    waiting: list[Any] = []
    try:
        each(names, one)
    finally:  # those that can be read are written whatever the others are
        flush()
        if found:
            from caecodec.codecs import opening

            same = len({y.shape for y in found}) == 1
            arrays = opening.packed({"y": found} if same else {f"y{i}": y for i, y in enumerate(found)}, good)
            writing.write_atomically(output, arrays, overwrite=force)
            shape = "x".join(map(str, found[0].shape)) if same else "several sizes"
            click.echo(f"{output}: {len(found)} pictures, y of {shape}", err=writing.is_stream(output))
