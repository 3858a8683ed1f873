"""A batch of files on the command line: planned, done, and told line by line."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from caecodec.batch.running import Rules, run, shared
from caecodec.batch.writing import Done, Work
from caecodec.command.terminal import (
    FilesBar,
    ProgressLine,
    fitted,
    interruptible,
    known,
    library_errors,
    on_terminal,
    report_failures,
    said,
    shown,
    warn,
)
from caecodec.errors import UsageError
from caecodec.files.jobs import Job, Plan, listed, plan
from caecodec.files.places import stamp
from caecodec.files.writing import STDIO, is_stream

_MANY = 100  # files, from which on their rate is of interest

Facts = dict[str, Any]


class Teller:
    """A `caecodec.batch.watching.Watcher` on the terminal."""

    def __init__(self, *, quiet: bool, bars: bool = True) -> None:
        """bars: one for each file; not where files are done side by side."""
        self._quiet = quiet
        self._bars = bars and not quiet

    def note(self, source: str, text: str) -> None:
        if not self._quiet:
            warn(f"{shown(source)}: {text}")

    def interrupted(self, source: str) -> None:
        warn(f"{shown(source)}: interrupted; the best so far is written")

    @contextlib.contextmanager
    def listening(self, source: str) -> Iterator[None]:
        lines: list[str] = []
        try:
            with library_errors() as lines:
                yield
        finally:  # of a picture that cannot be read too
            for line in lines:
                self.note(source, line)

    @contextlib.contextmanager
    def progress(self, source: str) -> Iterator[Callable[[float], None]]:
        with ProgressLine(source, enabled=self._bars) as line:
            yield line.update

    def interruptible(self, enabled: bool) -> contextlib.AbstractContextManager[Callable[[], bool]]:
        return interruptible(enabled=enabled)


def run_batch(
    inputs: tuple[str, ...],
    work: Callable[[], Work],
    parts_of: Callable[[Facts], list[str]],
    *,
    suffix: str,
    suffixes: frozenset[str],
    output: str | None,
    output_dir: str | None,
    recursive: bool,
    force: bool,
    skip_existing: bool,
    jobs: int | None,
    manifest: str | None,
    ray: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Plan the jobs, do them, write and tell what is made.

    parts_of: what a line says of a file, the most dispensable part last but one, seconds last.
    """
    planned = plan(inputs, recursive=recursive, output=output, output_dir=output_dir, suffix=suffix, suffixes=suffixes)
    if on_terminal(sys.stdout) and any(job.target == STDIO for job in planned.jobs):
        raise UsageError("standard output is a terminal: name a file with -o, or redirect it")
    telling = _Telling(planned, to_stream=any(map(_to_stream, planned.jobs)), quiet=quiet, as_json=as_json)
    rules = Rules(force, skip_existing, output_dir is not None, jobs, manifest, ray)
    several = ray is not None or shared(planned.jobs, jobs)[0] > 1
    done = run(planned.jobs, work(), rules, Teller(quiet=quiet, bars=not several))

    def told() -> Iterator[tuple[str, Exception | None]]:
        shown = (
            several and not quiet and on_terminal(sys.stderr)
        )  # else sizes, a request for each address, are not asked
        with FilesBar(_sizes(planned.jobs) if shown else {}, enabled=shown) as bar:
            for number, one in enumerate(done, 1):
                bar.done(one.job.source, one.facts)
                telling.of(number, one, parts_of, manifest is not None)
                yield one.job.source, one.error

    try:
        report_failures(told())
    finally:
        telling.end()


def one_for_a_gpu(jobs: int | None, device: str) -> int | None:
    """Files to be done side by side, of those asked for: each process would take its own share of a GPU's memory."""
    return 1 if jobs is None and device not in ("auto", "cpu") else jobs


def _sizes(jobs: Sequence[Job]) -> dict[str, int]:
    """Bytes of each input, which tell how much of a batch is left better than their number does."""
    found = ((job.source, stamp(job.source)) for job in jobs)
    return {source: there.size if there else 0 for source, there in found}


def _to_stream(job: Job) -> bool:
    return is_stream(job.target)


class _Telling:
    """What a batch says: a line or a JSON object of each file, and sums at the end."""

    def __init__(self, planned: Plan, *, to_stream: bool, quiet: bool, as_json: bool) -> None:
        self._planned, self._to_stream, self._quiet, self._as_json = planned, to_stream, quiet, as_json
        self._stream = sys.stderr if to_stream else sys.stdout
        self._start = time.perf_counter()
        self._count = self._known = self._before = self._after = 0

    def of(self, number: int, done: Done, parts_of: Callable[[Facts], list[str]], by_manifest: bool = False) -> None:
        """One job that is over. by_manifest: what is skipped is only counted: there may be millions."""
        total, name = len(self._planned.jobs), done.job.target
        if done.error is not None:
            if self._as_json and not isinstance(done.error, BrokenPipeError):  # nobody reads it
                error = known(done.error)
                self._json({"input": done.job.source, "error": said(error), "kind": type(error).__name__})
            return
        if done.skipped:
            self._known += by_manifest
            if not self._quiet and not by_manifest:
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
        if self._known:
            click.echo(f"{self._known} file{'s' if self._known > 1 else ''} done already", err=True)
        if self._count >= _MANY or (self._count > 1 and on_terminal(sys.stderr)):
            seconds = time.perf_counter() - self._start
            rate = f", {self._count / seconds:.0f} a second" if self._count >= _MANY else ""
            click.echo(
                f"{self._count} files in {seconds:.1f} s{rate}: {self._before} bytes became {self._after}", err=True
            )

    def _json(self, record: Facts) -> None:
        click.echo(json.dumps(record), err=self._to_stream)
