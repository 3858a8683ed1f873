"""How large activations get: what a network's channels reach in pictures, which its integers are made to hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Float = NDArray[np.float64]


class Watch:
    """The largest magnitude of each channel, by name; the name of a layer stands for what it reads."""

    def __init__(self) -> None:
        self.largest: dict[str, Float] = {}

    def note(self, name: str, x: Tensor, channels: int) -> None:
        """x: an activation with its channels along dimension `channels`."""
        found = x.detach().abs().transpose(channels, -1).flatten(0, -2).amax(0).double().cpu().numpy()
        before = self.largest.get(name)
        self.largest[name] = found if before is None else np.maximum(before, found)

    @contextmanager
    def over(self, network: nn.Module, outputs: dict[str, str] | None = None) -> Iterator[None]:
        """Within, every convolution and linear layer of a network notes its inputs.

        outputs: name of a layer -> name under which to note what it puts out.
        """
        handles = []
        for name, module in network.named_modules():
            channels = 1 if isinstance(module, nn.Conv2d) else -1
            if isinstance(module, nn.Conv2d | nn.Linear):

                def before(_: nn.Module, inputs: tuple[Tensor], name: str = name, channels: int = channels) -> None:
                    self.note(name, inputs[0], channels)

                handles.append(module.register_forward_pre_hook(before))
            if outputs and name in outputs:

                def after(module: nn.Module, inputs: tuple[Tensor], out: Tensor, name: str = outputs[name]) -> None:
                    self.note(name, out, 1 if out.ndim == 4 and not isinstance(module, nn.Linear) else -1)

                handles.append(module.register_forward_hook(after))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def stand_ins(count: int, side: int) -> Tensor:
    """Pictures (P, 3, S, S) uint8 for where there are no photographs: noise whose power falls as theirs does."""
    generator = np.random.default_rng(1)
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    falling = 1 / np.maximum(np.hypot(fy, fx), 1 / side)
    pictures = []
    for number in range(count):
        spectrum = np.fft.rfft2(generator.standard_normal((3, side, side))) * falling ** (0.6 + 0.2 * (number % 5))
        plane = np.fft.irfft2(spectrum, s=(side, side))
        shared = plane.mean(0, keepdims=True) * 2 + plane * 0.5
        scaled = (shared - shared.mean()) / shared.std() * 70 + generator.uniform(60, 190)
        pictures.append(np.clip(scaled, 0, 255).astype(np.uint8))
    return torch.from_numpy(np.stack(pictures))
