"""The command `caecodec bench`. Importing it is cheap: the harness is imported inside the commands."""

from __future__ import annotations

import click

from caecodec.bench.command import loader, merge, page, rd, small, timing, words


@click.group()
def bench() -> None:
    """Measure codecs against each other on pictures of yours."""


for _command in (
    *(rd.rd, rd.table, rd.beats, merge.merge),
    *(timing.speed, timing.growth, timing.stages, loader.loader),
    *(small.small, small.latents, small.beside),
    *(words.words, page.report),
):
    bench.add_command(_command)
