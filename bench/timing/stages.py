"""Where the time of encoding and decoding a photograph goes, stage by stage, in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caecodec.bench.table import NOTHING, Table
from caecodec.bench.timing.clock import THE_REST, Clock
from caecodec.bench.timing.processes import child_environment
from caecodec.codecs.opening import open_codec
from caecodec.codecs.photo import PhotoCodec
from caecodec.engines.native.library import THREADS_VARIABLE
from caecodec.errors import UsageError
from caecodec.format import container
from caecodec.pictures import cells
from caecodec.pictures.picture import Picture
from caecodec.search import choice

# the names that `caecodec.stages.stage` gives to parts of the codec, in the order of the table: on the core latents are
# one stage, entropy network and coder together, on numpy those below it
STAGES = (
    *("g_a", "g_s", "latents", "integers: h_s", "integers: context", "integers: heads"),
    *("rounding", "entropy coder", "latents, the rest", "lossless look"),
)
LATENTS = ("latents", "integers", "rounding", "entropy coder")
# cells that a layer is computed for, of each cell of y: the first name that a tensor's begins with counts
_PLACES = {
    "encode": (
        *(("g_a.stem", 4.0), ("g_a.blocks", 4.0), ("g_a", 1.0)),
        *(("h_a.down2", 1 / 16), ("h_a.down1", 1 / 4), ("h_a.block2", 1 / 4), ("h_a", 1.0)),
    ),
    "decode": (("g_s.blocks", 4.0), ("g_s.head", 4.0), ("g_s", 1.0)),
}


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Seconds of every stage, of everything, and what the networks reached."""

    seconds: dict[str, float]  # in the order of STAGES, then 'the rest'
    total: float
    gigamacs: float  # a second, of g_a and h_a, or of g_s

    def share(self, *prefixes: str) -> float:
        """Part of the whole that the stages whose names begin so take, 0..1."""
        return sum(s for name, s in self.seconds.items() if name.startswith(prefixes)) / self.total


def fastest(clock: Clock, work: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Seconds by stage of the fastest of `rounds`, after one that is not counted."""
    work()
    return min((clock.lap(work) for _ in range(rounds)), key=lambda seconds: sum(seconds.values()))


def breakdown(
    picture: Picture, quality: int, *, model: str | None = None, threads: int | None = None, rounds: int = 5
) -> dict[str, Breakdown]:
    """'encode' and 'decode' of a picture in memory, with warm networks.

    Raises UsageError for a model of another family, and for a picture that is kept losslessly.
    """
    coder, clock = _photo_codec(model), Clock(STAGES)
    parsed = _coded(coder, picture, quality)
    works: dict[str, tuple[str, Callable[[], object]]] = {
        "encode": ("g_a", lambda: choice.encode(coder, picture, quality)),
        "decode": ("g_s", lambda: coder.decode(parsed)),
    }
    found = {}
    with threads_of_the_core(threads):
        for name, (network, work) in works.items():
            seconds = fastest(clock, work, rounds)
            reached = macs(coder, name, picture) / seconds[network] / 1e9
            found[name] = Breakdown(seconds, sum(seconds.values()), reached)
    return found


@contextmanager
def threads_of_the_core(count: int | None) -> Iterator[None]:
    """Within, the core takes so many threads; as many as it would without a number."""
    before = os.environ.get(THREADS_VARIABLE)
    if count is not None:
        os.environ[THREADS_VARIABLE] = str(count)
    try:
        yield
    finally:
        if count is not None:
            del os.environ[THREADS_VARIABLE]
            if before is not None:
                os.environ[THREADS_VARIABLE] = before


def _photo_codec(model: str | None) -> PhotoCodec:
    coder = open_codec(model)
    if not isinstance(coder, PhotoCodec):
        raise UsageError("only photo models are broken down into stages")
    return coder


def _coded(coder: PhotoCodec, picture: Picture, quality: int) -> container.Container:
    """A file of the network's. Raises UsageError where the picture is better kept losslessly."""
    data = choice.encode(coder, picture, quality)
    if container.is_lossless(data):
        raise UsageError("this picture is kept losslessly: no network codes it")
    return container.parse(data)


def macs(coder: PhotoCodec, direction: str, picture: Picture) -> float:
    """Multiply-accumulates of g_a and h_a ('encode') or of g_s ('decode'), without halos."""
    high, wide = cells.count(picture.width, picture.height)
    found = 0.0
    for name, tensor in coder.model.tensors.items():
        if name.endswith(".weight"):
            places = next((places for prefix, places in _PLACES[direction] if name.startswith(prefix)), 0.0)
            found += tensor.size * places
    return found * high * wide


_COLD = """
import json, sys, time
marks = {"python": time.time()}
import numpy
marks["import numpy"] = time.time()
from caecodec.codecs import opening, photo
from caecodec.format import container
from caecodec.pictures.saving import saved
marks["import the rest"] = time.time()
parsed = container.parse(open(sys.argv[1], "rb").read())
coder = opening.open_codec(parsed.model_id)
coder.load()
marks["weights and networks"] = time.time()
picture = coder.decode(parsed)
marks["first picture"] = time.time()
open(sys.argv[2], "wb").write(saved(picture, ".png"))
marks["write PNG"] = time.time()
coder.decode(parsed)
print(json.dumps(marks | {"warm": time.time()}))
"""


def cold_start(data: bytes, threads: int, rounds: int = 5) -> dict[str, float]:
    """Seconds of each part of decoding one file in a new process, medians: in order, then 'warm', a second decode."""
    runs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        coded, target = Path(folder) / "a.cae", Path(folder) / "a.png"
        coded.write_bytes(data)
        for _ in range(rounds):
            start = time.time()
            done = subprocess.run(
                [sys.executable, "-c", _COLD, str(coded), str(target)],
                env=child_environment(threads), capture_output=True, text=True, check=True,
            )  # fmt: skip
            marks: dict[str, float] = json.loads(done.stdout)
            ends = [start, *marks.values()]
            runs.append({name: end - begin for name, begin, end in zip(marks, ends, ends[1:], strict=False)})
    return {name: sorted(run[name] for run in runs)[rounds // 2] for name in runs[0]}


def stage_table(picture: Picture, quality: int, threads: list[int], rounds: int, model: str | None = None) -> Table:
    """Milliseconds a megapixel of every stage, one column for each direction and number of threads."""
    megapixels = picture.width * picture.height / 1e6
    columns: dict[str, Breakdown] = {}
    for count in threads:
        for direction, found in breakdown(picture, quality, model=model, threads=count, rounds=rounds).items():
            columns[f"{direction}, {count}"] = found
    rows = [
        (stage, *(_number(found.seconds[stage] * 1000 / megapixels) for found in columns.values()))
        for stage in (*STAGES, THE_REST)
        if any(found.seconds[stage] for found in columns.values())
    ]
    rows += [
        ("all", *(f"{found.total * 1000 / megapixels:.0f}" for found in columns.values())),
        ("MP/s", *(f"{megapixels / found.total:.2f}" for found in columns.values())),
        ("GMAC/s of g_a or g_s", *(f"{found.gigamacs:.0f}" for found in columns.values())),
        ("latents, %", *(f"{100 * found.share(*LATENTS):.0f}" for found in columns.values())),
    ]
    return Table(("ms a megapixel", *columns), tuple(rows))


def _number(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds else NOTHING


def cold_table(data: bytes, threads: int, rounds: int) -> Table:
    """The parts of a cold start, in milliseconds."""
    parts = cold_start(data, threads, rounds)
    whole = sum(seconds for name, seconds in parts.items() if name != "warm")
    rows = [(name, f"{1000 * seconds:.0f}") for name, seconds in parts.items() if name != "warm"]
    rows += [("all", f"{1000 * whole:.0f}"), ("a second picture", f"{1000 * parts['warm']:.0f}")]
    return Table(("decode, a new process", "ms"), tuple(rows))
