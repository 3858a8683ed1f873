"""Files of pictures -> .cae files: each alone, or many small ones together, one outcome each."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from caecodec.batch.reading import read_picture
from caecodec.batch.watching import Nobody, Watcher
from caecodec.batch.writing import Outcome
from caecodec.files.jobs import Job
from caecodec.files.writing import open_input
from caecodec.format import container
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.pictures.lazy import LazyPixels
from caecodec.pictures.picture import Picture, Pixels
from caecodec.search.effort import DEFAULT_QUALITY, Effort
from caecodec.tune import Tune

if TYPE_CHECKING:  # a picture that cannot be read is refused before codecs are imported
    from caecodec.codecs.codec import Codec
    from caecodec.search.target import Target

Reading = tuple[Job, int, Picture | Exception]  # with the bytes of the file


@dataclass(frozen=True, slots=True)
class Encoding:
    """How pictures are to be encoded; a target takes the place of the quality."""

    quality: int = DEFAULT_QUALITY
    target: Target | None = None
    effort: int = 2
    tune: Tune = "eye"
    model: str | None = None
    device: str = "auto"
    precision: str = "auto"
    engine: str = "auto"
    keep_metadata: bool = True
    preview: bool = True
    limits: Limits = DEFAULT_LIMITS

    def outcomes(self, jobs: Iterable[Job], watcher: Watcher | None = None) -> Iterator[Outcome]:
        """`encoded`."""
        return encoded(jobs, self, watcher)

    def choices(self) -> dict[str, Any]:
        """What decides the bytes of a file, beside the picture: for `caecodec.batch.manifest`. Raises ModelError."""
        from caecodec.codecs.lossless import NAME
        from caecodec.format.container import LOSSLESS_ID
        from caecodec.zoo import find

        target = {} if self.target is None else {k: v for k, v in asdict(self.target).items() if v is not None}
        return {
            "model": LOSSLESS_ID.hex() if self.model == NAME else find.find(self.model).id.hex(),
            "quality": None if target else self.quality,
            **target,
            "effort": self.effort,
            "tune": self.tune,
            "keep_metadata": self.keep_metadata,
            "preview": self.preview and self.target is None,
            "engine": self.engine,
            "device": self.device,
            "precision": self.precision,
        }


def encoded(jobs: Iterable[Job], how: Encoding, watcher: Watcher | None = None) -> Iterator[Outcome]:
    """Read and encode every picture; what goes wrong with one is its outcome.

    Facts: width, height, quality, lossless, bytes, bpp, input_bytes, and seconds: of coding alone, or where many
    are coded together the mean of everything so far. Raises
    KeyboardInterrupt after the outcome of a search that `watcher` ended.
    """
    watcher = watcher or Nobody()
    readings = _read_each(jobs, how, watcher)
    for job, size, picture in readings:
        if isinstance(picture, Exception):
            yield Outcome(job, picture)
            continue
        from caecodec.codecs.opening import open_codec
        from caecodec.search.improve import can_search

        try:
            codec = open_codec(how.model, how.device, how.precision, how.engine)
            codec.load()
        except Exception as exc:
            yield Outcome(job, exc)
            continue
        rest = itertools.chain([(job, size, picture)], readings)
        if how.target is None and codec.batch > 1 and not can_search(codec, Effort(how.effort)):
            yield from _together(codec, rest, how)
        else:
            yield from _one_by_one(codec, rest, how, watcher)


def _read_each(jobs: Iterable[Job], how: Encoding, watcher: Watcher) -> Iterator[Reading]:
    for job in jobs:
        try:
            with open_input(job.source) as stream:
                start = stream.read(2)
                stream.seek(0)
                with watcher.listening(job.source) if start in (b"II", b"MM") else contextlib.nullcontext():
                    lazily = how.target is None  # which looks at the whole picture again and again
                    picture = read_picture(stream, how.limits, keep_metadata=how.keep_metadata, lazily=lazily)
                if isinstance(picture.colour, LazyPixels) and picture.colour.held:  # by a library
                    picture = replace(picture, colour=_listened(picture.colour, watcher.listening, job.source))
                size = stream.seek(0, os.SEEK_END)
            for note in picture.notes:
                watcher.note(job.source, note)
        except Exception as exc:
            yield job, 0, exc
        else:
            yield job, size, picture


def _listened(colour: LazyPixels, listening: Callable[[str], AbstractContextManager[None]], source: str) -> LazyPixels:
    """The same; what libraries print while a part is read is caught as well."""

    def read(rows: range, columns: range) -> Pixels:
        with listening(source):
            return colour.read(rows, columns)

    return replace(colour, read=read)


def _one_by_one(codec: Codec, readings: Iterable[Reading], how: Encoding, watcher: Watcher) -> Iterator[Outcome]:
    from caecodec.search import choice, target

    for job, size, picture in readings:
        if isinstance(picture, Exception):
            yield Outcome(job, picture)
            continue
        start = time.perf_counter()
        try:
            with watcher.progress(job.source) as progress, watcher.interruptible(how.effort > 2) as interrupted:
                effort = Effort(how.effort, interrupted, how.tune)
                if how.target is not None:
                    found = target.encode_to_target(codec, picture, how.target, progress, effort)
                    data, quality = found.data, found.quality
                else:
                    data = choice.encode(codec, picture, how.quality, progress, effort, preview=how.preview)
                    quality = how.quality
        except Exception as exc:
            yield Outcome(job, exc)
            continue
        yield Outcome(job, data, _facts(picture, data, quality, size, time.perf_counter() - start))
        if interrupted():
            watcher.interrupted(job.source)
            raise KeyboardInterrupt


def _together(codec: Codec, readings: Iterable[Reading], how: Encoding) -> Iterator[Outcome]:
    from caecodec.batch import together

    def pictures() -> Iterator[tuple[tuple[Job, int], Picture | Exception]]:
        for job, size, picture in readings:
            try:
                if isinstance(picture, Exception):
                    raise picture
                codec.check(picture)
            except Exception as exc:
                yield (job, size), exc
            else:
                yield (job, size), picture

    start = time.perf_counter()
    count = 0
    for (job, size), coded, made in together.encoded(codec, pictures(), how.quality):
        if isinstance(made, Exception) or coded is None:
            yield Outcome(job, made)
            continue
        count += 1  # many are done at once: what each took is the mean so far
        yield Outcome(job, made, _facts(coded, made, how.quality, size, (time.perf_counter() - start) / count))


def _facts(picture: Picture, data: bytes, quality: int, size: int, seconds: float) -> dict[str, Any]:
    return {
        "width": picture.width,
        "height": picture.height,
        "quality": quality,
        "lossless": container.is_lossless(data),
        "bytes": len(data),
        "bpp": 8 * len(data) / (picture.width * picture.height),
        "input_bytes": size,
        "seconds": seconds,
    }
