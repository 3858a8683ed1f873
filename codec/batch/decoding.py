""".cae files -> files of pictures: each alone, or many small ones together, one outcome each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decoding:
    """How files are to be decoded; `suffix` names the format of the pictures."""

    suffix: str = ".png"
    device: str = "auto"
    precision: str = "auto"
    engine: str = "auto"
    limits: Limits = DEFAULT_LIMITS

    def outcomes(self, jobs: Iterable[Job], watcher: Watcher | None = None) -> Iterator[Outcome]:
        """`decoded`."""
        return decoded(jobs, self, watcher)

    def choices(self) -> dict[str, Any]:
        """What decides the bytes of a picture, beside its file: for `caecodec.batch.manifest`."""
        return {"suffix": self.suffix, "precision": self.precision}


def decoded(jobs: Iterable[Job], how: Decoding, watcher: Watcher | None = None) -> Iterator[Outcome]:
    """Read and decode every file; what goes wrong with one is its outcome.

    Facts: width, height, bytes; input_bytes, quality and model (id) of the file; and seconds without those of loading
    libraries and models.
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

    def alone(codec: Codec, key: tuple[Job, Facts], parsed: Container) -> Picture:
        with told.progress(key[0].source) as progress:
            return codec.decode(parsed, progress)

    start = time.perf_counter()
    for (job, of_file), made in together.decoded(_parse_each(jobs, how.limits), opened, alone):
        try:
            if isinstance(made, Exception):
                raise made
            saved = saving.saved(made, how.suffix)
        except Exception as exc:
            yield Outcome(job, exc)
        else:
            seconds = time.perf_counter() - start - loading
            sizes = {"width": made.width, "height": made.height, "bytes": len(saved)}
            yield Outcome(job, saved, sizes | of_file | {"seconds": seconds})
        start, loading = time.perf_counter(), 0.0


def _parse_each(jobs: Iterable[Job], limits: Limits) -> Iterator[tuple[tuple[Job, Facts], Container | Exception]]:
    for job in jobs:
        try:
            data = read_bytes(job.source)
            parsed = container.parse(data, limits)
        except Exception as exc:
            yield (job, {}), exc
        else:
            of_file = {"input_bytes": len(data), "quality": parsed.quality, "model": parsed.model_id.hex()}
            yield (job, of_file), parsed
