"""The command `encode`."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from caecodec.batch.writing import Work
from caecodec.command.batch import one_for_a_gpu, run_batch
from caecodec.command.cores import take_one_core
from caecodec.command.options import machine_options, many_files_options, reporting_options
from caecodec.errors import CaecodecError, UsageError
from caecodec.files.jobs import SUFFIX, picture_suffixes
from caecodec.limits import Limits
from caecodec.search.effort import DEFAULT_QUALITY
from caecodec.tune import TUNES, Tune

if TYPE_CHECKING:
    from caecodec.search.target import Target


@click.command()
@many_files_options
@click.option(
    "-q",
    "--quality",
    type=int,
    help=f"1 (smallest) to 100 (best); about SSIMULACRA2.  [default: {DEFAULT_QUALITY}]",
)
@click.option("--target-size", metavar="SIZE", help="Best quality within this size: 40kB, 1.5MB.")
@click.option("--target-bpp", type=float, help="Best quality within this many bits per pixel.")
@click.option("--target-psnr", type=float, help="Smallest file with at least this PSNR in dB.")
@click.option(
    "--target-ssimulacra2", type=float, help="Smallest file that looks at least so good: 90 flawless, 70 good, 50 fair."
)
@click.option("--effort", type=int, default=2, show_default=True, help="1 (quick) to 9 (minutes a picture).")
@click.option(
    "--tune", type=click.Choice(TUNES), default="eye", show_default=True, help="What errors are measured with."
)
@click.option("--strip", is_flag=True, help="Drop EXIF, ICC and XMP.")
@click.option(
    "--preview/--no-preview",
    default=True,
    help="Keep a thumbnail in files of 4 megapixels and more: 1 % of them at most, none with a target.  [default: yes]",
)
@click.option("--model", help="Name, id or .safetensors file of the model.")
@machine_options
@reporting_options
def encode(
    inputs: tuple[str, ...],
    quality: int | None,
    target_size: str | None,
    target_bpp: float | None,
    target_psnr: float | None,
    target_ssimulacra2: float | None,
    effort: int,
    tune: Tune,
    strip: bool,
    preview: bool,
    model: str | None,
    device: str,
    precision: str,
    engine: str,
    limits: Limits,
    **batch: Any,
) -> None:
    """Encode pictures to .cae files.

    \b
    caecodec encode img.png                      writes img.cae
    caecodec encode photos/ -r --output-dir out/ -q 60
    caecodec encode img.png --effort 6           better; Ctrl-C: the best so far
    caecodec encode - -o - < img.png > img.cae
    """
    if sum(t is not None for t in (target_size, target_bpp, target_psnr, target_ssimulacra2, quality)) > 1:
        names = "--quality, --target-size, --target-bpp, --target-psnr and --target-ssimulacra2"
        raise UsageError(f"give one of {names}")
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality {quality}: choose a whole number from 1 to 100")
    if not 1 <= effort <= 9:
        raise UsageError(f"effort {effort}: choose a whole number from 1 to 9")
    output = batch["output"]
    if output is not None and Path(output).suffix.lower() in picture_suffixes():
        better = output.removesuffix(Path(output).suffix) + SUFFIX
        raise UsageError(f"encode writes {SUFFIX} files: name the output {better}")
    size = None if target_size is None else parse_size(target_size)
    target = _target(size, target_bpp, target_psnr, target_ssimulacra2)
    if model is not None and (batch["recursive"] or len(inputs) > 1):
        _leave_cores_to_batches(model)

    batch["jobs"] = one_for_a_gpu(batch["jobs"], device)

    def work() -> Work:
        from caecodec.batch.encoding import Encoding

        return Encoding(
            quality=DEFAULT_QUALITY if quality is None else quality,
            target=target,
            effort=effort,
            tune=tune,
            model=model,
            device=device,
            precision=precision,
            engine=engine,
            keep_metadata=not strip,
            preview=preview,
            limits=limits,
        )

    run_batch(inputs, work, _parts, suffix=SUFFIX, suffixes=picture_suffixes(), **batch)


def _target(size: int | None, bpp: float | None, psnr: float | None, ssimulacra2: float | None) -> Target | None:
    if all(value is None for value in (size, bpp, psnr, ssimulacra2)):
        return None
    from caecodec.search.target import Target

    return Target(size, bpp, psnr, ssimulacra2)


def _parts(facts: dict[str, Any]) -> list[str]:
    """What a line says of a file, see `run_batch`."""
    return [
        f"{facts['width']}x{facts['height']}",
        "lossless" if facts["lossless"] else f"q{facts['quality']}",
        f"{facts['bytes']} bytes",
        f"{facts['bpp']:.3f} bpp",
        f"{100 * facts['bytes'] / facts['input_bytes']:.1f} % of the input",
        f"{facts['seconds']:.2f} s",
    ]


def parse_size(text: str) -> int:
    """'40kB', '1.5MB', '40KiB', '40000' -> bytes; k is 1000, Ki is 1024. Raises UsageError."""
    units = {"": 1, "b": 1, "k": 1000, "kb": 1000, "m": 10**6, "mb": 10**6, "kib": 1024, "mib": 1024**2}
    stripped = text.strip().lower()
    number = stripped.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = stripped[len(number) :].strip()
    try:
        value = float(number) * units[unit]
    except (KeyError, ValueError) as exc:
        raise UsageError(f"size {text!r}: write it like 40kB, 1.5MB or 40000") from exc
    if not math.isfinite(value) or value < 1:
        raise UsageError(f"size {text!r}: must be at least one byte")
    return int(value)


def _leave_cores_to_batches(model: str) -> None:
    """Let a matrix product take one core where batches of small pictures run side by side."""
    from caecodec.zoo import find
    from caecodec.zoo.families import FAMILIES

    with contextlib.suppress(CaecodecError):  # reported for each file
        family = FAMILIES.get(find.find(model).family)
        if family is not None and family.small:
            take_one_core()
