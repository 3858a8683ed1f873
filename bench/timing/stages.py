"""Where the time of encoding and decoding a photograph goes, stage by stage, in this process."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from caecodec.bench.table import NOTHING, Table
from caecodec.bench.timing.processes import child_environment
from caecodec.codecs import lossless, opening, photo
from caecodec.engines.torch.photo import Engine
from caecodec.entropy import fixed_point, tables
from caecodec.errors import UsageError
from caecodec.format import container
from caecodec.latents import photo as latents
from caecodec.pictures.picture import Picture

# stage -> the functions it is made of; what a stage calls that is a stage itself counts there
STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "g_a": ((Engine, "analyse"),),
    "g_s": ((Engine, "synthesise"),),
    "integers: h_s": ((fixed_point.EntropyNetwork, "hyper"),),
    "integers: context": ((fixed_point.EntropyNetwork, "features"),),
    "integers: heads": ((fixed_point.EntropyNetwork, "parameters"),),
    "rounding": ((latents, "quantise"),),
    "entropy coder": ((tables.Encoder, "encode"), (tables.Encoder, "finish"), (tables.Decoder, "decode")),
    "latents, the rest": ((latents.LatentCodec, "_walk"), (latents, "check")),
    "lossless look": ((lossless, "promising"),),
}


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Seconds of every stage, of everything, and what the convolutions reached."""

    seconds: dict[str, float]  # in the order of STAGES, then "the rest"
    total: float
    gigamacs: float  # of g_a and h_a, or of g_s

    def share(self, *prefixes: str) -> float:
        """Part of the whole that the stages whose names begin so take, 0..1."""
        return sum(s for name, s in self.seconds.items() if name.startswith(prefixes)) / self.total


class _Clock:
    """Exclusive time by stage: entering an inner stage stops the outer one."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys((*STAGES, "the rest"), 0.0)
        self._stack = ["the rest"]
        self._since = time.perf_counter()

    def switch(self) -> None:
        """Charge what has passed to the innermost stage."""
        now = time.perf_counter()
        self.seconds[self._stack[-1]] += now - self._since
        self._since = now

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, charged to `stage`."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.switch()
            self._stack.append(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self.switch()
                self._stack.pop()

        return call


@contextmanager
def _watched() -> Iterator[_Clock]:
    clock = _Clock()
    with ExitStack() as stack:
        for stage, members in STAGES.items():
            for owner, name in members:
                stack.enter_context(mock.patch.object(owner, name, clock.timed(stage, getattr(owner, name))))
        yield clock
        clock.switch()


def measure(work: Callable[[], Any], rounds: int) -> tuple[dict[str, float], float]:
    """Seconds by stage and in all of the fastest of `rounds`, after one that is not counted."""
    work()
    best: tuple[dict[str, float], float] | None = None
    for _ in range(rounds):
        with _watched() as clock:
            work()
        total = sum(clock.seconds.values())
        if best is None or total < best[1]:
            best = clock.seconds, total
    assert best is not None
    return best


def breakdown(
    picture: Picture, quality: int, *, model: str | None = None, threads: int | None = None, rounds: int = 5
) -> dict[str, Breakdown]:
    """'encode' and 'decode' of a picture in memory, with warm networks.

    Raises UsageError for a model of another family, and for a picture that is kept losslessly.
    """
    coder = _photo_codec(model)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        parsed = _coded(coder, picture, quality)
        found = {}
        for name, stage, work in (
            ("encode", "g_a", lambda: coder.encode(picture, quality)),
            ("decode", "g_s", lambda: coder.decode(parsed)),
        ):
            seconds, total = measure(work, rounds)
            found[name] = Breakdown(seconds, total, _macs(Engine, STAGES[stage][0][1], work) / seconds[stage] / 1e9)
        return found
    finally:
        torch.set_num_threads(before)


def _photo_codec(model: str | None) -> photo.PhotoCodec:
    coder = opening.open_codec(model)
    if not isinstance(coder, photo.PhotoCodec):
        raise UsageError("only photo models are broken down into stages")
    return coder


def _coded(coder: photo.PhotoCodec, picture: Picture, quality: int) -> container.Container:
    """A file of the network's. Raises UsageError where the picture is better kept losslessly."""
    data = coder.encode(picture, quality)
    if container.is_lossless(data):
        raise UsageError("this picture is kept losslessly: no network codes it")
    return container.parse(data)


def _macs(owner: type, method: str, work: Callable[[], Any]) -> float:
    """Multiply-accumulates of all calls of one method in `work`."""
    usual, found = getattr(owner, method), 0.0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal found
        with FlopCounterMode(display=False) as counter:
            result = usual(*args, **kwargs)
        found += counter.get_total_flops() / 2
        return result

    with mock.patch.object(owner, method, counted):
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
    analysis, synthesis = coder.engine.networks
    return (
        alone(analysis, lambda: coder.encode(picture, quality)),
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
from caecodec.pictures import picture as pictures
marks["import the rest"] = time.time()
parsed = container.parse(open(sys.argv[1], "rb").read())
coder = opening.open_codec(parsed.model_id)
marks["weights and networks"] = time.time()
picture = coder.decode(parsed)
marks["first picture"] = time.time()
pictures.to_image(picture).save(sys.argv[2])
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
        for stage in (*STAGES, "the rest")
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
