"""The command `decode`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from caecodec.batch.writing import Work
from caecodec.command.batch import one_for_a_gpu, run_batch
from caecodec.command.options import machine_options, many_files_options, reporting_options, view_options
from caecodec.files.jobs import SUFFIX
from caecodec.files.writing import is_stream
from caecodec.limits import Limits


@click.command(short_help="Decode .cae files to pictures.")
@many_files_options
@click.option("--format", "suffix", default=".png", show_default=True, help="Output suffix where -o does not say.")
@view_options
@machine_options
@reporting_options
def decode(
    inputs: tuple[str, ...],
    suffix: str,
    region: tuple[int, int, int, int] | None,
    scale: float,
    depth: int,
    device: str,
    precision: str,
    engine: str,
    limits: Limits,
    **batch: Any,
) -> None:
    """Decode .cae files to pictures (.png, or what the output's suffix says)."""
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    output = batch["output"]
    kind = suffix if output is None or is_stream(output) else Path(output).suffix
    from caecodec.pictures import saving

    saving.check_suffix(kind)
    saving.check_depth(kind, depth)

    batch["jobs"] = one_for_a_gpu(batch["jobs"], device)

    def work() -> Work:
        from caecodec.batch.decoding import Decoding

        return Decoding(kind, device, precision, engine, limits, region, scale, depth)

    def parts(facts: dict[str, Any]) -> list[str]:
        return [f"{facts['width']}x{facts['height']}", f"{facts['bytes']} bytes", f"{facts['seconds']:.2f} s"]

    run_batch(inputs, work, parts, suffix=suffix, suffixes=frozenset({SUFFIX}), **batch)
