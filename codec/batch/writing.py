"""Outputs of many files: written as they come, small ones together with one sync, going on after a failure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from caecodec.batch.watching import Watcher
from caecodec.errors import FileSystemError, Remedy, UsageError
from caecodec.files.jobs import Job
from caecodec.files.places import exists
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


class Work(Protocol):
    """What is done with every job. It travels to other processes by pickle."""

    def outcomes(self, jobs: Iterable[Job], watcher: Watcher | None = None) -> Iterator[Outcome]:
        """One outcome for each job, none of them raised."""
        ...

    def choices(self) -> dict[str, Any]:
        """What decides an output, beside its input: see `caecodec.batch.manifest`. Raises ModelError."""
        ...


def sorted_out(jobs: Iterable[Job], *, overwrite: bool, skip_existing: bool = False) -> tuple[list[Done], list[Job]]:
    """What is over before it begins, and the jobs that are to be done, with what each may replace."""
    over: list[Done] = []
    todo: list[Job] = []
    for job in jobs:
        there = not is_stream(job.target) and exists(job.target)
        may_replace = overwrite or job.replace
        if there and skip_existing and not may_replace:
            over.append(Done(job, skipped=True))
        elif job.problem:
            over.append(Done(job, UsageError(job.problem)))
        elif there and not may_replace:
            over.append(Done(job, FileSystemError(f"{job.target} exists", _IN_THE_WAY)))
        else:
            todo.append(replace(job, replace=may_replace))
    return over, todo


def published(outcomes: Iterable[Outcome], *, at_once: bool = False, make_folders: bool = False) -> Iterator[Done]:
    """Write what was made. at_once: without waiting for more to write with it."""
    waiting: list[Outcome] = []

    def write() -> Iterator[Done]:
        gathered, waiting[:] = list(waiting), []  # before the first is told of: a listener may stop there
        for may_replace in (False, True):
            some = [one for one in gathered if one.job.replace == may_replace]
            outputs = [(one.job.target, one.made) for one in some if not isinstance(one.made, Exception)]
            failures = write_many(outputs, overwrite=may_replace, make_folders=make_folders) if outputs else []
            for one, (_, failure) in zip(some, failures, strict=True):
                yield Done(one.job, failure, facts=one.facts)

    gathering = time.perf_counter()
    try:
        for outcome in outcomes:
            if isinstance(outcome.made, Exception):
                yield Done(outcome.job, outcome.made)
                continue
            waiting.append(outcome)
            slow = outcome.facts["seconds"] > SLOW_SECONDS or time.perf_counter() - gathering > GATHER_SECONDS
            if at_once or slow:
                yield from write()
                gathering = time.perf_counter()
    except GeneratorExit:  # nobody listens any more: what is done is kept all the same
        list(write())
        raise
    except BaseException:  # interrupted
        yield from write()
        raise
    yield from write()
