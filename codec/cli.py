"""The command `caecodec`. Only this module exits; everything heavy is imported inside the commands."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from caecodec import __version__, files
from caecodec.errors import CaecodecError, FileSystemError, UsageError
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.terminal import DEBUG, ProgressLine, ReportedError, each, interruptible, report, settle, warn

F = TypeVar("F", bound=Callable[..., Any])
Outcome = tuple[files.Job, bytes | Exception, dict[str, Any]]  # an output or what went wrong, and facts of it


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def apply(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


def _flag_debug(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().meta[DEBUG] = True


_debug = click.option(
    "--debug", is_flag=True, expose_value=False, is_eager=True, callback=_flag_debug, help="Show tracebacks of errors."
)
_reporting = _options(
    click.option("--quiet", is_flag=True, help="Print nothing but errors."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object per file on standard output."),
    _debug,
)
_many_files = _options(
    click.argument("inputs", nargs=-1, required=True, metavar="INPUT..."),
    click.option("-o", "--output", metavar="FILE", help="Output file; - is standard output."),
    click.option("--output-dir", metavar="DIR", help="Folder for outputs; made where it is missing."),
    click.option("-r", "--recursive", is_flag=True, help="Take every suitable file in folders."),
    click.option("-f", "--force", is_flag=True, help="Overwrite existing outputs."),
    click.option("--skip-existing", is_flag=True, help="Leave inputs whose output exists."),
)
_max_pixels = click.option(
    "--max-pixels", type=click.IntRange(min=1), default=DEFAULT_LIMITS.pixels, help="Refuse larger pictures."
)
_machine = _options(
    click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
    click.option("--precision", default="auto", show_default=True, help="auto, float32 or bfloat16."),
    _max_pixels,
)


class _Commands(click.Group):
    """The commands of this module, and `bench` and `compare`, which are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted((*super().list_commands(ctx), "bench", "compare"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "bench":
            from caecodec.bench.cli import bench

            return bench
        if cmd_name == "compare":
            from caecodec.bench.compare_cli import compare

            return compare
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="caecodec")
@_debug
def caecodec() -> None:
    """A learned image codec: pictures to small .cae files and back."""


@caecodec.command()
@_many_files
@click.option("-q", "--quality", type=int, help="1 (smallest) to 100 (best).  [default: 50]")
@click.option("--target-size", metavar="SIZE", help="Best quality within this size: 40kB, 1.5MB.")
@click.option("--target-bpp", type=float, help="Best quality within this many bits per pixel.")
@click.option("--target-psnr", type=float, help="Smallest file with at least this PSNR in dB.")
@click.option("--effort", type=int, default=2, show_default=True, help="1 (quick) to 9 (minutes a picture).")
@click.option("--strip", is_flag=True, help="Drop EXIF, ICC and XMP.")
@click.option("--model", help="Name, id or .safetensors file of the model.")
@_machine
@_reporting
def encode(
    inputs: tuple[str, ...],
    quality: int | None,
    target_size: str | None,
    target_bpp: float | None,
    target_psnr: float | None,
    effort: int,
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
    caecodec encode img.png --effort 6           a better picture a byte; Ctrl-C takes the best so far
    caecodec encode - -o - < img.png > img.cae
    """
    if sum(t is not None for t in (target_size, target_bpp, target_psnr, quality)) > 1:
        raise UsageError("give one of --quality, --target-size, --target-bpp and --target-psnr")
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality {quality}: choose a whole number from 1 to 100")
    if not 1 <= effort <= 9:
        raise UsageError(f"effort {effort}: choose a whole number from 1 to 9")
    limits = Limits(pixels=max_pixels)
    if model is not None and (batch["recursive"] or len(inputs) > 1):
        _leave_cores_to_batches(model)
    from caecodec import pixels, rate

    size = None if target_size is None else rate.parse_size(target_size)
    aimed = any(t is not None for t in (size, target_bpp, target_psnr))
    target = rate.Target(size, target_bpp, target_psnr) if aimed else None

    def read(job: files.Job) -> tuple[int, Any]:
        data = files.read_bytes(job.source)
        picture = pixels.open_picture(data, limits, keep_metadata=not strip)
        for note in picture.notes:
            if not batch["quiet"]:
                warn(f"{job.source}: {note}")
        return len(data), picture

    def facts(picture: Any, encoded: bytes, used: int, size: int) -> dict[str, Any]:
        from caecodec import container

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
            from caecodec import codec  # torch: not before the first picture is known to be one

            try:
                coder = codec.open_codec(model, device, precision)
            except Exception as exc:
                yield job, exc, {}
                continue
            rest = itertools.chain([(job, reading)], readings)
            yield from together(coder, rest) if target is None and coder.batch > 1 else one_by_one(coder, rest)

    def one_by_one(coder: Any, readings: Iterable[tuple[files.Job, Any]]) -> Iterator[Outcome]:
        from caecodec import base

        for job, reading in readings:
            start = time.perf_counter()
            try:
                if isinstance(reading, Exception):
                    raise reading
                size, picture = reading
                line = ProgressLine(job.source, enabled=not batch["quiet"])
                with line as progress, interruptible(enabled=effort > 2) as interrupted:
                    how = base.Effort(effort, interrupted)
                    if target is not None:
                        found = rate.encode_to_target(coder, picture, target, progress.update, how)
                        encoded, used = found.data, found.quality
                    else:
                        used = quality or 50
                        encoded = coder.encode(picture, used, progress.update, how)
            except Exception as exc:
                yield job, exc, {}
            else:
                yield job, encoded, facts(picture, encoded, used, size) | {"seconds": time.perf_counter() - start}
                if interrupted():
                    warn(f"{job.source}: interrupted; the best so far is written")
                    raise KeyboardInterrupt

    def together(coder: Any, readings: Iterable[tuple[files.Job, Any]]) -> Iterator[Outcome]:
        from caecodec import batch as batches

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
        used, count = quality or 50, 0
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

    _run_batch(inputs, many, line, suffix=".cae", suffixes=files.PICTURE_SUFFIXES, **batch)


@caecodec.command()
@_many_files
@click.option("--format", "suffix", default=".png", show_default=True, help="Output suffix where -o does not say.")
@_machine
@_reporting
def decode(inputs: tuple[str, ...], suffix: str, device: str, precision: str, max_pixels: int, **batch: Any) -> None:
    """Decode .cae files to pictures (.png, or what the output's suffix says)."""
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    output = batch["output"]
    kind = suffix if output is None or files.is_stream(output) else Path(output).suffix
    limits = Limits(pixels=max_pixels)
    from caecodec import pixels

    pixels.check_suffix(kind)

    def parse_each(jobs: Iterable[files.Job]) -> Iterator[tuple[tuple[files.Job, int], Any]]:
        from caecodec import container

        for job in jobs:
            try:
                data = files.read_bytes(job.source)
                yield (job, len(data)), container.parse(data, limits)  # a bad file is refused before torch is imported
            except Exception as exc:
                yield (job, 0), exc

    def opened(model_id: bytes) -> Any:
        from caecodec import codec

        return codec.open_codec(model_id, device, precision)

    def alone(coder: Any, key: tuple[files.Job, int], parsed: Any) -> Any:
        with ProgressLine(key[0].source, enabled=not batch["quiet"]) as progress:
            return coder.decode(parsed, progress.update)

    def many(jobs: Sequence[files.Job]) -> Iterator[Outcome]:
        from caecodec import batch as batches

        start = time.perf_counter()
        for (job, size), made in batches.decoded(parse_each(jobs), opened, alone):
            try:
                if isinstance(made, Exception):
                    raise made
                saved = pixels.saved(made, kind)
            except Exception as exc:
                yield job, exc, {}
            else:
                seconds = time.perf_counter() - start
                sizes = {"width": made.width, "height": made.height, "bytes": len(saved), "input_bytes": size}
                yield job, saved, sizes | {"seconds": seconds}
            start = time.perf_counter()

    def line(r: dict[str, Any]) -> str:
        return f"{r['width']}x{r['height']}  {r['bytes']} bytes  {r['seconds']:.2f} s"

    _run_batch(inputs, many, line, suffix=suffix, suffixes=frozenset({files.SUFFIX}), **batch)


@caecodec.command()
@click.argument("inputs", nargs=-1, required=True, metavar="FILE...")
@_max_pixels
@_reporting
def info(inputs: tuple[str, ...], max_pixels: int, quiet: bool, as_json: bool) -> None:
    """Show what .cae files say about themselves, without decoding them."""

    def one(source: str) -> None:
        from caecodec import record

        facts = record.info(files.read_bytes(source), Limits(pixels=max_pixels))
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


@caecodec.command()
@click.argument("inputs", nargs=-1, required=True, metavar="FILE...")
@_max_pixels
@_reporting
def verify(inputs: tuple[str, ...], max_pixels: int, quiet: bool, as_json: bool) -> None:
    """Check that .cae files are whole and decode exactly; writes nothing."""

    def one(source: str) -> None:
        from caecodec import container

        data = files.read_bytes(source)
        limits = Limits(pixels=max_pixels)
        container.parse(data, limits)
        from caecodec import codec

        codec.verify(data, limits)
        if as_json:
            click.echo(json.dumps({"file": source, "ok": True}))
        elif not quiet:
            click.echo(f"{source}: ok")

    each(inputs, one)


@caecodec.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per model.")
@click.option("--card", metavar="NAME", help="Print the card of one model.")
@_debug
def models(as_json: bool, card: str | None) -> None:
    """List the installed models."""
    from caecodec.models import zoo

    if card is not None:
        click.echo(zoo.find(card).card or f"{card} has no card")
        return
    for error in zoo.everything()[1]:
        warn(str(error))
    for model in zoo.installed():
        facts = {
            "name": model.name,
            "id": model.id.hex(),
            "bytes": model.size_bytes,
            "description": model.description,
            "data": model.summary.get("data", ""),
            "quality": model.summary.get("quality", ""),
            "path": str(model.path),
            "default": model.name == zoo.DEFAULT_MODEL,
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


@caecodec.command()
@click.argument("inputs", nargs=-1, required=True, metavar="PICTURE...")
@click.option("-o", "--output", metavar="FILE.npz", required=True, help="Where to write the arrays.")
@click.option("-r", "--recursive", is_flag=True, help="Take every picture in folders.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing output.")
@click.option("--model", help="Name, id or .safetensors file of the model.")
@_machine
@_debug
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
    from caecodec import pixels

    names = [source for source, _ in files.find_inputs(inputs, recursive, files.PICTURE_SUFFIXES)]
    if not force and not files.is_stream(output) and os.path.lexists(output):
        raise FileSystemError(f"{output} exists; -f overwrites it")
    limits = Limits(pixels=max_pixels)
    found: list[Any] = []
    good: list[str] = []

    def one(name: str) -> None:
        picture = pixels.open_picture(files.read_bytes(name), limits, keep_metadata=False)
        from caecodec import codec

        coder = codec.open_codec(model, device, precision)
        coder.check(picture)
        waiting.append(picture)
        good.append(name)
        if len(waiting) >= coder.batch:
            flush()

    def flush() -> None:
        from caecodec import codec

        if waiting:
            found.extend(codec.open_codec(model, device, precision).features(waiting))
            waiting.clear()

    waiting: list[Any] = []
    try:
        each(names, one)
    finally:  # those that can be read are written whatever the others are
        flush()
        if found:
            from caecodec import codec

            same = len({y.shape for y in found}) == 1
            arrays = codec.packed({"y": found} if same else {f"y{i}": y for i, y in enumerate(found)}, good)
            files.write_atomically(output, arrays, overwrite=force)
            shape = "x".join(map(str, found[0].shape)) if same else "several sizes"
            click.echo(f"{output}: {len(found)} pictures, y of {shape}", err=files.is_stream(output))


@caecodec.command()
@click.argument("recipe")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), help="Run folder.  [default: runs/NAME]")
@click.option("--data", multiple=True, metavar="PATH", help="Train on these instead; a data set as NAME=PATH.")
@click.option("--validation", multiple=True, metavar="PATH", help="Validate on these instead.")
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="End after so long, the schedule finished."
)
@click.option("--resume", is_flag=True, help="Continue the run in the folder.")
@click.option("--from", "start", type=click.Path(path_type=Path), help="Start from the weights of a checkpoint.")
@click.option("--decoder-only", is_flag=True, help="Keep the encoder, train the rest on latents as they are coded.")
@click.option("--drawn", is_flag=True, help="Train an autoencoder of the literature as drawn: floats, no codec.")
@click.option("--without", default="", metavar="CLASS", help="Leave a class of the data set out.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="cpu or cuda.  [default: cuda where there is one]")
@click.option("--compile/--no-compile", "compile_model", default=None, help="torch.compile.  [default: on CUDA]")
@click.option("--seed", type=int, help="Other than the recipe's.")
@_debug
def train(recipe: str, folder: Path | None, data: tuple[str, ...], validation: tuple[str, ...], **options: Any) -> None:
    """Train a model by a RECIPE (a .toml file, or the name of one that ships)."""
    from caecodec.models import train as training

    training.run_recipe(recipe, folder, data, validation, **options)


@caecodec.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), required=True, help="Folder for the model.")
@click.option("--name", help="Name of the model.  [default: the recipe's]")
@click.option("--data", default="", help="One line on what it was trained on, for `caecodec models`.")
@click.option("--measured", default="", help="One line on its measured quality, for `caecodec models`.")
@click.option("--fit", metavar="PATH", help="Photographs to fit the frequency tables to; not those of --check.")
@click.option("--check", "check", metavar="PATH", help="Pictures to compare integer and float bits on.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing model.")
@_debug
def export(
    checkpoint: Path,
    folder: Path,
    name: str | None,
    data: str,
    measured: str,
    fit: str | None,
    check: str | None,
    force: bool,
) -> None:
    """Turn a training CHECKPOINT into a model that encode and decode can use."""
    from caecodec.models import export as exporting

    summary, to_fit = {"data": data, "quality": measured}, Path(fit) if fit else None
    path = exporting.export(checkpoint, folder, name, summary, overwrite=force, fit=to_fit)
    click.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    for cost in exporting.check(checkpoint, Path(check)) if check else ():
        bits = f"{cost.float_bits:.0f} bits in float, {cost.integer_bits:.0f} in integers"
        click.echo(f"quality {cost.quality}: {bits} ({100 * cost.growth:+.3f} %)")


def _leave_cores_to_batches(model: str) -> None:
    """Let a matrix product take one core where batches of small pictures run side by side, before numpy is imported.

    Products that small are done sooner than a second thread has woken: with both, a batch took half as long again.
    """
    from caecodec.models import zoo

    with contextlib.suppress(CaecodecError):  # reported for each file
        if zoo.find(model).family != "photo":
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


# -- running --------------------------------------------------------------------------------------------------------


_MANY = 100  # files, from which on their rate is of interest
_SLOW_SECONDS = 0.02  # for one file: it is written at once
_GATHER_SECONDS = 0.5  # finished files wait this long at most for others to be written with them


def _run_batch(
    inputs: tuple[str, ...],
    many: Callable[[Sequence[files.Job]], Iterator[Outcome]],
    line: Callable[[dict[str, Any]], str],
    *,
    suffix: str,
    suffixes: frozenset[str],
    output: str | None,
    output_dir: str | None,
    recursive: bool,
    force: bool,
    skip_existing: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Plan the jobs, let `many` do them, write and report what it makes."""
    jobs = files.plan(
        inputs, recursive=recursive, output=output, output_dir=output_dir, suffix=suffix, suffixes=suffixes
    )
    to_stream = any(files.is_stream(job.target) for job in jobs)
    start = time.perf_counter()
    written = 0

    def write(waiting: list[tuple[files.Job, bytes, dict[str, Any]]]) -> Iterator[tuple[str, Exception | None]]:
        nonlocal written
        outputs = [(job.target, data) for job, data, _ in waiting]
        done = files.write_many(outputs, overwrite=force, make_folders=output_dir is not None)
        for (job, _, facts), (_, failure) in zip(waiting, done, strict=True):
            if failure is None:
                written += 1
                result = {"input": job.source, "output": job.target} | facts
                if as_json:
                    click.echo(json.dumps(result), err=to_stream)
                elif not quiet:
                    click.echo(f"{job.target}: {line(result)}", err=to_stream)
            yield job.source, failure
        waiting.clear()

    def outcomes() -> Iterator[tuple[str, Exception | None]]:
        todo = []
        for job in jobs:
            if force or files.is_stream(job.target) or not os.path.lexists(job.target):
                todo.append(job)
            elif not skip_existing:
                hint = "-f overwrites it, --skip-existing leaves it"
                yield job.source, FileSystemError(f"{job.target} exists; {hint}")
            else:
                if not quiet:
                    click.echo(f"{job.target}: exists, skipped", err=True)
                yield job.source, None
        waiting: list[tuple[files.Job, bytes, dict[str, Any]]] = []
        gathering = time.perf_counter()
        try:
            for job, made, facts in many(todo):
                if isinstance(made, Exception):
                    yield job.source, made
                    continue
                waiting.append((job, made, facts))
                slow = facts["seconds"] > _SLOW_SECONDS or time.perf_counter() - gathering > _GATHER_SECONDS
                if len(todo) == 1 or slow:
                    yield from write(waiting)
                    gathering = time.perf_counter()
        except BaseException:  # interrupted, here or where this is consumed: what is done is kept
            list(write(waiting))
            raise
        yield from write(waiting)

    try:
        settle(outcomes())
    finally:
        if written >= _MANY and not quiet and not as_json:
            seconds = time.perf_counter() - start
            click.echo(f"{written} files in {seconds:.1f} s, {written / seconds:.0f} a second", err=True)


def _status(arguments: list[str]) -> int:
    """Run the command; its exit status."""
    try:
        done = caecodec.main(args=arguments, prog_name="caecodec", standalone_mode=False)
        return done if isinstance(done, int) else 0
    except ReportedError as exc:
        return exc.code
    except (click.Abort, KeyboardInterrupt):
        click.echo("caecodec: interrupted", err=True)
        return 130
    except SystemExit:  # click's answer to a closed pipe
        return FileSystemError.exit_code
    except click.exceptions.NoArgsIsHelpError as exc:
        exc.show()
        return 2
    except click.ClickException as exc:
        context = getattr(exc, "ctx", None)
        path = context.command_path if context else "caecodec"
        text = " ".join(exc.format_message().split())
        click.echo(f"caecodec: error: {text} ({path} --help shows the options)", err=True)
        return UsageError.exit_code
    except Exception as exc:
        if "--debug" in arguments:
            traceback.print_exc()
        return report(None, exc)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point: run the command and exit with its status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold what a terminal cannot show
    code = _status(list(sys.argv[1:] if argv is None else argv))
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        # nobody reads standard output any more: keep the interpreter from trying again, and from saying so, at exit
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or FileSystemError.exit_code
    sys.exit(code)
