"""A file that knows what a batch has done: a row of JSON for each input, appended as it is begun and as it is over.

A run with the same manifest leaves what is done with the same choices and does again what changed, was left in the
middle or failed. Rows are only ever appended, so a kill costs the row that was being written, which the next run drops.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, BinaryIO

from caecodec.batch.writing import Done
from caecodec.errors import FileSystemError, UsageError
from caecodec.files.jobs import Job
from caecodec.files.places import Stamp, stamp

_WHAT = "is no manifest of caecodec: name another file"


@dataclass(frozen=True, slots=True)
class _Row:
    """The last word on an input. bytes: of its output, None where there is none. begun: it was not over."""

    size: int
    changed: str
    options: str
    target: str
    bytes: int | None
    begun: bool


def digest(choices: Mapping[str, Any]) -> str:
    """What stands for the choices of a run in its rows."""
    return hashlib.sha256(json.dumps(choices, sort_keys=True).encode()).hexdigest()[:16]


class Manifest:
    """An open manifest, held against other runs. `with Manifest(path, choices) as manifest: ...`"""

    def __init__(self, path: str, choices: Mapping[str, Any]) -> None:
        """choices: what decides the outputs, beside the inputs; model: the id that rows carry, where it is among them.

        Raises FileSystemError; UsageError where the file is something else or another run has it.
        """
        self._path, self._options, self._model = path, digest(choices), choices.get("model")
        try:
            self._stream: BinaryIO = open(path, "a+b")  # noqa: PTH123, SIM115 (closed by `close`)
        except OSError as exc:
            raise FileSystemError(f"{path}: {exc.strerror}") from exc
        try:
            self._hold()
            self._rows = self._read()
        except BaseException:
            self._stream.close()
            raise
        self._stamps: dict[str, Stamp] = {}

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others have it, once all that was said is on disk."""
        os.fsync(self._stream.fileno())
        self._stream.close()

    def sorted_out(self, jobs: Iterable[Job]) -> tuple[list[Done], list[Job]]:
        """What is done already, and the other jobs: those whose output an earlier run made may replace it."""
        over: list[Done] = []
        todo: list[Job] = []
        for job in jobs:
            known = self._rows.get(job.source)
            if known is None or known.target != job.target or job.problem:
                todo.append(job)
                continue
            there = stamp(job.target)
            if known.begun:  # and perhaps written
                todo.append(replace(job, replace=True))
            elif there is None or there.size != known.bytes:  # another's by now, if it is there
                todo.append(job)
            elif known.options == self._options and _same(known, stamp(job.source)):
                over.append(Done(job, skipped=True))
            else:
                todo.append(replace(job, replace=True))
        return over, todo

    def begun(self, job: Job) -> None:
        """Before anything of a job is done: what is found of its output from now on is ours."""
        found = self._stamps[job.source] = stamp(job.source) or Stamp(0, "")
        self._append(job, found, {"begun": True})

    def ended(self, done: Done) -> None:
        """A job that is over."""
        found = self._stamps.pop(done.job.source, None)
        if found is None or done.skipped:  # it was refused before it was begun
            return
        if done.error is not None:
            text = " ".join(str(done.error).split()) or type(done.error).__name__
            self._append(done.job, found, {"error": text, "kind": type(done.error).__name__})
            return
        facts = {key: done.facts.get(key) for key in ("bytes", "quality", "width", "height", "seconds")}
        self._append(done.job, found, facts | ({} if self._model else {"model": done.facts.get("model")}))

    def _append(self, job: Job, found: Stamp, more: Mapping[str, Any]) -> None:
        row = {"input": job.source, "output": job.target, "size": found.size, "changed": found.changed}
        of_run = {"options": self._options} | ({"model": self._model} if self._model else {})
        self._stream.write(json.dumps(row | of_run | dict(more)).encode() + b"\n")
        self._stream.flush()

    def _read(self) -> dict[str, _Row]:
        """The last row of each input; what a kill left of a row is cut off. Raises UsageError."""
        rows: dict[str, _Row] = {}
        whole = 0
        self._stream.seek(0)
        for number, line in enumerate(self._stream, 1):
            if not line.endswith(b"\n"):
                break
            try:
                row = json.loads(line)
                source = row["input"]
                about = row["size"], row["changed"], row["options"], row["output"]
                rows[source] = _Row(*about, row.get("bytes"), row.get("begun", False))
            except (ValueError, KeyError, TypeError) as exc:
                raise UsageError(f"{self._path}, line {number}: {_WHAT}") from exc
            whole += len(line)
        if whole == 0 and self._stream.seek(0, os.SEEK_END) and not self._torn():
            raise UsageError(f"{self._path}: {_WHAT}")
        self._stream.truncate(whole)
        return rows

    def _torn(self) -> bool:
        """Whether all there is is the beginning of a row."""
        self._stream.seek(0)
        return b'{"input": '.startswith(self._stream.read(10))

    def _hold(self) -> None:
        """Raise UsageError where another run has the file. Where the system cannot tell, nobody is kept out."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise UsageError(f"{self._path}: another run writes to this manifest; wait, or name another") from exc
        except OSError:  # a file system without locks
            return


def _same(known: _Row, found: Stamp | None) -> bool:
    return found is not None and (known.size, known.changed) == (found.size, found.changed)


def rows(path: str) -> Iterator[dict[str, Any]]:
    """Every whole row of a manifest, in the order they were written. Raises OSError."""
    with open(path, "rb") as stream:  # noqa: PTH123
        for line in stream:
            if line.endswith(b"\n"):
                yield json.loads(line)
