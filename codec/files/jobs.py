"""Files: reading, atomic writing, output names, and walking over many inputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from caecodec.errors import UsageError
from caecodec.files.writing import STDIO

SUFFIX = ".cae"
PICTURE_SUFFIXES = frozenset(
    (".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tga", ".tif", ".tiff", ".webp")
)


@dataclass(frozen=True, slots=True)
class Job:
    """One input and its output; '-' stands for the standard streams."""

    source: str
    target: str


def find_inputs(sources: Iterable[str], recursive: bool, suffixes: frozenset[str]) -> Iterator[tuple[str, Path | None]]:
    """Each file to do, and the folder it was found in (None where it was named itself). Raises UsageError."""
    for source in sources:
        path = Path(source)
        if source == STDIO or not os.path.isdir(source):  # noqa: PTH112 (Path.is_dir raises where a name is too long)
            yield source, None
            continue
        if not recursive:
            raise UsageError(f"{source} is a folder; -r takes the pictures in it")
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
        if not inside:
            raise UsageError(f"{source} holds no {'.cae file' if suffixes == {SUFFIX} else 'picture'}")
        for file in inside:
            yield str(file), path


def plan(
    sources: Iterable[str],
    *,
    recursive: bool,
    output: str | None,
    output_dir: str | None,
    suffix: str,
    suffixes: frozenset[str],
) -> list[Job]:
    """Inputs -> jobs, checked as a whole before anything is written. Raises UsageError.

    Without `output` or `output_dir` the output lies beside its input. A folder's structure is kept under `output_dir`.
    """
    found = list(find_inputs(sources, recursive, suffixes))
    if output is not None and output_dir is not None:
        raise UsageError("give either --output or --output-dir")
    if output is not None and len(found) != 1:
        raise UsageError(f"--output names one file and there are {len(found)} inputs; use --output-dir")
    jobs = []
    for source, folder in found:
        if output is not None:
            target = output
        elif source == STDIO:
            raise UsageError("standard input needs --output (a file, or - for standard output)")
        elif not Path(source).name:
            raise UsageError(f"{source!r} is not the name of a file")
        else:
            name = Path(source).with_suffix(suffix)
            if output_dir is not None:
                name = Path(output_dir) / (name.relative_to(folder) if folder else name.name)
            target = str(name)
        jobs.append(Job(source, target))
    _check_collisions(jobs)
    return jobs


def _check_collisions(jobs: list[Job]) -> None:
    targets: dict[str, str] = {}
    for job in jobs:
        if job.target == STDIO:
            continue
        key = os.path.realpath(job.target)
        if key in targets:
            raise UsageError(f"{targets[key]} and {job.source} would both be written to {job.target}")
        targets[key] = job.source
    for job in jobs:
        owner = targets.get(os.path.realpath(job.source)) if job.source != STDIO else None
        if owner is not None:
            raise UsageError(f"the output of {owner} would replace the input {job.source}")
