"""Where the time of encoding and decoding a photograph goes, stage by stage, in this process."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from caecodec import codec, container, entropy, integer, latents, lossless, photo
from caecodec.engine import Engine
from caecodec.errors import UsageError
from caecodec.pixels import Picture

# stage -> the functions it is made of; what a stage calls that is a stage itself counts there
STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "g_a": ((Engine, "analyse"),),
    "g_s": ((Engine, "synthesise"),),
    "integers: h_s": ((integer.EntropyNetwork, "hyper"),),
    "integers: context": ((integer.EntropyNetwork, "features"),),
    "integers: heads": ((integer.EntropyNetwork, "parameters"),),
    "rounding": ((latents, "quantise"),),
    "entropy coder": ((entropy.Encoder, "encode"), (entropy.Encoder, "finish"), (entropy.Decoder, "decode")),
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
    """'encode' and 'decode' of a picture in memory, with warm networks. Raises UsageError for another family."""
    coder = codec.open_codec(model)
    if not isinstance(coder, photo.PhotoCodec):
        raise UsageError("only photo models are broken down into stages")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        data = coder.encode(picture, quality)
        parsed = container.parse(data)
        found = {}
        for name, stage, work in (
            ("encode", "g_a", lambda: coder.encode(picture, quality)),
            ("decode", "g_s", lambda: coder.decode(parsed)),
        ):
            seconds, total = measure(work, rounds)
            with FlopCounterMode(display=False) as counter:
                work()
            macs = counter.get_total_flops() / 2
            found[name] = Breakdown(seconds, total, macs / seconds[stage] / 1e9)
        return found
    finally:
        torch.set_num_threads(before)


def alone(network: nn.Module, run: Callable[[], Any], rounds: int = 5) -> float:
    """GMAC/s of a network's convolutions and matrix products when each runs by itself on what it is given."""
    seen: list[tuple[nn.Module, Any]] = []
    hooks = [
        layer.register_forward_pre_hook(lambda module, args: seen.append((module, args)))
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    run()
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
