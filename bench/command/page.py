"""The command `caecodec bench report`."""

from __future__ import annotations

from pathlib import Path

import click

from caecodec.bench.command.terminal import Bar, hold_to_one_thread, names_of, output_option
from caecodec.errors import UsageError


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="RESULTS.json...", type=click.Path(path_type=Path))
@output_option("report.html", None)
@click.option(
    "--pictures",
    multiple=True,
    metavar="DIR_OR_FILE",
    type=click.Path(path_type=Path),
    help="Originals to look at; may be given again.",
)
@click.option("--view", metavar="NAME,...", help="Which of the pictures.  [default: the first two]")
@click.option("--view-codecs", default="caecodec,jpeg,avif", show_default=True, help="Names with commas between.")
@click.option("--view-bpp", type=click.FloatRange(min=0, min_open=True), default=0.3, show_default=True)
def report(
    files: tuple[Path, ...],
    output: Path,
    pictures: tuple[Path, ...],
    view: str | None,
    view_codecs: str,
    view_bpp: float,
) -> None:
    """One HTML page of results of rd, speed, growth and small; it opens from disk and loads nothing."""
    if view is not None and not pictures:
        raise UsageError("--view needs --pictures, where the originals are")
    hold_to_one_thread()  # as the measurements were made
    from caecodec.bench.metrics.bdrate import require_bjontegaard
    from caecodec.bench.page.build import NOTHING_SHOWN, build_page
    from caecodec.bench.page.data import collect
    from caecodec.bench.page.view import make_views
    from caecodec.files.writing import make_folder, write_atomically

    require_bjontegaard()
    data = collect(files)  # what cannot be used is told before pictures are coded
    views = NOTHING_SHOWN
    if pictures:
        names = None if view is None else names_of(view)
        with Bar() as bar:
            views = make_views(pictures, names, names_of(view_codecs), view_bpp, bar.update)
    made = build_page(data, views).encode()
    make_folder(output.parent)
    write_atomically(str(output), made, overwrite=True)
    click.echo(f"{output}: {len(made) / 1e6:.1f} MB")
