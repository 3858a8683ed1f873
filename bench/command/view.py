"""The command `caecodec view`. Importing it is cheap: what makes the page is imported inside the command."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click

from caecodec.command.options import debug_option, limits_options
from caecodec.command.terminal import each
from caecodec.files import writing
from caecodec.limits import Limits


@click.command(short_help="Look at .cae files in the browser.")
@click.argument("inputs", nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--output", metavar="PAGE.html", help="Write the page there, and open nothing.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing page.")
@limits_options
@debug_option
def view(inputs: tuple[str, ...], output: str | None, force: bool, limits: Limits) -> None:
    """Look at .cae files in the browser, or print where their pages are if there is none.

    A page has the picture, what the file says of itself, and a map of where its bits went. It needs nothing else.
    """
    if output is not None and len(inputs) != 1:
        raise click.UsageError(f"--output names one page and there are {len(inputs)} files")

    def one(name: str) -> None:
        data = writing.read_bytes(name)
        from caecodec.bench.viewer import single

        title = Path(name).name
        page = single.page(data, title, limits)
        if output is not None:
            writing.write_atomically(output, page, overwrite=force)
            return
        path = Path(tempfile.mkdtemp(prefix="caecodec-view-"), "page.html")
        writing.write_atomically(str(path), page, overwrite=True)
        if not _opened(path.as_uri()):
            click.echo(path)

    each(inputs, one)


def _opened(address: str) -> bool:
    """Whether a browser was started."""
    windows = sys.platform in ("win32", "darwin") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))
    if not windows and not os.environ.get("BROWSER"):
        return False  # what is left are browsers of text
    import webbrowser

    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
