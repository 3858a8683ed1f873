""".cae files -> files of pictures: each alone, or many small ones together, one outcome each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caecodec.batch.watching import Nobody, Watcher
from caecodec.batch.writing import Outcome
from caecodec.files.jobs import Job
from caecodec.files.writing import read_bytes
from caecodec.format import container
from caecodec.format.container import Container
from caecodec.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:  # a bad file is refused before torch is imported
    from caecodec.codecs.codec import Codec
    from caecodec.pictures.picture import Picture


@dataclass(frozen=True, slots=True)
class Decoding:
    """How files are to be decoded; `suffix` names the format of the pictures."""

    suffix: str = ".png"
    device: str = "auto"
    precision: str = "auto"
    engine: str = "auto"
    limits: Limits = DEFAULT_LIMITS


def decoded(jobs: Iterable[Job], how: Decoding, watcher: Watcher | None = None) -> Iterator[Outcome]:
    """Read and decode every file; what goes wrong with one is its outcome.

    Facts: width, height, bytes, input_bytes, and seconds without those of loading libraries and models.
    """
    from caecodec.batch import together
    from caecodec.pictures import saving

    told = watcher or Nobody()
    loading = 0.0

    def opened(model_id: bytes) -> Codec:
        nonlocal loading
        start = time.perf_counter()
        from caecodec.codecs.opening import open_codec

        codec = open_codec(model_id, how.device, how.precision, how.engine)
        codec.load()
        loading += time.perf_counter() - start
        return codec

    def alone(codec: Codec, key: tuple[Job, int], parsed: Container) -> Picture:
        with told.progress(key[0].source) as progress:
            return codec.decode(parsed, progress)

    start = time.perf_counter()
    for (job, size), made in together.decoded(_parse_each(jobs, how.limits), opened, alone):
        try:
            if isinstance(made, Exception):
                raise made
            saved = saving.saved(made, how.suffix)
        except Exception as exc:
            yield Outcome(job, exc)
        else:
            seconds = time.perf_counter() - start - loading
            sizes = {"width": made.width, "height": made.height, "bytes": len(saved), "input_bytes": size}
            yield Outcome(job, saved, sizes | {"seconds": seconds})
        start, loading = time.perf_counter(), 0.0


def _parse_each(jobs: Iterable[Job], limits: Limits) -> Iterator[tuple[tuple[Job, int], Container | Exception]]:
    for job in jobs:
        try:
            data = read_bytes(job.source)
            yield (job, len(data)), container.parse(data, limits)
        except Exception as exc:
            yield (job, 0), exc
