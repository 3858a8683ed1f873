"""A batch of files: planned, coded, written and reported, going on after a failure."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from caecodec.command.terminal import settle
from caecodec.errors import FileSystemError
from caecodec.files import jobs as files
from caecodec.files import writing

Outcome = tuple[files.Job, bytes | Exception, dict[str, Any]]  # an output or what went wrong, and facts of it

_MANY = 100  # files, from which on their rate is of interest
_SLOW_SECONDS = 0.02  # for one file: it is written at once
_GATHER_SECONDS = 0.5  # finished files wait this long at most for others to be written with them


def run_batch(
    inputs: tuple[str, ...],
    many: Callable[[Sequence[files.Job]], Iterator[Outcome]],
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
    """Plan the jobs, let `many` do them, write and report what it makes."""
    jobs = files.plan(
        inputs, recursive=recursive, output=output, output_dir=output_dir, suffix=suffix, suffixes=suffixes
    )
    to_stream = any(writing.is_stream(job.target) for job in jobs)
    start = time.perf_counter()
    written = 0

    def write(waiting: list[tuple[files.Job, bytes, dict[str, Any]]]) -> Iterator[tuple[str, Exception | None]]:
        nonlocal written
        outputs = [(job.target, data) for job, data, _ in waiting]
        done = writing.write_many(outputs, overwrite=force, make_folders=output_dir is not None)
        for (job, _, facts), (_, failure) in zip(waiting, done, strict=True):
            if failure is None:
                written += 1
                result = {"input": job.source, "output": job.target} | facts
                if as_json:
                    click.echo(json.dumps(result), err=to_stream)
                elif not quiet:
                    click.echo(f"{job.target}: {line(result)}", err=to_stream)
            yield job.source, failure
        waiting.clear()

    def outcomes() -> Iterator[tuple[str, Exception | None]]:
        todo = []
        for job in jobs:
            if force or writing.is_stream(job.target) or not os.path.lexists(job.target):
                todo.append(job)
            elif not skip_existing:
                hint = "-f overwrites it, --skip-existing leaves it"
                yield job.source, FileSystemError(f"{job.target} exists; {hint}")
            else:
                if not quiet:
                    click.echo(f"{job.target}: exists, skipped", err=True)
                yield job.source, None
        waiting: list[tuple[files.Job, bytes, dict[str, Any]]] = []
        gathering = time.perf_counter()
        try:
            for job, made, facts in many(todo):
                if isinstance(made, Exception):
                    yield job.source, made
                    continue
                waiting.append((job, made, facts))
                slow = facts["seconds"] > _SLOW_SECONDS or time.perf_counter() - gathering > _GATHER_SECONDS
                if len(todo) == 1 or slow:
                    yield from write(waiting)
                    gathering = time.perf_counter()
        except BaseException:  # interrupted, here or where this is consumed: what is done is kept
            list(write(waiting))
            raise
        yield from write(waiting)

    try:
        settle(outcomes())
    finally:
        if written >= _MANY and not quiet and not as_json:
            seconds = time.perf_counter() - start
            click.echo(f"{written} files in {seconds:.1f} s, {written / seconds:.0f} a second", err=True)
