"""The commands that turn pictures into .cae files and back: `encode` and `decode`."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from caecodec.command.batch import Outcome, run_batch
from caecodec.command.options import machine_options, many_files_options, reporting_options
from caecodec.command.terminal import ProgressLine, interruptible, warn
from caecodec.errors import CaecodecError, UsageError
from caecodec.files import jobs as files
from caecodec.files import writing
from caecodec.limits import Limits
from caecodec.search.effort import DEFAULT_QUALITY, TUNES, Effort, Tune


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
    model: str | None,
    device: str,
    precision: str,
    max_pixels: int,
    **batch: Any,
) -> None:
    """Encode pictures to .cae files.

    \b
    caecodec encode img.png                      writes img.cae
    caecodec encode photos/ -r --output-dir out/ -q 60
    caecodec encode img.png --effort 6           better quality for the same bytes; Ctrl-C takes the best so far
    caecodec encode - -o - < img.png > img.cae
    """
    if sum(t is not None for t in (target_size, target_bpp, target_psnr, target_ssimulacra2, quality)) > 1:
        names = "--quality, --target-size, --target-bpp, --target-psnr and --target-ssimulacra2"
        raise UsageError(f"give one of {names}")
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality {quality}: choose a whole number from 1 to 100")
    if not 1 <= effort <= 9:
        raise UsageError(f"effort {effort}: choose a whole number from 1 to 9")
    limits = Limits(pixels=max_pixels)
    if model is not None and (batch["recursive"] or len(inputs) > 1):
        _leave_cores_to_batches(model)
    from caecodec.pictures import pillow
    from caecodec.search import choice
    from caecodec.search import target as rate

    size = None if target_size is None else rate.parse_size(target_size)
    aimed = any(t is not None for t in (size, target_bpp, target_psnr, target_ssimulacra2))
    target = rate.Target(size, target_bpp, target_psnr, target_ssimulacra2) if aimed else None

    def read(job: files.Job) -> tuple[int, Any]:
        data = writing.read_bytes(job.source)
        picture = pillow.open_picture(data, limits, keep_metadata=not strip)
        for note in picture.notes:
            if not batch["quiet"]:
                warn(f"{job.source}: {note}")
        return len(data), picture

    def facts(picture: Any, encoded: bytes, used: int, size: int) -> dict[str, Any]:
        from caecodec.format import container

        return {
            "width": picture.width,
            "height": picture.height,
            "quality": used,
            "lossless": container.is_lossless(encoded),
            "bytes": len(encoded),
            "bpp": 8 * len(encoded) / (picture.width * picture.height),
            "input_bytes": size,
        }

    def read_each(jobs: Iterable[files.Job]) -> Iterator[tuple[files.Job, tuple[int, Any] | Exception]]:
        for job in jobs:
            try:
                yield job, read(job)
            except Exception as exc:
                yield job, exc

    def many(jobs: Sequence[files.Job]) -> Iterator[Outcome]:
        readings = read_each(jobs)
        for job, reading in readings:
            if isinstance(reading, Exception):
                yield job, reading, {}
                continue
            from caecodec.codecs import opening  # torch: not before the first picture is known to be one

            try:
                coder = opening.open_codec(model, device, precision)
            except Exception as exc:
                yield job, exc, {}
                continue
            rest = itertools.chain([(job, reading)], readings)
            yield from together(coder, rest) if target is None and coder.batch > 1 else one_by_one(coder, rest)

    def one_by_one(coder: Any, readings: Iterable[tuple[files.Job, Any]]) -> Iterator[Outcome]:
        for job, reading in readings:
            start = time.perf_counter()
            try:
                if isinstance(reading, Exception):
                    raise reading
                size, picture = reading
                line = ProgressLine(job.source, enabled=not batch["quiet"])
                with line as progress, interruptible(enabled=effort > 2) as interrupted:
                    how = Effort(effort, interrupted, tune)
                    if target is not None:
                        found = rate.encode_to_target(coder, picture, target, progress.update, how)
                        encoded, used = found.data, found.quality
                    else:
                        used = quality or DEFAULT_QUALITY
                        encoded = choice.encode(coder, picture, used, progress.update, how)
            except Exception as exc:
                yield job, exc, {}
            else:
                yield job, encoded, facts(picture, encoded, used, size) | {"seconds": time.perf_counter() - start}
                if interrupted():
                    warn(f"{job.source}: interrupted; the best so far is written")
                    raise KeyboardInterrupt

    def together(coder: Any, readings: Iterable[tuple[files.Job, Any]]) -> Iterator[Outcome]:
        from caecodec.batch import together as batches

        def pictures() -> Iterator[tuple[tuple[files.Job, int], Any]]:
            for job, reading in readings:
                try:
                    if isinstance(reading, Exception):
                        raise reading
                    coder.check(reading[1])
                except Exception as exc:
                    yield (job, 0), exc
                else:
                    yield (job, reading[0]), reading[1]

        start = time.perf_counter()
        used, count = quality or DEFAULT_QUALITY, 0
        for (job, size), picture, made in batches.encoded(coder, pictures(), used):
            if isinstance(made, Exception):
                yield job, made, {}
                continue
            count += 1  # many are done at once: what each took is the mean so far
            yield job, made, facts(picture, made, used, size) | {"seconds": (time.perf_counter() - start) / count}

    def line(r: dict[str, Any]) -> str:
        return (
            f"{r['width']}x{r['height']}  {'lossless' if r['lossless'] else 'q' + str(r['quality'])}"
            f"  {r['bytes']} bytes  {r['bpp']:.3f} bpp"
            f"  {100 * r['bytes'] / r['input_bytes']:.1f} % of the input  {r['seconds']:.2f} s"
        )

    run_batch(inputs, many, line, suffix=".cae", suffixes=files.PICTURE_SUFFIXES, **batch)


@click.command()
@many_files_options
@click.option("--format", "suffix", default=".png", show_default=True, help="Output suffix where -o does not say.")
@machine_options
@reporting_options
def decode(inputs: tuple[str, ...], suffix: str, device: str, precision: str, max_pixels: int, **batch: Any) -> None:
    """Decode .cae files to pictures (.png, or what the output's suffix says)."""
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    output = batch["output"]
    kind = suffix if output is None or writing.is_stream(output) else Path(output).suffix
    limits = Limits(pixels=max_pixels)
    from caecodec.pictures import saving

    saving.check_suffix(kind)

    def parse_each(jobs: Iterable[files.Job]) -> Iterator[tuple[tuple[files.Job, int], Any]]:
        from caecodec.format import container

        for job in jobs:
            try:
                data = writing.read_bytes(job.source)
                yield (job, len(data)), container.parse(data, limits)  # a bad file is refused before torch is imported
            except Exception as exc:
                yield (job, 0), exc

    def opened(model_id: bytes) -> Any:
        from caecodec.codecs import opening

        return opening.open_codec(model_id, device, precision)

    def alone(coder: Any, key: tuple[files.Job, int], parsed: Any) -> Any:
        with ProgressLine(key[0].source, enabled=not batch["quiet"]) as progress:
            return coder.decode(parsed, progress.update)

    def many(jobs: Sequence[files.Job]) -> Iterator[Outcome]:
        from caecodec.batch import together as batches

        start = time.perf_counter()
        for (job, size), made in batches.decoded(parse_each(jobs), opened, alone):
            try:
                if isinstance(made, Exception):
                    raise made
                saved = saving.saved(made, kind)
            except Exception as exc:
                yield job, exc, {}
            else:
                seconds = time.perf_counter() - start
                sizes = {"width": made.width, "height": made.height, "bytes": len(saved), "input_bytes": size}
                yield job, saved, sizes | {"seconds": seconds}
            start = time.perf_counter()

    def line(r: dict[str, Any]) -> str:
        return f"{r['width']}x{r['height']}  {r['bytes']} bytes  {r['seconds']:.2f} s"

    run_batch(inputs, many, line, suffix=suffix, suffixes=frozenset({files.SUFFIX}), **batch)


def _leave_cores_to_batches(model: str) -> None:
    """Let a matrix product take one core where batches of small pictures run side by side, before numpy is imported.

    Products that small are done sooner than a second thread has woken: with both, a batch took half as long again.
    """
    from caecodec.zoo import find

    with contextlib.suppress(CaecodecError):  # reported for each file
        if find.find(model).family != "photo":
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
