"""Speed and memory of codecs: megapixels per second, warm; peak memory; and the cold start of one file.

Every codec has a process of its own that is warmed up and then waits. A round is every codec once, one after the
other, so that whatever else the machine does meets all of them alike.
"""

from __future__ import annotations

import contextlib
import datetime
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from caecodec.bench.environment import environment
from caecodec.bench.pictures import Picture, load_pixels
from caecodec.bench.timing import cold
from caecodec.bench.timing.processes import Asked, ChildError, Ran, Worker, run_command
from caecodec.bench.timing.results import Aim, SpeedResults, SpeedRow, load_speed, put, resumed, save_timings
from caecodec.errors import UsageError

Start = Callable[[int], Asked]  # threads -> a worker
Execute = Callable[[Sequence[str], int], Ran]  # command, threads -> how it ran
Progress = Callable[[int, int], None]
Step = Callable[[SpeedRow], SpeedRow]


def measure_speed(
    names: Sequence[str],
    pictures: Sequence[Picture],
    path: Path,
    *,
    aim: Aim,
    threads: int,
    rounds: int,
    start: Start = Worker,
    execute: Execute = run_command,
    progress: Progress = lambda done, of: None,
) -> SpeedResults:
    """Measure what `path` does not hold yet, and keep `path` up to date while at it.

    Memory and cold start are of the largest picture. Raises UsageError where `path` is of something else, or where none
    of the codecs works; a codec that fails later is a row with an error, and is measured from the start the next time.
    """
    single = max(pictures, key=lambda p: p.width * p.height)
    fresh = SpeedResults(
        aim,
        threads,
        rounds,
        environment=environment(),
        pictures={picture.name: picture.sha256 for picture in pictures},
        megapixels=sum(p.width * p.height for p in pictures) / 1e6,
        single={"picture": single.name, "megapixels": single.width * single.height / 1e6},
    )
    results = resumed(path, load_speed, fresh)
    with tempfile.TemporaryDirectory() as folder:
        _Race(results, path, Path(folder), pictures, rounds, start, execute, progress).measure(names)
    return results


class _Race:
    """A run: what measures, and where its files lie."""

    def __init__(
        self,
        results: SpeedResults,
        path: Path,
        folder: Path,
        pictures: Sequence[Picture],
        rounds: int,
        start: Start,
        execute: Execute,
        progress: Progress,
    ) -> None:
        self._results = results
        self._path = path
        self._folder = folder
        self._rounds = rounds
        self._start = start
        self._execute = execute
        self._progress = progress
        self._done = 0
        self._arrays = [str(folder / f"{number}.npy") for number in range(len(pictures))]
        for array, picture in zip(self._arrays, pictures, strict=True):
            np.save(array, load_pixels(picture.path))
        self._single = next(n for n, picture in enumerate(pictures) if picture.name == results.single["picture"])
        self._source = str(pictures[self._single].path.resolve())
        self._commands: dict[str, dict[str, Any]] = {}  # of codecs that were warmed up

    def measure(self, names: Sequence[str]) -> None:
        """All of it: rounds first, then memory, which is measured once, then cold starts."""
        begun = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        with contextlib.ExitStack() as stack:
            workers: dict[str, Asked] = {}
            for name in names:
                worker = self._start(self._results.threads)
                stack.callback(worker.close)
                if self._enter(name, worker, begun):
                    workers[name] = worker
            if not workers:
                raise UsageError("none of the codecs works here: " + "; ".join(self._results.unavailable.values()))
            steps = (2 * len(workers) + 1) * self._rounds
            for name, worker in workers.items():
                if not self._complete(name):
                    self._step(name, partial(self._warm_up, worker=worker))
            for number in range(self._rounds):
                for name, worker in workers.items():
                    if len(self._row(name).decode_mp_s) <= number:
                        self._step(name, partial(self._round, worker=worker))
                    self._advance(steps)
        for name in workers:
            if self._row(name).decode_peak_mib is None:
                self._step(name, self._memory)
        for number in range(self._rounds):
            self._references(number)
            self._advance(steps)
            for name in workers:
                if len(self._row(name).cold_decode_s) <= number:
                    self._step(name, self._cold)
                self._advance(steps)
        save_timings(self._results, self._path)

    def _enter(self, name: str, worker: Asked, begun: str) -> bool:
        """Open the codec and find or make its row; whether it works."""
        try:
            opened = worker.ask("open", codec=name, threads=self._results.threads)
            start_peak = worker.ask("peak")["mib"]
        except ChildError as exc:
            self._results.unavailable[name] = str(exc)
            return False
        self._results.unavailable.pop(name, None)
        known = next((row for row in self._results.codecs if row.codec == name), None)
        if known is None or known.version != opened["version"] or known.error is not None:
            row = SpeedRow(name, opened["version"], begun, threads=opened["threads"], start_peak_mib=start_peak)
            put(self._results.codecs, row)
        return True

    def _complete(self, name: str) -> bool:
        row = self._row(name)
        finished = min(len(row.decode_mp_s), len(row.cold_decode_s)) >= self._rounds
        return finished and row.decode_peak_mib is not None

    def _warm_up(self, row: SpeedRow, worker: Asked) -> SpeedRow:
        """Everything once, untimed; the quality is found here, and the files are written that others decode."""
        aim = self._results.aim
        worker.ask("load", pictures=self._arrays)
        quality = row.quality
        if quality is None:
            quality = worker.ask("match", bpp=aim.bpp)["quality"] if aim.quality is None else aim.quality
        worker.ask("encode", quality=quality)
        measured = worker.ask("measure")
        number = self._results.codecs.index(row)  # a name may hold what a file name cannot
        coded = [str(self._folder / f"{number}-{place}") for place in range(len(self._arrays))]
        worker.ask("save", paths=coded)
        files = {"coded": str(self._folder / f"{number}-cold"), "target": str(self._folder / f"{number}.png")}
        commands = worker.ask("commands", quality=quality, source=self._source, **files)
        self._commands[row.codec] = commands | {"coded": coded[self._single]}
        return replace(row, quality=quality, bpp=measured["bpp"], psnr=measured["psnr"])

    def _round(self, row: SpeedRow, worker: Asked) -> SpeedRow:
        encode, decode = worker.ask("encode", quality=row.quality), worker.ask("decode")
        return replace(
            row,
            encode_mp_s=(*row.encode_mp_s, self._results.megapixels / encode["seconds"]),
            decode_mp_s=(*row.decode_mp_s, self._results.megapixels / decode["seconds"]),
            encode_cores=(*row.encode_cores, encode["cpu_seconds"] / encode["seconds"]),
            decode_cores=(*row.decode_cores, decode["cpu_seconds"] / decode["seconds"]),
        )

    def _memory(self, row: SpeedRow) -> SpeedRow:
        """Encode in one fresh process, decode in another."""
        peaks = []
        for before, after in (
            (("load", {"pictures": [self._arrays[self._single]]}), ("encode", {"quality": row.quality})),
            (("take", {"paths": [self._commands[row.codec]["coded"]]}), ("decode", {})),
        ):
            with contextlib.closing(self._start(self._results.threads)) as worker:
                worker.ask("open", codec=row.codec, threads=self._results.threads)
                worker.ask(before[0], **before[1])
                worker.ask(after[0], **after[1])
                peaks.append(worker.ask("peak")["mib"])
        return replace(row, encode_peak_mib=peaks[0], decode_peak_mib=peaks[1])

    def _cold(self, row: SpeedRow) -> SpeedRow:
        commands, threads = self._commands[row.codec], self._results.threads
        encode, decode = (self._execute(commands[part], threads).seconds for part in ("encode", "decode"))
        return replace(row, cold_encode_s=(*row.cold_encode_s, encode), cold_decode_s=(*row.cold_decode_s, decode))

    def _references(self, number: int) -> None:
        for name, command in cold.references().items():
            known = self._results.references.get(name, ())
            if len(known) <= number:
                self._results.references[name] = (*known, self._execute(command, self._results.threads).seconds)

    def _step(self, name: str, work: Step) -> None:
        """Bring a row forward, or end it with an error; the file is saved."""
        row = self._row(name)
        if row.error is not None:
            return
        try:
            put(self._results.codecs, work(row))
        except ChildError as exc:
            put(self._results.codecs, replace(row, error=str(exc)))
        save_timings(self._results, self._path)

    def _row(self, name: str) -> SpeedRow:
        return next(row for row in self._results.codecs if row.codec == name)

    def _advance(self, steps: int) -> None:
        self._done += 1
        self._progress(self._done, steps)
