"""A whole batch: what is done already is left, the rest is done in this process or in several, and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from caecodec.batch.manifest import Manifest
from caecodec.batch.watching import Watcher
from caecodec.batch.writing import Done, Work, published, sorted_out
from caecodec.files.jobs import Job
from caecodec.files.places import shared_by_processes
from caecodec.files.writing import STDIO, is_stream

FEWEST = 4  # jobs that are worth starting processes for, which takes some tenths of a second


@dataclass(frozen=True, slots=True)
class Rules:
    """How a batch is done. processes: at most so many; None is one for each core, where there are files enough.

    manifest: path of the file that knows what is done. cluster: address of Ray's that does it instead, see
    `caecodec.batch.ray`. make_folders: make those of outputs.
    """

    overwrite: bool = False
    skip_existing: bool = False
    make_folders: bool = False
    processes: int | None = None
    manifest: str | None = None
    cluster: str | None = None


def run(jobs: Sequence[Job], work: Work, rules: Rules, watcher: Watcher | None = None) -> Iterator[Done]:
    """One `Done` for each job, as they come. Raises FileSystemError and UsageError of the manifest, ModelError."""
    if rules.manifest is None:
        yield from _run(jobs, work, rules, watcher, None)
        return
    with Manifest(rules.manifest, work.choices()) as manifest:
        over, todo = manifest.sorted_out(jobs)
        yield from over
        for done in _run(todo, work, rules, watcher, manifest):
            manifest.ended(done)
            yield done


def _run(
    jobs: Sequence[Job], work: Work, rules: Rules, watcher: Watcher | None, manifest: Manifest | None
) -> Iterator[Done]:
    over, todo = sorted_out(jobs, overwrite=rules.overwrite, skip_existing=rules.skip_existing)
    yield from over
    begin = manifest.begun if manifest else lambda job: None
    if rules.cluster is not None:
        from caecodec.batch.ray import spread_on_cluster

        yield from spread_on_cluster(
            todo,
            work,
            rules.cluster,
            actors=rules.processes,
            make_folders=rules.make_folders,
            watcher=watcher,
            begin=begin,
        )
        return
    processes, threads = shared(todo, rules.processes)
    if processes > 1:
        from caecodec.batch.processes import spread

        yield from spread(
            todo, work, processes, threads=threads, make_folders=rules.make_folders, watcher=watcher, begin=begin
        )
        return
    outcomes = work.outcomes(_begun(todo, manifest), watcher)
    yield from published(outcomes, at_once=len(todo) == 1, make_folders=rules.make_folders)


def _begun(jobs: Iterable[Job], manifest: Manifest | None) -> Iterator[Job]:
    for job in jobs:
        if manifest is not None:
            manifest.begun(job)
        yield job


def shared(jobs: Sequence[Job], asked: int | None) -> tuple[int, int]:
    """Processes and the threads of each: all cores are taken, or as many as were asked for."""
    streams = any(job.source == STDIO or is_stream(job.target) for job in jobs)
    ours = not all(shared_by_processes(place) for job in jobs for place in (job.source, job.target))
    few = len(jobs) < (FEWEST if asked is None else 2)
    if streams or ours or few:
        return 1, 1
    from caecodec.batch.processes import cores

    count = cores() if asked is None else asked
    processes = min(count, len(jobs))
    return processes, max(1, count // processes) if processes else 1
