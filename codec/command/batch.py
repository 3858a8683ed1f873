"""A batch of files on the command line: planned, done, and told line by line."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from caecodec.batch.writing import Done, Outcome, written
from caecodec.command.terminal import (
    ProgressLine,
    fitted,
    interruptible,
    known,
    on_terminal,
    report_failures,
    said,
    shown,
    warn,
)
from caecodec.files.jobs import Job, Plan, listed, plan
from caecodec.files.writing import is_stream

_MANY = 100  # files, from which on their rate is of interest

Facts = dict[str, Any]


class Teller:
    """A `caecodec.batch.watching.Watcher` on the terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def note(self, source: str, text: str) -> None:
        if not self._quiet:
            warn(f"{shown(source)}: {text}")

    def interrupted(self, source: str) -> None:
        warn(f"{shown(source)}: interrupted; the best so far is written")

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
    planned = plan(inputs, recursive=recursive, output=output, output_dir=output_dir, suffix=suffix, suffixes=suffixes)
    telling = _Telling(planned, to_stream=any(map(_to_stream, planned.jobs)), quiet=quiet, as_json=as_json)
    done = written(
        planned.jobs, make, overwrite=force, skip_existing=skip_existing, make_folders=output_dir is not None
    )

    def told() -> Iterator[tuple[str, Exception | None]]:
        for number, one in enumerate(done, 1):
            telling.of(number, one, parts_of)
            yield one.job.source, one.error

    try:
        report_failures(told())
    finally:
        telling.end()


def _to_stream(job: Job) -> bool:
    return is_stream(job.target)


class _Telling:
    """What a batch says: a line or a JSON object of each file, and sums at the end."""

    def __init__(self, planned: Plan, *, to_stream: bool, quiet: bool, as_json: bool) -> None:
        self._planned, self._to_stream, self._quiet, self._as_json = planned, to_stream, quiet, as_json
        self._stream = sys.stderr if to_stream else sys.stdout
        self._start = time.perf_counter()
        self._count = self._before = self._after = 0

    def of(self, number: int, done: Done, parts_of: Callable[[Facts], list[str]]) -> None:
        """One job that is over."""
        total, name = len(self._planned.jobs), done.job.target
        if done.error is not None:
            if self._as_json and not isinstance(done.error, BrokenPipeError):  # nobody reads it
                error = known(done.error)
                self._json({"input": done.job.source, "error": said(error), "kind": type(error).__name__})
            return
        if done.skipped:
            if not self._quiet:
                click.echo(fitted("", name, ["exists, skipped"], sys.stderr), err=True)
            return
        facts = dict(done.facts)
        self._count += 1
        self._before += facts["input_bytes"]
        self._after += facts["bytes"]
        if self._as_json:
            self._json({"input": done.job.source, "output": name} | facts)
        elif not self._quiet:
            place = f"{number} of {total}  " if total > 1 and on_terminal(self._stream) else ""
            click.echo(fitted(place, name, parts_of(facts), self._stream), err=self._to_stream)

    def end(self) -> None:
        """What was left out, and the sums of several files."""
        if self._planned.skipped and self._as_json:
            self._json({"skipped": dict(self._planned.skipped)})
        if self._quiet or self._as_json:
            return
        if self._planned.skipped:
            click.echo(shown(listed(self._planned.skipped)), err=True)
        if self._count >= _MANY or (self._count > 1 and on_terminal(sys.stderr)):
            seconds = time.perf_counter() - self._start
            rate = f", {self._count / seconds:.0f} a second" if self._count >= _MANY else ""
            click.echo(
                f"{self._count} files in {seconds:.1f} s{rate}: {self._before} bytes became {self._after}", err=True
            )

    def _json(self, record: Facts) -> None:
        click.echo(json.dumps(record), err=self._to_stream)
