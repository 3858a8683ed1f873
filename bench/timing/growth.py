"""How time and memory grow: with the size of a picture, and with the number of files that the command is given.

Each measurement of a size is the first work of a process of its own; each of a batch is a whole command, start-up
included. A round is every codec at every size once.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from caecodec.bench.codecs.ours import options_of_caecodec
from caecodec.bench.environment import environment
from caecodec.bench.pictures import Picture, Pixels, load_pixels
from caecodec.bench.timing.mosaic import mosaic, sides
from caecodec.bench.timing.processes import COMMAND, Asked, ChildError, Worker, run_command
from caecodec.bench.timing.results import (
    Aim,
    BatchRow,
    Grown,
    GrowthResults,
    SizeRow,
    load_growth,
    put,
    resumed,
    save_timings,
)
from caecodec.bench.timing.speed import Execute, Progress, Start
from caecodec.errors import UsageError

BATCH_MEGAPIXELS = 0.4  # of each file of a batch
MATCH_MEGAPIXELS = 0.4  # of the picture that the quality is found on


def measure_growth(
    names: Sequence[str],
    pictures: Sequence[Picture],
    path: Path,
    *,
    aim: Aim,
    sizes: Sequence[float],
    batches: Sequence[int],
    threads: int,
    rounds: int,
    start: Start = Worker,
    execute: Execute = run_command,
    progress: Progress = lambda done, of: None,
) -> GrowthResults:
    """Measure what `path` does not hold yet, and keep `path` up to date while at it.

    sizes: megapixels. Raises UsageError where `path` is of something else, or where none of the codecs works; what
    fails later is a row with an error, and is measured again the next time.
    """
    fresh = GrowthResults(
        aim,
        threads,
        rounds,
        environment=environment(),
        pictures={picture.name: picture.sha256 for picture in pictures},
    )
    results = resumed(path, load_growth, fresh)
    photos = [load_pixels(picture.path) for picture in pictures]
    with tempfile.TemporaryDirectory() as folder:
        growing = _Growing(results, path, Path(folder), start, execute)
        codecs = growing.open(names, photos)
        in_batches = [codec for codec in codecs if codec.command is not None]
        arrays = {shape: _store(mosaic(photos, *shape), Path(folder)) for shape in map(sides, sizes)}
        folders = {count: _store_batch(photos, count, Path(folder)) for count in batches}
        steps = rounds * (len(arrays) * len(codecs) + len(folders) * len(in_batches))
        done = 0
        for number in range(rounds):
            for (shape, array), codec in itertools.product(arrays.items(), codecs):
                growing.size(codec, shape, array, number)
                progress(done := done + 1, steps)
            for (count, files), codec in itertools.product(folders.items(), in_batches):
                growing.batch(codec, count, files, number)
                progress(done := done + 1, steps)
    save_timings(results, path)
    return results


@dataclass(frozen=True, slots=True)
class _Opened:
    """A codec that works here, and its quality, or why none was found.

    command: what names its model and effort on the command line; None where it has no command.
    """

    name: str
    version: str
    quality: int | None
    error: str | None
    command: tuple[str, ...] | None


class _Growing:
    """A run: where its files lie, and what measures."""

    def __init__(self, results: GrowthResults, path: Path, folder: Path, start: Start, execute: Execute) -> None:
        self._results = results
        self._path = path
        self._folder = folder
        self._start = start
        self._execute = execute
        self._threads = results.threads

    def open(self, names: Sequence[str], photos: Sequence[Pixels]) -> list[_Opened]:
        """The codecs that work; rows of another version, and those that failed, go. Raises UsageError without any."""
        sample = _store(mosaic(photos, *sides(MATCH_MEGAPIXELS)), self._folder)
        opened = []
        for name in names:
            try:
                opened.append(self._open(name, sample))
                self._results.unavailable.pop(name, None)
            except ChildError as exc:
                self._results.unavailable[name] = str(exc)
        if not opened:
            raise UsageError("none of the codecs works here: " + "; ".join(self._results.unavailable.values()))
        versions = {codec.name: codec.version for codec in opened}

        def stays(row: SizeRow | BatchRow) -> bool:
            return row.codec not in versions or (row.version == versions[row.codec] and row.error is None)

        self._results.sizes[:] = filter(stays, self._results.sizes)
        self._results.batches[:] = filter(stays, self._results.batches)
        return opened

    def _open(self, name: str, sample: str) -> _Opened:
        aim = self._results.aim
        command = options_of_caecodec(name)
        with self._worker(name) as (worker, version):
            rows: list[SizeRow | BatchRow] = [*self._results.sizes, *self._results.batches]
            known = (row.quality for row in rows if (row.codec, row.version, row.error) == (name, version, None))
            quality, error = next(known, None) if aim.quality is None else aim.quality, None
            if quality is None:
                try:
                    worker.ask("load", pictures=[sample])
                    quality = worker.ask("match", bpp=aim.bpp)["quality"]
                except ChildError as exc:
                    error = str(exc)
        return _Opened(name, version, quality, error, command)

    @contextlib.contextmanager
    def _worker(self, name: str) -> Iterator[tuple[Asked, str]]:
        with contextlib.closing(self._start(self._threads)) as worker:
            yield worker, worker.ask("open", codec=name, threads=self._threads)["version"]

    def size(self, codec: _Opened, shape: tuple[int, int], array: str, number: int) -> None:
        """One round of one codec at one size: encode in a fresh process, decode in another."""
        width, height = shape
        row = SizeRow(codec.name, codec.version, codec.quality, width, height, width * height / 1e6, error=codec.error)
        row = next((known for known in self._results.sizes if known.key == row.key), row)
        if row.error is not None or len(row.decode_s) > number:
            self._keep(self._results.sizes, row)
            return
        coded = str(self._folder / "coded")
        try:
            with self._worker(codec.name) as (worker, _):
                worker.ask("load", pictures=[array])
                encode = worker.ask("encode", quality=codec.quality)["seconds"]
                encode_peak = worker.ask("peak")["mib"]
                worker.ask("save", paths=[coded])
            with self._worker(codec.name) as (worker, _):
                worker.ask("take", paths=[coded])
                decode = worker.ask("decode")["seconds"]
                decode_peak = worker.ask("peak")["mib"]
            row = _with_round(row, encode, decode, encode_peak, decode_peak)
        except ChildError as exc:
            row = replace(row, error=str(exc))
        self._keep(self._results.sizes, row)

    def batch(self, codec: _Opened, count: int, folder: Path, number: int) -> None:
        """One round of one codec on one folder: the command that encodes it, and the one that decodes that."""
        width, height = sides(BATCH_MEGAPIXELS)
        megapixels = count * width * height / 1e6
        row = BatchRow(codec.name, codec.version, codec.quality, count, megapixels, error=codec.error)
        row = next((known for known in self._results.batches if known.key == row.key), row)
        if row.error is not None or len(row.decode_s) > number:
            self._keep(self._results.batches, row)
            return
        coded, shown = str(self._folder / "files"), str(self._folder / "pictures")
        flags = ["-r", "-f", "--quiet", "--output-dir"]
        try:
            quality = ["-q", str(codec.quality), *(codec.command or ())]
            encode = self._execute([*COMMAND, "encode", str(folder), *flags, coded, *quality], self._threads)
            decode = self._execute([*COMMAND, "decode", coded, *flags, shown], self._threads)
            row = _with_round(row, encode.seconds, decode.seconds, encode.peak_mib, decode.peak_mib)
        except ChildError as exc:
            row = replace(row, error=str(exc))
        finally:
            for left in (coded, shown):
                shutil.rmtree(left, ignore_errors=True)
        self._keep(self._results.batches, row)

    def _keep(self, rows: list[Grown], row: Grown) -> None:
        put(rows, row)
        save_timings(self._results, self._path)


def _with_round(row: Grown, encode: float, decode: float, encode_peak: float, decode_peak: float) -> Grown:
    return replace(
        row,
        encode_s=(*row.encode_s, encode),
        decode_s=(*row.decode_s, decode),
        encode_peak_mib=max(encode_peak, row.encode_peak_mib or 0.0),
        decode_peak_mib=max(decode_peak, row.decode_peak_mib or 0.0),
    )


def _store(array: Pixels, folder: Path) -> str:
    path = folder / f"{array.shape[1]}x{array.shape[0]}.npy"
    np.save(path, array)
    return str(path)


def _store_batch(photos: Sequence[Pixels], count: int, folder: Path) -> Path:
    """So many different PNG files in a folder of their own."""
    into = folder / f"batch-{count}"
    into.mkdir()
    for number in range(count):
        made = mosaic(photos, *sides(BATCH_MEGAPIXELS), number)
        Image.fromarray(made).save(into / f"{number:04}.png", compress_level=1)
    return into
