"""The command `caecodec`. Only this module exits; everything heavy is imported inside the commands."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from caecodec import __version__
from caecodec.command import decode, desktop, encode, latents, look, pack, train
from caecodec.command.options import debug_option
from caecodec.command.terminal import ReportedError, report
from caecodec.errors import FileSystemError, UsageError


class _Commands(click.Group):
    """The commands of the codec, and `bench`, `compare` and `view`, which are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted((*super().list_commands(ctx), "bench", "compare", "view"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "bench":
            from caecodec.bench.command.bench import bench

            return bench
        if cmd_name == "compare":
            from caecodec.bench.command.compare import compare

            return compare
        if cmd_name == "view":
            from caecodec.bench.command.view import view

            return view
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="caecodec")
@debug_option
def caecodec() -> None:
    """A learned image codec: pictures to small .cae files and back."""


for _command in (
    *(encode.encode, decode.decode, latents.latents, pack.pack),
    *(look.info, look.verify, look.models),
    *(train.train, train.export),
    *(desktop.desktop, desktop.thumbnail, desktop.completion, desktop.man),
):
    caecodec.add_command(_command)


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
    except SystemExit as exc:  # click's answer to a closed pipe, and to a shell that completes a word
        return FileSystemError.exit_code if exc.code else 0
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
