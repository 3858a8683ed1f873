"""Outputs of many files: written as they come, small ones together with one sync, going on after a failure."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from caecodec.errors import FileSystemError, Remedy, UsageError
from caecodec.files.jobs import Job
from caecodec.files.writing import Filled, is_stream, write_many

SLOW_SECONDS = 0.02  # for one file: it is written at once
_IN_THE_WAY = Remedy(
    "overwrite=True replaces it, skip_existing=True leaves it", "-f overwrites it, --skip-existing leaves it"
)
GATHER_SECONDS = 0.5  # finished files wait this long at most for others to be written with them


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one job: its output or what went wrong, and facts of it ('seconds' among them)."""

    job: Job
    made: bytes | Filled | Exception
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """A job that is over. skipped: its output was there and was to be left."""

    job: Job
    error: Exception | None = None
    skipped: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


def written(
    jobs: Sequence[Job],
    make: Callable[[Sequence[Job]], Iterator[Outcome]],
    *,
    overwrite: bool,
    skip_existing: bool = False,
    make_folders: bool = False,
) -> Iterator[Done]:
    """Let `make` do the jobs that are to be done, and write what it makes. One `Done` for each job."""
    todo = []
    for job in jobs:
        there = not is_stream(job.target) and os.path.lexists(job.target)
        if there and skip_existing and not overwrite:
            yield Done(job, skipped=True)
        elif job.problem:
            yield Done(job, UsageError(job.problem))
        elif there and not overwrite:
            yield Done(job, FileSystemError(f"{job.target} exists", _IN_THE_WAY))
        else:
            todo.append(job)

    waiting: list[Outcome] = []

    def write() -> Iterator[Done]:
        outputs = [(one.job.target, one.made) for one in waiting if not isinstance(one.made, Exception)]
        failures = write_many(outputs, overwrite=overwrite, make_folders=make_folders)
        for one, (_, failure) in zip(waiting, failures, strict=True):
            yield Done(one.job, failure, facts=one.facts)
        waiting.clear()

    gathering = time.perf_counter()
    try:
        for outcome in make(todo):
            if isinstance(outcome.made, Exception):
                yield Done(outcome.job, outcome.made)
                continue
            waiting.append(outcome)
            slow = outcome.facts["seconds"] > SLOW_SECONDS or time.perf_counter() - gathering > GATHER_SECONDS
            if len(todo) == 1 or slow:
                yield from write()
                gathering = time.perf_counter()
    except GeneratorExit:  # nobody listens any more: what is done is kept all the same
        list(write())
        raise
    except BaseException:  # interrupted
        yield from write()
        raise
    yield from write()
