"""A batch on a cluster, by Ray Data: names travel, pixels never. Files are read and written where they are coded.

Ray counts the memory of its own objects and not that of the core, so a task is a few names and an actor codes one file
at a time. Every machine needs caecodec, and must see the files: a shared folder, or addresses of fsspec.
"""

from __future__ import annotations

import importlib
import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from caecodec.batch.processes import THREAD_VARIABLES, portable
from caecodec.batch.watching import Nobody, Watcher
from caecodec.batch.writing import Done, Work, published
from caecodec.errors import UsageError
from caecodec.files.jobs import Job
from caecodec.files.places import elsewhere

LOCAL = "local"  # a cluster of this machine, for this batch
_TASK = 32  # files of a task: what is done again where an actor dies
_MOST_TASKS = 10_000


class Coder:
    """An actor of Ray: it keeps the work and its model, and does one task after another."""

    def __init__(self, work: bytes, make_folders: bool) -> None:
        for variable in THREAD_VARIABLES:  # one core each; Ray sets some of them, and not ours
            os.environ[variable] = "1"
        self._work: Work = pickle.loads(work)
        self._make_folders = make_folders

    def __call__(self, task: dict[str, Any]) -> dict[str, Any]:
        """number, source and target of files -> number, and what became of each, pickled."""
        sources, targets = map(str, task["source"]), map(str, task["target"])
        # an actor that died may have written some of them
        jobs = [Job(source, target, replace=True) for source, target in zip(sources, targets, strict=True)]
        numbers = {job.source: int(number) for job, number in zip(jobs, task["number"], strict=True)}
        watcher = _Noting()
        made: dict[str, list[Any]] = {"number": [], "done": []}
        for done in published(self._work.outcomes(jobs, watcher), make_folders=self._make_folders):
            made["number"].append(numbers[done.job.source])
            made["done"].append(pickle.dumps((portable(done), watcher.notes.pop(done.job.source, []))))
        return made


class _Noting(Nobody):
    """Keeps the notes of files."""

    def __init__(self) -> None:
        self.notes: dict[str, list[str]] = {}

    def note(self, source: str, text: str) -> None:
        self.notes.setdefault(source, []).append(text)


def spread_on_cluster(
    jobs: Sequence[Job],
    work: Work,
    address: str,
    *,
    actors: int | None = None,
    make_folders: bool = False,
    watcher: Watcher | None = None,
    begin: Callable[[Job], None] = lambda job: None,
) -> Iterator[Done]:
    """Do and write jobs (of `sorted_out`) on a cluster of Ray. One `Done` for each job, as they come.

    address: of a cluster, 'auto' for the one that this machine belongs to, 'local' for one of this machine alone.
    actors: at most so many, of one core each; None is one for each core there is. A task whose actor or machine is lost
    is done again elsewhere. Raises UsageError where Ray is not installed or the cluster is not there.
    """
    if not jobs:
        return
    try:
        ray, data = importlib.import_module("ray"), importlib.import_module("ray.data")
    except ImportError as exc:
        raise UsageError(f"this needs Ray, not installed ({exc}): pip install 'caecodec[ray]'") from exc
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, address)
    try:
        data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        for job in jobs:
            begin(job)
        yield from _results(data, jobs, work, min(actors or cores, cores), make_folders, watcher or Nobody())
    finally:
        if ours:
            ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    try:
        ray.init(address=address, logging_level="ERROR", log_to_driver=False, include_dashboard=False)
    except ValueError:  # those are for a cluster that is begun here
        ray.init(address=address, logging_level="ERROR", log_to_driver=False)
    except (ConnectionError, RuntimeError) as exc:
        raise UsageError(f"no cluster of Ray at {address}: {exc}") from exc


def _results(
    data: Any, jobs: Sequence[Job], work: Work, actors: int, make_folders: bool, watcher: Watcher
) -> Iterator[Done]:
    tasks = min(max(1, len(jobs) // _TASK), _MOST_TASKS)
    rows = [{"number": n, "source": _seen(j.source), "target": _seen(j.target)} for n, j in enumerate(jobs)]
    done = data.from_items(rows, override_num_blocks=tasks).map_batches(
        Coder,
        fn_constructor_args=(pickle.dumps(work), make_folders),
        batch_size=_TASK,
        compute=data.ActorPoolStrategy(min_size=1, max_size=actors),
        num_cpus=1,
    )
    for row in done.iter_rows():
        job = jobs[row["number"]]
        one, notes = pickle.loads(row["done"])
        for text in notes:
            watcher.note(job.source, text)
        yield replace(one, job=job)


def _seen(path: str) -> str:
    """A name that means the same in another folder: actors have their own."""
    return path if elsewhere(path) else os.path.abspath(path)  # noqa: PTH100 (Path.absolute keeps ..)
