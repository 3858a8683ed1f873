"""Run codecs over pictures: every (codec, quality, picture) becomes a row of a results file.

A run picks up where the last one ended: what is in the file, of the same codec version and the same pixels, stays. A
metric that another implementation measured (`metrics.Metric.stored`) counts as not measured.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from caecodec.bench.codecs import parts
from caecodec.bench.codecs.protocol import BenchCodec
from caecodec.bench.environment import environment
from caecodec.bench.metrics import metrics
from caecodec.bench.pictures import Picture, Pixels, load_pixels
from caecodec.bench.rd.results import Results, Row, load_rd, save_rd

_SAVE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Task:
    """One measurement to make."""

    codec: BenchCodec
    quality: int
    picture: Picture
    metrics: tuple[str, ...] = ()  # beside PSNR
    keep: Path | None = None  # folder that the file goes into
    timed: bool = False  # note how long encoding takes

    @property
    def file(self) -> Path | None:
        """Where the file is kept."""
        name = f"{self.picture.name}-q{self.quality}.{self.codec.extension}"
        return None if self.keep is None else self.keep / self.codec.name / name

    @property
    def key(self) -> tuple[str, int, str]:
        """As of the row that it makes."""
        return self.codec.name, self.quality, self.picture.name


def measure_task(task: Task) -> Row:
    """Encode, decode and compare; whatever the codec raises becomes the row's error."""
    codec, picture = task.codec, task.picture
    row = functools.partial(Row, codec.name, codec.version, task.quality, picture.name, picture.width, picture.height)
    try:
        pixels = _load_cached(picture.path, picture.crop, picture.sha256)
        if task.timed:
            _warm_up(codec)
        start = time.perf_counter()
        data = codec.encode(pixels, task.quality)
        seconds = time.perf_counter() - start
        shown = codec.decode(data)
        error = metrics.mse(pixels, shown)
        found: dict[str, Any] = {}
        for name in task.metrics:
            value = metrics.measure(name, pixels, shown)
            found[name] = None if value is None else round(value, 6)
        made = row(
            bytes=len(data),
            psnr=round(metrics.psnr(error), 6),
            mse=round(error, 6),
            parts=parts.of(codec, data),
            encode_s=round(seconds, 4) if task.timed else None,
            **found,
        )
        if task.file is not None:
            task.file.parent.mkdir(parents=True, exist_ok=True)
            task.file.write_bytes(data)
    except Exception as exc:  # a codec that fails is a result
        return row(error=f"{type(exc).__name__}: {exc}")
    return made


_warm: set[str] = set()  # names of codecs, in this process


def _warm_up(codec: BenchCodec) -> None:
    """Let a codec load what it needs, so that no measured call does."""
    if codec.name not in _warm:
        codec.encode(np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8), codec.qualities[0])
        _warm.add(codec.name)


@functools.lru_cache(maxsize=2)
def _load_cached(path: Path, crop: int | None, _sha256: str) -> Pixels:
    return load_pixels(path, crop)


def measure_rd(
    codecs: Sequence[BenchCodec],
    pictures: Sequence[Picture],
    path: Path,
    *,
    qualities: Sequence[int] | None = None,
    asked: tuple[str, ...] = (),
    keep: Path | None = None,
    timed: bool = False,
    processes: int = 1,
    unavailable: dict[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Results:
    """Measure what `path` does not hold yet, and keep `path` up to date while at it.

    `qualities` None takes each codec's grid. `asked` are metrics beside PSNR. `keep` is a folder that every file goes
    into as CODEC/PICTURE-qQUALITY.EXTENSION. `timed` notes the seconds of encoding. Rows that failed, lack what was
    asked for, or whose file is not there, are measured again, and stay until they are. Worker processes take one thread
    each if the environment says so (OMP_NUM_THREADS), as the command sees to.
    """
    known = load_rd(path) if path.exists() else Results()
    wanted = [
        Task(codec, quality, picture, asked, keep, timed)
        for codec in codecs
        for picture in pictures
        for quality in (qualities or codec.qualities)
    ]
    rows = {row.key: row for row in _still_valid(known, wanted)}
    known.pictures.update({picture.name: picture.sha256 for picture in pictures})
    known.environment = environment() | {
        "codecs": known.environment.get("codecs", {}) | {codec.name: codec.version for codec in codecs}
    }
    reasons = known.unavailable | (unavailable or {})
    known.unavailable = {name: why for name, why in reasons.items() if name not in {codec.name for codec in codecs}}
    tasks = [task for task in wanted if task.key not in rows or not _done(rows[task.key], task)]
    saved = time.monotonic()
    try:
        for done, row in enumerate(_measure_all(tasks, processes), 1):
            rows[row.key] = row
            progress(done, len(tasks))
            if time.monotonic() - saved > _SAVE_SECONDS:
                known.rows = list(rows.values())
                save_rd(known, path)
                saved = time.monotonic()
    finally:
        known.rows = list(rows.values())
        order = {name: place for place, name in enumerate(known.codecs)}
        known.rows.sort(key=lambda r: (order[r.codec], r.picture, r.quality))
        save_rd(known, path)
    return known


def _still_valid(known: Results, wanted: Sequence[Task]) -> Iterator[Row]:
    """Rows of the same version and pixels; what is to be measured again stays until it is."""
    versions = {task.codec.name: task.codec.version for task in wanted}
    hashes = {task.picture.name: task.picture.sha256 for task in wanted}
    for row in known.rows:
        same_codec = versions.get(row.codec, row.version) == row.version
        known_hash = known.pictures.get(row.picture)
        same_pixels = hashes.get(row.picture, known_hash) == known_hash
        if same_codec and same_pixels:
            yield row


def _done(row: Row, task: Task) -> bool:
    kept = task.file is None or (task.file.is_file() and task.file.stat().st_size == row.bytes)
    timed = row.encode_s is not None or not task.timed
    return row.error is None and not row.lacks(task.metrics) and kept and timed


def _measure_all(tasks: Sequence[Task], processes: int) -> Iterator[Row]:
    if processes == 1 or len(tasks) < 2:
        yield from map(measure_task, tasks)
        return
    # spawn: a forked torch can hang
    with ProcessPoolExecutor(min(processes, len(tasks)), mp_context=get_context("spawn")) as pool:
        futures: dict[Future[Row], Task] = {pool.submit(measure_task, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield _outcome(future, futures[future])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _outcome(future: Future[Row], task: Task) -> Row:
    try:
        return future.result()
    except Exception as exc:  # the worker died: the codec crashed, or memory ran out
        codec, picture = task.codec, task.picture
        error = f"{type(exc).__name__}: {exc}"
        return Row(codec.name, codec.version, task.quality, picture.name, picture.width, picture.height, error=error)
