""".cae files -> files of pictures: each alone, or many small ones together, one outcome each."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caecodec.batch.watching import Nobody, Watcher
from caecodec.batch.writing import Outcome
from caecodec.files.jobs import Job
from caecodec.files.writing import Filled, filled, read_bytes
from caecodec.format import container
from caecodec.format.container import Container
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.tune import quality_of, tune_of

if TYPE_CHECKING:  # a bad file is refused before torch is imported
    from caecodec.codecs.codec import Codec
    from caecodec.pictures.picture import Picture

Facts = dict[str, Any]


_LARGE = 1 << 26  # pixels
HELD_PIXELS = 1 << 22  # up to which a picture is held whole and written by Pillow


@dataclass(frozen=True, slots=True)
class Written:
    """A picture that was written while it was decoded."""

    width: int
    height: int
    output: Filled


@dataclass(frozen=True, slots=True)
class Decoding:
    """How files are to be decoded; `suffix` names the format of the pictures."""

    suffix: str = ".png"
    device: str = "auto"
    precision: str = "auto"
    engine: str = "auto"
    limits: Limits = DEFAULT_LIMITS
    region: tuple[int, int, int, int] | None = None
    scale: float = 1
    depth: int = 8

    def outcomes(self, jobs: Iterable[Job], watcher: Watcher | None = None) -> Iterator[Outcome]:
        """`decoded`."""
        return decoded(jobs, self, watcher)

    def choices(self) -> dict[str, Any]:
        """What decides the bytes of a picture, beside its file: for `caecodec.batch.manifest`."""
        view = {"region": self.region, "scale": self.scale, "depth": self.depth}
        return {
            "suffix": self.suffix,
            "engine": self.engine,
            "device": self.device,
            "precision": self.precision,
            **view,
        }


def decoded(jobs: Iterable[Job], how: Decoding, watcher: Watcher | None = None) -> Iterator[Outcome]:
    """Read and decode every file; what goes wrong with one is its outcome.

    Facts: width, height, bytes; input_bytes, quality and model (id) of the file; and seconds without those of loading
    libraries and models.
    """
    from caecodec.batch import together
    from caecodec.pictures import saving
    from caecodec.pictures.view import View

    view = View.of(how.region, how.scale, how.depth)
    saving.check_depth(how.suffix, how.depth)
    writer = saving.rows_writer(how.suffix)

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

    def alone(codec: Codec, key: tuple[Job, Facts], one: Container) -> Picture | Written:
        from caecodec.codecs import opening

        pixels = one.width * one.height
        if view.whole and pixels > _LARGE:  # a file of any size may state it: what is coming is said before it is done
            size = f"{one.width}x{one.height}, {pixels / 1e6:.0f} megapixels"
            told.note(key[0].source, f"{size}: this takes its time")
        opening.check_alpha(one, how.limits)
        with told.progress(key[0].source) as progress:
            rows = codec.rows(one, view, progress)
            for text in saving.dropped(rows, how.suffix):
                told.note(key[0].source, text)
            if writer is None or (how.depth == 8 and rows.width * rows.height <= HELD_PIXELS):
                how.limits.check_decoding(rows.width, rows.height, alpha=rows.channels in (2, 4))
                return rows.picture()
            return Written(rows.width, rows.height, filled(key[0].target, functools.partial(writer, rows)))

    start = time.perf_counter()
    parsed = _parse_each(jobs, how.limits)
    for (job, of_file), made in together.decoded(parsed, opened, alone, apart=not view.whole):
        try:
            if isinstance(made, Exception):
                raise made
            saved = made.output if isinstance(made, Written) else saving.saved(made, how.suffix)
        except Exception as exc:
            yield Outcome(job, exc)
        else:
            seconds = time.perf_counter() - start - loading
            written = saved.size if isinstance(saved, Filled) else len(saved)
            sizes = {"width": made.width, "height": made.height, "bytes": written}
            yield Outcome(job, saved, sizes | of_file | {"seconds": seconds})
        start, loading = time.perf_counter(), 0.0


def _parse_each(jobs: Iterable[Job], limits: Limits) -> Iterator[tuple[tuple[Job, Facts], Container | Exception]]:
    for job in jobs:
        try:
            data = read_bytes(job.source)
            size, parsed = len(data), container.parse(data, limits)
            del data  # a copy of each tile is in what was parsed
            of_file = {
                "input_bytes": size,
                "quality": quality_of(parsed.quality),
                "tune": tune_of(parsed.quality),
                "model": parsed.model_id.hex(),
            }
            yield (job, of_file), parsed
        except Exception as exc:
            yield (job, {}), exc
