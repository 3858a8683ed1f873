"""The commands that look at files and models: `info`, `verify`, `models`."""

from __future__ import annotations

import json

import click

from caecodec.command.cores import take_one_core
from caecodec.command.options import debug_option, limits_options, reporting_options
from caecodec.command.terminal import each, shown, warn
from caecodec.files import writing
from caecodec.limits import Limits

_ONE_CORE_PIXELS = 1 << 20  # up to which one core is done with a file before a second would help


@click.command(short_help="Show what .cae files say of themselves.")
@click.argument("inputs", nargs=-1, required=True, metavar="FILE...")
@limits_options
@reporting_options
def info(inputs: tuple[str, ...], limits: Limits, quiet: bool, as_json: bool) -> None:
    """Show what .cae files say about themselves, without decoding them."""

    def one(source: str) -> None:
        from caecodec.format import record

        facts = record.info(writing.read_bytes(source), limits)
        if as_json:
            click.echo(json.dumps({"file": source} | facts.to_dict()))
            return
        if quiet:
            return
        model = facts.model or "not installed"
        kept = (
            "lossless"
            if facts.model == "lossless"
            else f"quality {facts.quality}" + " for PSNR" * (facts.tune == "psnr")
        )
        click.echo(f"{shown(source)}: {facts.width}x{facts.height} {facts.mode}, {kept}")
        click.echo(f"  model     {model} ({facts.model_id}), format {facts.format_version}, {facts.tiles} tile(s)")
        click.echo(
            f"  size      {facts.size_bytes} bytes, {facts.bpp:.4f} bpp, compression rate {facts.compression_rate:.2%}"
        )
        click.echo("  sections  " + ", ".join(f"{name} {size}" for name, size in facts.sections.items()))

    each(inputs, one)


@click.command(short_help="Check that .cae files are whole.")
@click.argument("inputs", nargs=-1, required=True, metavar="FILE...")
@limits_options
@reporting_options
def verify(inputs: tuple[str, ...], limits: Limits, quiet: bool, as_json: bool) -> None:
    """Check that .cae files are whole and decode exactly; writes nothing."""

    def one(source: str) -> None:
        from caecodec.format import container

        data = writing.read_bytes(source)
        parsed = container.parse(data, limits)
        if len(inputs) == 1 and parsed.width * parsed.height <= _ONE_CORE_PIXELS:
            take_one_core()
        from caecodec.codecs import opening

        opening.verify(data, limits)
        if as_json:
            click.echo(json.dumps({"file": source, "ok": True}))
        elif not quiet:
            click.echo(f"{shown(source)}: ok")

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
