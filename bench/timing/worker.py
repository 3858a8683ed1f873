"""The process that measures one codec: requests as lines of JSON on standard input, replies on standard output.

`python -m caecodec.bench.timing.worker THREADS`; see `caecodec.bench.timing.processes.Worker`. It imports what its
codec needs and takes pictures as .npy files, so that no other decoder's memory is counted.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from caecodec.bench.codecs.match import nearest
from caecodec.bench.codecs.ours import CaecodecCodec
from caecodec.bench.codecs.pillow import PillowCodec
from caecodec.bench.codecs.protocol import BenchCodec, with_threads
from caecodec.bench.codecs.registry import open_codec
from caecodec.bench.metrics import metrics
from caecodec.bench.pictures import Pixels
from caecodec.bench.timing import cold
from caecodec.bench.timing.processes import limit_cores, peak_mib, rusage_mib

Reply = dict[str, Any]


class Session:
    """One codec, the pictures it works on and their files."""

    def __init__(self) -> None:
        self._codec: BenchCodec | None = None
        self._arrays: list[Pixels] = []
        self._files: list[bytes] = []
        self._children = _faults_of_children()

    @property
    def codec(self) -> BenchCodec:
        """Raises ValueError before `open`."""
        if self._codec is None:
            raise ValueError("no codec is open")
        return self._codec

    def answer(self, request: Reply) -> Reply:
        """Do what is asked; whatever goes wrong is the reply's error."""
        requests: dict[str, Callable[..., Reply]] = {
            "open": self.open,
            "load": self.load,
            "match": self.match,
            "encode": self.encode,
            "decode": self.decode,
            "measure": self.measure,
            "save": self.save,
            "take": self.take,
            "commands": self.commands,
            "peak": self.peak,
        }
        arguments = dict(request)
        try:
            return requests[arguments.pop("do")](**arguments)
        except Exception as exc:  # a codec that fails is a result
            return {"error": f"{type(exc).__name__}: {exc}"}

    def open(self, codec: str, threads: int) -> Reply:
        """Raises UsageError where it does not work here. `threads` of the reply: see `told_threads`."""
        self._codec = with_threads(open_codec(codec), threads)
        self._children = _faults_of_children()  # those of its start are not of its work
        # torch and numpy took theirs from the environment
        told = threads if isinstance(self._codec, CaecodecCodec) else told_threads(self._codec)
        return {"version": self._codec.version, "threads": told}

    def load(self, pictures: list[str]) -> Reply:
        self._arrays = [np.load(path) for path in pictures]
        return {}

    def match(self, bpp: float) -> Reply:
        """The quality whose mean rate is nearest; one pass over the pictures for each quality that is tried."""
        qualities = self.codec.qualities
        return {"quality": nearest(self._rate, range(qualities[0], qualities[-1] + 1), bpp)}

    def encode(self, quality: int) -> Reply:
        """Every picture; its file is kept."""

        def work() -> None:
            self._files = [self.codec.encode(array, quality) for array in self._arrays]

        return _timed(work)

    def decode(self) -> Reply:
        """Every file; no picture is kept."""

        def work() -> None:
            for data in self._files:
                self.codec.decode(data)

        return _timed(work)

    def measure(self) -> Reply:
        """Mean bpp and mean PSNR in dB of the files, None for lossless ones; decodes them once more."""
        pairs = list(zip(self._arrays, self._files, strict=True))
        errors = [metrics.mse(array, self.codec.decode(data)) for array, data in pairs]
        psnr = sum(map(metrics.psnr, errors)) / len(errors)
        return {"bpp": _mean_bpp(self._arrays, self._files), "psnr": None if 0 in errors else psnr}

    def save(self, paths: list[str]) -> Reply:
        for path, data in zip(paths, self._files, strict=True):
            Path(path).write_bytes(data)
        return {}

    def take(self, paths: list[str]) -> Reply:
        self._files = [Path(path).read_bytes() for path in paths]
        return {}

    def commands(self, quality: int, source: str, coded: str, target: str) -> Reply:
        encode, decode = cold.commands(self.codec, quality, source, coded, target)
        return {"encode": encode, "decode": decode}

    def peak(self) -> Reply:
        """MiB of this process since its start, and of the largest program that the codec ran."""
        ran_programs = _faults_of_children() > self._children
        return {"mib": peak_mib() + (rusage_mib(children=True) if ran_programs else 0.0)}

    def _rate(self, quality: int) -> float:
        return _mean_bpp(self._arrays, [self.codec.encode(array, quality) for array in self._arrays])


def told_threads(codec: BenchCodec) -> int | None:
    """How many threads the codec was told to take; None where its library chooses, within the cores it is held to."""
    if isinstance(codec, PillowCodec) and codec.thread_option is None:
        return None
    threads: int | None = getattr(codec, "threads", None)
    return threads


def _mean_bpp(arrays: Sequence[Pixels], files: Sequence[bytes]) -> float:
    rates = [metrics.bpp(len(data), a.shape[1], a.shape[0]) for a, data in zip(arrays, files, strict=True)]
    return sum(rates) / len(rates)


def _timed(work: Callable[[], None]) -> Reply:
    """Wall clock, and processor time of every thread and of programs that it ran."""
    before, start = _processor_seconds(), time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "cpu_seconds": _processor_seconds() - before}


def _processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _faults_of_children() -> int:
    """Rises whenever a child has ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt


def main(threads: int) -> None:
    """Answer until standard input ends."""
    limit_cores(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent closes standard input when it is interrupted
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies:
        os.dup2(2, 1)  # whatever a library prints is not a reply
        session = Session()
        with contextlib.suppress(BrokenPipeError):  # the parent is gone
            for line in sys.stdin:
                replies.write(json.dumps(session.answer(json.loads(line))) + "\n")
                replies.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
