"""The options that several commands share, and what each of them says in `--help`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from caecodec.command.room import leave_room
from caecodec.command.terminal import DEBUG
from caecodec.limits import DEFAULT_LIMITS, Limits

F = TypeVar("F", bound=Callable[..., Any])


def _joined(*options: Callable[[F], F]) -> Callable[[F], F]:
    def apply(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


def _flag_debug(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().meta[DEBUG] = True


debug_option = click.option(
    "--debug", is_flag=True, expose_value=False, is_eager=True, callback=_flag_debug, help="Show tracebacks of errors."
)
reporting_options = _joined(
    click.option("--quiet", is_flag=True, help="Print nothing but errors."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object per file on standard output."),
    debug_option,
)
many_files_options = _joined(
    click.argument("inputs", nargs=-1, required=True, metavar="INPUT..."),
    click.option("-o", "--output", metavar="FILE", help="Output file; - is standard output."),
    click.option("--output-dir", metavar="DIR", help="Folder for outputs; made where it is missing."),
    click.option("-r", "--recursive", is_flag=True, help="Take every suitable file in folders."),
    click.option("-f", "--force", is_flag=True, help="Overwrite existing outputs."),
    click.option("--skip-existing", is_flag=True, help="Leave inputs whose output exists."),
    click.option("-j", "--jobs", type=click.IntRange(1, 1024), help="Files done side by side.  [default: cores]"),
    click.option("--manifest", metavar="FILE.jsonl", help="What is done, a row a file; a second run goes on there."),
    click.option("--ray", metavar="ADDRESS", help="On a cluster of Ray: its address, auto, or local."),
)
_SCALES = {"1": 1.0, "1/2": 1 / 2, "1/4": 1 / 4, "1/8": 1 / 8, "1/16": 1 / 16}


def _region(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int, int, int] | None:
    """Four numbers with commas."""
    if value is None:
        return None
    parts = value.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise click.BadParameter(f"{value!r} is not LEFT,TOP,RIGHT,BOTTOM in pixels", context, parameter)
    left, top, right, bottom = (int(part) for part in parts)
    return left, top, right, bottom


view_options = _joined(
    click.option("--region", callback=_region, metavar="L,T,R,B", help="Part of the picture, in its pixels."),
    click.option(
        "--scale",
        type=click.Choice(list(_SCALES)),
        default="1",
        show_default=True,
        callback=lambda _context, _parameter, value: _SCALES[value],
        help="Smaller; 1/8 and 1/16 are quick.",
    ),
    click.option(
        "--depth",
        type=click.Choice(["8", "16"]),
        default="8",
        show_default=True,
        callback=lambda _context, _parameter, value: int(value),
        help="Bits of a sample; 16 in PNG, TIFF and PPM.",
    ),
)


def _as_limits(command: F) -> F:
    """Options --max-pixels and --max-memory -> the argument `limits`."""

    @functools.wraps(command)
    def call(*args: Any, max_pixels: int | None, max_memory: int | None, **options: Any) -> Any:
        leave_room()
        memory = DEFAULT_LIMITS.memory if max_memory is None else max_memory << 20
        if max_pixels is None:
            return command(*args, limits=Limits(memory=memory), **options)
        # who names a size means it, however few the bytes are
        return command(*args, limits=Limits(pixels=max_pixels, blank_pixels=max_pixels, memory=memory), **options)

    return call  # type: ignore[return-value]


limits_options = _joined(
    click.option("--max-pixels", type=click.IntRange(min=1), help="Refuse larger pictures."),
    click.option("--max-memory", type=click.IntRange(min=1), metavar="MIB", help="Refuse what would take more."),
    _as_limits,
)
machine_options = _joined(
    click.option("--engine", default="auto", show_default=True, help="auto, native, numpy or torch."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
    click.option("--precision", default="auto", show_default=True, help="auto, float32 or bfloat16."),
    limits_options,
)
