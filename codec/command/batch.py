"""A batch of files on the command line: planned, done, and told line by line."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

import click

from caecodec.batch.writing import Outcome, written
from caecodec.command.terminal import ProgressLine, interruptible, report_failures, shown, warn
from caecodec.errors import CaecodecError
from caecodec.files import jobs as files
from caecodec.files.jobs import Job
from caecodec.files.writing import is_stream

_MANY = 100  # files, from which on their rate is of interest
_NAME = 12  # characters of a name that stay, however narrow the terminal is
_PARTS = 4  # of a line that stay

Facts = dict[str, Any]


class Teller:
    """A `caecodec.batch.watching.Watcher` on the terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def note(self, source: str, text: str) -> None:
        if not self._quiet:
            warn(f"{shown(source)}: {text}")

    @contextlib.contextmanager
    def progress(self, source: str) -> Iterator[Callable[[float], None]]:
        with ProgressLine(source, enabled=not self._quiet) as line:
            yield line.update

    def interruptible(self, enabled: bool) -> contextlib.AbstractContextManager[Callable[[], bool]]:
        return interruptible(enabled=enabled)


def run_batch(
    inputs: tuple[str, ...],
    make: Callable[[Sequence[Job]], Iterator[Outcome]],
    parts_of: Callable[[Facts], list[str]],
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
    """Plan the jobs, let `make` do them, write and tell what it makes.

    parts_of: what a line says of a file, the most dispensable part last but one, seconds last.
    """
    plan = files.plan(
        inputs, recursive=recursive, output=output, output_dir=output_dir, suffix=suffix, suffixes=suffixes
    )
    to_stream = any(is_stream(job.target) for job in plan.jobs)
    stream = sys.stderr if to_stream else sys.stdout
    total = len(plan.jobs)
    start = time.perf_counter()
    facts: list[Facts] = []

    def told() -> Iterator[tuple[str, Exception | None]]:
        done = written(
            plan.jobs, make, overwrite=force, skip_existing=skip_existing, make_folders=output_dir is not None
        )
        for number, one in enumerate(done, 1):
            if one.error is not None and as_json:
                _tell_json({"input": one.job.source} | _failure(one.error), to_stream)
            elif one.skipped and not quiet:
                click.echo(f"{shown(one.job.target)}: exists, skipped", err=True)
            elif one.error is None and not one.skipped:
                facts.append(dict(one.facts))
                if as_json:
                    _tell_json({"input": one.job.source, "output": one.job.target} | facts[-1], to_stream)
                elif not quiet:
                    place = f"{number} of {total}  " if total > 1 else ""
                    click.echo(
                        fitted(place, one.job.target, parts_of(facts[-1]), stream),
                        err=to_stream,
                    )
            yield one.job.source, one.error

    try:
        report_failures(told())
    finally:
        if plan.skipped and as_json:
            _tell_json({"skipped": dict(plan.skipped)}, to_stream)
        elif plan.skipped and not quiet:
            click.echo(files.listed(plan.skipped), err=True)
        if len(facts) > 1 and not quiet and not as_json:
            click.echo(_summed(facts, time.perf_counter() - start), err=True)


def _failure(error: Exception) -> Facts:
    said = error.for_command() if isinstance(error, CaecodecError) else str(error)
    return {"error": said, "kind": type(error).__name__}


def _tell_json(record: Facts, to_stream: bool) -> None:
    click.echo(json.dumps(record), err=to_stream)


def _summed(facts: Sequence[Facts], seconds: float) -> str:
    size, before = (sum(one[key] for one in facts) for key in ("bytes", "input_bytes"))
    rate = f", {len(facts) / seconds:.0f} a second" if len(facts) >= _MANY else ""
    return f"{len(facts)} files in {seconds:.1f} s{rate}: {before} bytes became {size}"


def fitted(place: str, target: str, parts: list[str], stream: TextIO) -> str:
    """A line of one file; on a terminal no wider than that, by leaving out parts, then by the middle of the name."""
    name = shown(target)
    width = shutil.get_terminal_size().columns if stream.isatty() else None
    while width is not None and len(parts) > _PARTS and len(f"{place}{name}: {'  '.join(parts)}") > width:
        del parts[-2]
    room = None if width is None else width - len(f"{place}: {'  '.join(parts)}")
    if room is not None and len(name) > room:
        keep = max(room, _NAME) - 1
        name = f"{name[: keep // 2]}…{name[len(name) - (keep - keep // 2) :]}"
    return f"{place}{name}: {'  '.join(parts)}"
