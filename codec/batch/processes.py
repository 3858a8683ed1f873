"""Jobs spread over processes, each with one file in work and, as it comes, one thread; a process that dies costs one
file. Files are read and written where they are coded: what travels is names.
"""

from __future__ import annotations

import collections
import contextlib
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import connection as connections
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from caecodec.batch.watching import Nobody, Watcher
from caecodec.batch.writing import Done, Work, published
from caecodec.errors import CaecodecError, LimitError
from caecodec.files.jobs import Job

THREAD_VARIABLES = ("CAECODEC_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
AHEAD_SECONDS = 0.25  # of work that lies ready for a process, so that it need not wait for this one
_MOST_AHEAD = 64
_ENDING_SECONDS = 5.0


def cores() -> int:
    """Processors that this process may use, of its container where that is held to less."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # "max 100000" where there is no limit
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        count = min(count, max(1, int(quota) // int(period)))
    return count


@dataclass(slots=True)
class _Hand:
    """One process, and what it has been given."""

    process: BaseProcess
    connection: Connection
    wanted: int = 0  # jobs that it has asked for beyond those it was sent
    given: dict[str, Job] = field(default_factory=dict)  # source -> job, in the order they were sent
    last: bool = False  # it has been told that nothing more comes
    alone: bool = False  # its job has ended a process before


def spread(
    jobs: Sequence[Job],
    work: Work,
    processes: int,
    *,
    threads: int = 1,
    make_folders: bool = False,
    watcher: Watcher | None = None,
    begin: Callable[[Job], None] = lambda job: None,
) -> Iterator[Done]:
    """Do and write jobs (of `sorted_out`) in so many processes. One `Done` for each job, as they come.

    begin: told of a job before a process gets it. Memory: what `processes` times one file needs. What a process that
    dies had in work is tried once more, each file in a process of its own; one that dies of it again is a LimitError.
    """
    pool = _Pool(work, threads, make_folders, watcher or Nobody())
    queue = collections.deque(jobs)
    suspects: collections.deque[Job] = collections.deque()
    try:
        while queue or suspects or pool.busy:
            while suspects and len(pool.hands) < processes:
                pool.alone(suspects.popleft())
            while len(queue) > pool.asked and len(pool.hands) < processes:
                pool.hire()
            for hand in pool.hands.values():
                while queue and not hand.last and (hand.wanted > 0 or len(hand.given) < 1 + pool.ahead):
                    begin(queue[0])
                    pool.give(hand, queue.popleft())
                if not queue and not hand.last:
                    pool.dismiss(hand)
            for hand in pool.ready():
                done = pool.heard(hand)
                if done is not None:
                    yield done
                elif hand.connection.closed:
                    yield from pool.buried(hand, suspects)
    finally:
        pool.close()


class _Pool:
    """The processes of a batch."""

    def __init__(self, work: Work, threads: int, make_folders: bool, watcher: Watcher) -> None:
        self._start = work, threads, make_folders
        self._watcher = watcher
        self._context = get_context("spawn")  # forked threads would hang
        self._begun, self._count = time.perf_counter(), 0
        self.hands: dict[Connection, _Hand] = {}

    @property
    def busy(self) -> bool:
        return any(hand.given for hand in self.hands.values())

    @property
    def asked(self) -> int:
        """How many processes wait for a job."""
        return sum(hand.wanted > 0 or not hand.given for hand in self.hands.values() if not hand.last)

    @property
    def ahead(self) -> int:
        """Jobs that a process has beside the one in work: none where a job takes long."""
        if not self._count:
            return 0
        each = (time.perf_counter() - self._begun) * len(self.hands) / self._count
        return min(_MOST_AHEAD, int(AHEAD_SECONDS / each))

    def hire(self) -> _Hand:
        ours, theirs = self._context.Pipe()
        work, threads, make_folders = self._start
        process = self._context.Process(target=_serve, args=(theirs, threads), daemon=True)
        process.start()
        theirs.close()
        hand = self.hands[ours] = _Hand(process, ours)
        self._send(hand, (work, make_folders))
        return hand

    def give(self, hand: _Hand, job: Job) -> None:
        hand.given[job.source] = job
        hand.wanted -= 1
        self._send(hand, job)

    def dismiss(self, hand: _Hand) -> None:
        """Nothing more comes: it finishes what it has."""
        hand.last = True
        self._send(hand, None)

    def alone(self, job: Job) -> None:
        """One job in a process of its own. What the process before it may have written is its to replace."""
        hand = self.hire()
        hand.alone = True
        self.give(hand, replace(job, replace=True))
        self.dismiss(hand)

    def ready(self) -> list[_Hand]:
        """Those with something to say; waits for one."""
        heard = connections.wait(list(self.hands))
        return [hand for one, hand in self.hands.items() if one in heard]

    def heard(self, hand: _Hand) -> Done | None:
        """What one says, where it is of a job; the connection is closed where nobody is there any more."""
        try:
            said = hand.connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            hand.connection.close()
            return None
        if said is None:
            hand.wanted += 1
        elif isinstance(said, Done):
            hand.given.pop(said.job.source, None)
            self._count += 1
            return said
        else:
            self._watcher.note(*said)
        return None

    def buried(self, hand: _Hand, suspects: collections.deque[Job]) -> Iterator[Done]:
        """What becomes of the jobs that a process had when it ended."""
        self.hands = {one: other for one, other in self.hands.items() if other is not hand}
        hand.process.join(_ENDING_SECONDS)
        if hand.alone and hand.given:
            (job,) = hand.given.values()
            yield Done(job, LimitError(f"the process that coded it {_ended(hand.process.exitcode)}"))
        else:
            suspects.extend(hand.given.values())

    def close(self) -> None:
        """End all: at once where they are in work."""
        for hand in self.hands.values():
            hand.connection.close()
            if hand.given:
                hand.process.terminate()
        end = time.monotonic() + _ENDING_SECONDS
        for hand in self.hands.values():
            hand.process.join(max(0.0, end - time.monotonic()))
            if hand.process.is_alive():
                hand.process.kill()
                hand.process.join()

    def _send(self, hand: _Hand, message: object) -> None:
        with contextlib.suppress(OSError):  # it has died, which is heard next
            hand.connection.send(message)


def _ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with status {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    hint = ": out of memory, perhaps; fewer processes (-j) need less" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"


class _Sending:
    """A watcher in a process: notes go to the one that started it, nothing is interrupted."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, source: str, text: str) -> None:
        self._connection.send((source, text))

    def interrupted(self, source: str) -> None:
        return

    def listening(self, source: str) -> contextlib.AbstractContextManager[None]:
        return Nobody().listening(source)

    def progress(self, source: str) -> contextlib.AbstractContextManager[Callable[[float], None]]:
        return Nobody().progress(source)

    def interruptible(self, enabled: bool) -> contextlib.AbstractContextManager[Callable[[], bool]]:
        return Nobody().interruptible(enabled)


def _serve(connection: Connection, threads: int) -> None:
    """The life of a process: `Work`, then jobs until None; it tells None for every job that it waits for."""
    for variable in THREAD_VARIABLES:  # read by libraries that are imported later
        os.environ.setdefault(variable, str(threads))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears it, and ends all
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def given() -> Iterator[Job]:
        while True:
            connection.send(None)
            job = connection.recv()
            if job is None:
                return
            yield job

    with contextlib.suppress(EOFError, OSError), connection:  # nobody listens any more
        work, make_folders = connection.recv()
        for done in published(work.outcomes(given(), _Sending(connection)), make_folders=make_folders):
            connection.send(portable(done))


def _leave(_signal: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)  # so that temporary files are removed


def _end_with_parent() -> None:
    """Do not search on for minutes after the one that wanted it was killed."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        with contextlib.suppress(OSError):
            os.kill(os.getpid(), signal.SIGTERM)


def portable(done: Done) -> Done:
    """What pickle can carry, with the place of an error for `--debug`."""
    error = done.error
    if error is None:
        return done
    if not isinstance(error, CaecodecError | OSError | MemoryError | ImportError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    return replace(done, error=error)
