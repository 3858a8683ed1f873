"""The command `caecodec`. The only module that prints or exits; everything heavy is imported inside the commands."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from caecodec import __version__, files
from caecodec.errors import BatchError, CaecodecError, FileSystemError, LimitError, UsageError
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.terminal import ProgressLine

F = TypeVar("F", bound=Callable[..., Any])


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def apply(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


def _flag_debug(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().meta["caecodec.debug"] = True


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
_machine = _options(
    click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
    click.option("--precision", default="auto", show_default=True, help="auto, float32 or bfloat16."),
    click.option("--max-pixels", type=int, default=DEFAULT_LIMITS.pixels, help="Refuse larger pictures."),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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
    caecodec encode - -o - < img.png > img.cae
    """
    targets = [target_size, target_bpp, target_psnr]
    if sum(t is not None for t in (*targets, quality)) > 1:
        raise UsageError("give one of --quality, --target-size, --target-bpp and --target-psnr")
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality {quality}: choose a whole number from 1 to 100")
    limits = Limits(pixels=max_pixels)

    def one(job: files.Job, progress: ProgressLine) -> dict[str, Any]:
        from caecodec import codec, pixels, rate

        size = None if target_size is None else rate.parse_size(target_size)
        data = files.read_bytes(job.source)
        picture = pixels.open_picture(data, limits)
        if strip:
            picture = codec.without_metadata(picture)
        for note in picture.notes:
            _warn(f"{job.source}: {note}")
        coder = codec.open_codec(model, device, precision)
        used = quality or 50
        if any(t is not None for t in targets):
            target = rate.Target(size, target_bpp, target_psnr)
            found = rate.encode_to_target(coder, picture, target, progress.update)
            encoded, used = found.data, found.quality
        else:
            encoded = coder.encode(picture, used, progress.update)
        files.write_atomically(job.target, lambda stream: stream.write(encoded), overwrite=batch["force"])
        count = picture.width * picture.height
        return {
            "width": picture.width,
            "height": picture.height,
            "quality": used,
            "bytes": len(encoded),
            "bpp": 8 * len(encoded) / count,
            "input_bytes": len(data),
        }

    def line(r: dict[str, Any]) -> str:
        return (
            f"{r['width']}x{r['height']}  q{r['quality']}  {r['bytes']} bytes  {r['bpp']:.3f} bpp"
            f"  {100 * r['bytes'] / r['input_bytes']:.1f} % of the input  {r['seconds']:.2f} s"
        )

    _run_batch(inputs, one, line, suffix=".cae", suffixes=files.PICTURE_SUFFIXES, **batch)


@caecodec.command()
@_many_files
@click.option("--format", "suffix", default=".png", show_default=True, help="Output suffix where -o does not say.")
@_machine
@_reporting
def decode(inputs: tuple[str, ...], suffix: str, device: str, precision: str, max_pixels: int, **batch: Any) -> None:
    """Decode .cae files to pictures (.png, or what the output's suffix says)."""
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    limits = Limits(pixels=max_pixels)

    def one(job: files.Job, progress: ProgressLine) -> dict[str, Any]:
        from caecodec import container

        data = files.read_bytes(job.source)
        container.parse(data, limits)  # a bad file is refused before torch is imported
        from caecodec import codec, pixels

        kind = suffix if job.target == files.STDIO else Path(job.target).suffix
        if kind.lower() not in pixels.SAVE_OPTIONS:
            raise UsageError(
                f"cannot write {kind or 'a file without a suffix'}; choose {', '.join(pixels.SAVE_OPTIONS)}"
            )
        picture = codec.decode(data, device, precision, limits, progress.update)
        buffered = pixels.saved(picture, kind)
        files.write_atomically(job.target, lambda stream: stream.write(buffered), overwrite=batch["force"])
        return {"width": picture.width, "height": picture.height, "bytes": len(buffered), "input_bytes": len(data)}

    def line(r: dict[str, Any]) -> str:
        return f"{r['width']}x{r['height']}  {r['bytes']} bytes  {r['seconds']:.2f} s"

    _run_batch(inputs, one, line, suffix=suffix, suffixes=frozenset({files.SUFFIX}), **batch)


@caecodec.command()
@click.argument("inputs", nargs=-1, required=True, metavar="FILE...")
@_reporting
def info(inputs: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Show what .cae files say about themselves, without decoding them."""

    def one(source: str) -> None:
        from caecodec import record

        facts = record.info(files.read_bytes(source))
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

    _each(inputs, one)


@caecodec.command()
@click.argument("inputs", nargs=-1, required=True, metavar="FILE...")
@_reporting
def verify(inputs: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Check that .cae files are whole and decode exactly; writes nothing."""

    def one(source: str) -> None:
        from caecodec import container

        data = files.read_bytes(source)
        container.parse(data)
        from caecodec import codec

        codec.verify(data)
        if as_json:
            click.echo(json.dumps({"file": source, "ok": True}))
        elif not quiet:
            click.echo(f"{source}: ok")

    _each(inputs, one)


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
        click.echo(f"{model.name}  {facts['id']}  {model.size_bytes / 1e6:.1f} MB{mark}")
        for key in ("description", "data", "quality"):
            if facts[key]:
                click.echo(f"  {facts[key]}")


@caecodec.command()
@click.argument("recipe")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), help="Run folder.  [default: runs/NAME]")
@click.option("--data", multiple=True, metavar="PATH", help="Train on these folders, tars or pictures instead.")
@click.option("--validation", multiple=True, metavar="PATH", help="Validate on these instead.")
@click.option("--minutes", type=float, help="End after so long, the schedule finished.")
@click.option("--resume", is_flag=True, help="Continue the run in the folder.")
@click.option("--from", "start", type=click.Path(path_type=Path), help="Start from the weights of a checkpoint.")
@click.option("--device", help="cpu or cuda.  [default: cuda where there is one]")
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
@_debug
def export(checkpoint: Path, folder: Path, name: str | None) -> None:
    """Turn a training CHECKPOINT into a model that encode and decode can use."""
    from caecodec.models import export as exporting

    path = exporting.export(checkpoint, folder, name)
    click.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


# -- running --------------------------------------------------------------------------------------------------------


def _warn(message: str) -> None:
    click.echo(f"caecodec: warning: {message}", err=True)


def _report(source: str | None, error: BaseException) -> int:
    """One line on standard error; the exit code."""
    where = f"{source}: " if source else ""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError):
        error = LimitError("out of memory")
    if isinstance(error, CaecodecError):
        click.echo(f"caecodec: error: {where}{text}", err=True)
        return error.exit_code
    click.echo(
        f"caecodec: internal error: {where}{type(error).__name__}: {text} (a bug; --debug shows where)", err=True
    )
    return 1


def _debugging() -> bool:
    return bool(click.get_current_context().find_root().meta.get("caecodec.debug"))


def _each(sources: Sequence[str], work: Callable[[str], None]) -> None:
    """Do `work` for every source, going on after a failure, and exit with the status that says so."""
    codes = []
    for source in sources:
        try:
            work(source)
        except Exception as exc:
            if _debugging():
                traceback.print_exc()
            codes.append(_report(source, exc))
    if codes and len(sources) == 1:
        raise _ReportedError(codes[0])
    if codes:
        raise BatchError(f"{len(codes)} of {len(sources)} inputs failed")


class _ReportedError(Exception):
    """Leave with a status; the error has been reported."""

    def __init__(self, code: int) -> None:
        self.code = code


def _run_batch(
    inputs: tuple[str, ...],
    one: Callable[[files.Job, ProgressLine], dict[str, Any]],
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
    jobs = files.plan(
        inputs, recursive=recursive, output=output, output_dir=output_dir, suffix=suffix, suffixes=suffixes
    )
    by_source = {job.source: job for job in jobs}
    to_stdout = any(job.target == files.STDIO for job in jobs)

    def work(source: str) -> None:
        job = by_source[source]
        if job.target != files.STDIO and Path(job.target).exists():
            if skip_existing:
                if not quiet:
                    click.echo(f"{job.target}: exists, skipped", err=True)
                return
            if not force:
                raise FileSystemError(f"{job.target} exists; -f overwrites it, --skip-existing leaves it")
        if output_dir is not None:
            files.make_folder(Path(job.target).parent)
        start = time.perf_counter()
        with ProgressLine(source, enabled=not quiet) as progress:
            result = one(job, progress)
        result = {"input": source, "output": job.target} | result | {"seconds": time.perf_counter() - start}
        if as_json:
            click.echo(json.dumps(result), err=to_stdout)
        elif not quiet:
            click.echo(f"{job.target}: {line(result)}", err=to_stdout)

    _each([job.source for job in jobs], work)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point: run the command and exit with its status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        caecodec.main(args=arguments, prog_name="caecodec", standalone_mode=False)
        sys.exit(0)
    except _ReportedError as exc:
        sys.exit(exc.code)
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except click.Abort:
        click.echo("caecodec: interrupted", err=True)
        sys.exit(130)
    except KeyboardInterrupt:
        click.echo("caecodec: interrupted", err=True)
        sys.exit(130)
    except click.ClickException as exc:
        exc.show()
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads on; say nothing more
        sys.exit(7)
    except Exception as exc:
        if "--debug" in arguments:
            traceback.print_exc()
        sys.exit(_report(None, exc))
