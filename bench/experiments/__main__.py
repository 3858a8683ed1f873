"""Short runs of equal budget, one change at a time: how the photo model came to be as it is.

    python -m caecodec.bench.experiments run wide-ga --data PHOTOS --validation HELD-OUT -o runs/experiments
    python -m caecodec.bench.experiments cost wide-ga
    python -m caecodec.bench.experiments collect bench/results/experiments.json
    python -m caecodec.bench.experiments table bench/results/experiments.json

Every change is written in `list` with what was expected of it before it was run; docs/EXPERIMENTS.md holds the outcome.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click

from caecodec.bench.experiments.list import find
from caecodec.bench.experiments.run import collect, cost, markdown, train


@click.group(help=__doc__)
def main() -> None:
    """The commands."""


NAMES = click.argument("names", nargs=-1, required=True)
FOLDER = click.option("-o", "--folder", type=click.Path(path_type=Path), default=Path("runs/experiments"))


@main.command("run")
@NAMES
@FOLDER
@click.option("--from", "start", type=click.Path(path_type=Path), help="The trained model that warm runs start from.")
@click.option("--data", multiple=True, metavar="PATH", help="What to train on; may be given again.")
@click.option("--validation", multiple=True, metavar="PATH", help="Pictures to validate on, the same for all runs.")
def run_command(
    names: tuple[str, ...], folder: Path, start: Path | None, data: tuple[str, ...], validation: tuple[str, ...]
) -> None:
    """Train experiments, one process each."""
    if len(names) == 1:
        train(find(names[0]), folder, start, data, validation)
        return
    pictures = [*(w for path in data for w in ("--data", path)), *(w for p in validation for w in ("--validation", p))]
    for name in names:
        options = ["-o", str(folder), *pictures, *(() if start is None else ("--from", str(start)))]
        again = ["run", find(name).name, *options]
        subprocess.run([sys.executable, "-m", "caecodec.bench.experiments", *again], check=True)


@main.command("cost")
@NAMES
@FOLDER
def cost_command(names: tuple[str, ...], folder: Path) -> None:
    """Write what each model costs beside its run: on an idle machine, one process each."""
    if len(names) == 1:
        (folder / names[0]).mkdir(parents=True, exist_ok=True)
        (folder / names[0] / "cost.json").write_text(json.dumps(cost(find(names[0]))), encoding="utf-8")
        return
    for name in names:
        again = ["cost", find(name).name, "-o", str(folder)]
        subprocess.run([sys.executable, "-m", "caecodec.bench.experiments", *again], check=True)


RESULTS = click.argument("results", type=click.Path(path_type=Path, dir_okay=False))


@main.command("collect")
@RESULTS
@FOLDER
def collect_command(results: Path, folder: Path) -> None:
    """Add what finished runs measured to RESULTS, a JSON file."""
    collect(folder, results)


@main.command("table")
@RESULTS
def table_command(results: Path) -> None:
    """Print what RESULTS holds as Markdown."""
    click.echo(markdown(results))


if __name__ == "__main__":
    main()
