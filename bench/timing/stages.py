"""Where the time of encoding and decoding a photograph goes, stage by stage, in this process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from caecodec import stages
from caecodec.bench.table import NOTHING, Table
from caecodec.bench.timing.clock import THE_REST, Clock
from caecodec.bench.timing.processes import child_environment
from caecodec.codecs.opening import open_codec
from caecodec.codecs.photo import PhotoCodec
from caecodec.engines.torch.photo import TorchPhotoEngine
from caecodec.errors import UsageError
from caecodec.format import container
from caecodec.pictures.picture import Picture
from caecodec.search import choice

# the names that `caecodec.stages.stage` gives to parts of the codec, in the order of the table
STAGES = (
    *("g_a", "g_s", "integers: h_s", "integers: context", "integers: heads"),
    *("rounding", "entropy coder", "latents, the rest", "lossless look"),
)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Seconds of every stage, of everything, and what the convolutions reached."""

    seconds: dict[str, float]  # in the order of STAGES, then 'the rest'
    total: float
    gigamacs: float  # of g_a and h_a, or of g_s

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
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        parsed = _coded(coder, picture, quality)

        works = {
            "encode": ("g_a", lambda: choice.encode(coder, picture, quality)),
            "decode": ("g_s", lambda: coder.decode(parsed)),
        }
        found = {}
        for name, (network, work) in works.items():
            seconds = fastest(clock, work, rounds)
            found[name] = Breakdown(seconds, sum(seconds.values()), macs(network, work) / seconds[network] / 1e9)
        return found
    finally:
        torch.set_num_threads(before)


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


def macs(stage: str, work: Callable[[], object]) -> float:
    """Multiply-accumulates of all that one stage does in `work`."""
    found = 0.0

    @contextmanager
    def counting(name: str) -> Iterator[None]:
        nonlocal found
        if name != stage:
            yield
            return
        with FlopCounterMode(display=False) as counter:
            yield
        found += counter.get_total_flops() / 2

    with stages.watched(counting):
        work()
    return found


def alone(network: nn.Module, run: Callable[[], Any], rounds: int = 5) -> float:
    """GMAC/s of a network's convolutions and matrix products when each runs by itself on what it is given."""
    seen: list[tuple[nn.Module, Any]] = []
    hooks = [
        layer.register_forward_pre_hook(lambda module, args: seen.append((module, args)))
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    seconds = macs = 0.0
    with torch.inference_mode():
        for layer, args in seen:
            with FlopCounterMode(display=False) as counter:
                layer(*args)
            macs += counter.get_total_flops() / 2
            times = []
            for _ in range(rounds):
                start = time.perf_counter()
                layer(*args)
                times.append(time.perf_counter() - start)
            seconds += min(times)
    return macs / seconds / 1e9


def alone_of(picture: Picture, quality: int, model: str | None = None) -> tuple[float, float]:
    """(g_a, g_s): what `alone` finds for the networks of a photo model, on the threads torch has. Raises UsageError."""
    coder = _photo_codec(model)
    parsed = _coded(coder, picture, quality)
    assert isinstance(coder.engine, TorchPhotoEngine)
    analysis, synthesis = coder.engine.networks
    return (
        alone(analysis, lambda: choice.encode(coder, picture, quality)),
        alone(synthesis, lambda: coder.decode(parsed)),
    )


_COLD = """
import json, sys, time
marks = {"python": time.time()}
from caecodec.engines.torch import start
start.load()
marks["import torch"] = time.time()
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
    ]
    rows += [
        ("all", *(f"{found.total * 1000 / megapixels:.0f}" for found in columns.values())),
        ("MP/s", *(f"{megapixels / found.total:.2f}" for found in columns.values())),
        ("GMAC/s of g_a or g_s", *(f"{found.gigamacs:.0f}" for found in columns.values())),
        ("integer network, %", *(f"{100 * found.share('integers'):.0f}" for found in columns.values())),
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
