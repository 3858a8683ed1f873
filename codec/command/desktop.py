"""The commands `desktop`, `thumbnail`, `completion` and `man`: what a desktop and a shell ask for."""

from __future__ import annotations

import sys

import click

from caecodec.command.options import debug_option, limits_options
from caecodec.command.terminal import each
from caecodec.desktop import xdg
from caecodec.files import writing
from caecodec.limits import Limits

SHELLS = ("bash", "zsh", "fish")


@click.group(short_help="Let the desktop know .cae files.")
def desktop() -> None:
    """Let a Linux desktop know .cae files: their type, thumbnails in file managers, and a viewer."""


@desktop.command()
@debug_option
def install() -> None:
    """Write what desktops read, below ~/.local/share or $XDG_DATA_HOME."""
    for path in xdg.install((sys.executable, "-m", "caecodec")):
        click.echo(f"wrote {path}")


@desktop.command()
@debug_option
def uninstall() -> None:
    """Remove what `install` wrote."""
    for path in xdg.uninstall():
        click.echo(f"removed {path}")


@click.command(short_help="Make a small PNG of a .cae file.")
@click.argument("source", metavar="INPUT")
@click.argument("target", metavar="OUTPUT")
@click.option("--size", type=click.IntRange(1, 4096), default=256, show_default=True, help="Longer side, at most.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing output.")
@limits_options
@debug_option
def thumbnail(source: str, target: str, size: int, force: bool, limits: Limits) -> None:
    """Make a small PNG of a .cae file, turned as its EXIF says; - is a standard stream."""

    def one(name: str) -> None:
        data = writing.read_bytes(name)
        from caecodec.batch import thumbnails

        writing.write_atomically(target, thumbnails.made(data, size, limits), overwrite=force)

    each([source], one)


@click.command(short_help="Print what completes words in a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what completes commands and options in a SHELL.

    \b
    caecodec completion bash > ~/.local/share/bash-completion/completions/caecodec
    caecodec completion zsh > ~/.zfunc/_caecodec
    caecodec completion fish > ~/.config/fish/completions/caecodec.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "caecodec", "_CAECODEC_COMPLETE").source())


@click.command(short_help="Print the manual page.")
@click.pass_context
def man(context: click.Context) -> None:
    """Print the manual page, made of the texts that --help shows: caecodec man | man -l -"""
    from caecodec.command import manual

    click.echo(manual.page(context.find_root().command), nl=False)
