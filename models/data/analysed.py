"""Crops with what an encoder that no longer changes made of them: analysed once, seen several times."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Latents = tuple[Tensor, ...]

SIZE = 1024  # crops that are held; of 256x256 by a photo model in about half a gigabyte
REUSED = 4  # times that a crop is drawn, on average
_FIRST = 8  # batches that the first one is drawn from


class Analysed:
    """Batches of crops and their latents. Every batch brings some that are new, in place of the oldest."""

    def __init__(self, draw: Callable[[int], Tensor], analyse: Callable[[Tensor], Latents], size: int = SIZE) -> None:
        """draw: how many -> crops (B, 3, S, S) in [0, 1], of 8 bits; analyse: such crops -> their latents, (B, ...)
        each. Both are called when a batch is asked for.
        """
        self._draw, self._analyse, self._size = draw, analyse, size
        self._held: list[tuple[Tensor, Latents]] = []
        self._oldest = 0

    def __len__(self) -> int:
        return len(self._held)

    def batch(self, count: int) -> tuple[Tensor, Latents]:
        """`count` crops in channels_last and their latents, some of them more than once."""
        if not self._held:
            for _ in range(_FIRST):
                self._add(count)
        self._add(max(1, count // REUSED))
        drawn = [self._held[i] for i in torch.randint(len(self._held), (count,)).tolist()]
        crops = torch.stack([crop for crop, _ in drawn]).permute(0, 3, 1, 2).float() / 255
        return crops, tuple(torch.stack(same) for same in zip(*(latents for _, latents in drawn), strict=True))

    @torch.no_grad()
    def _add(self, count: int) -> None:
        crops = self._draw(count)
        pixels = (crops.permute(0, 2, 3, 1) * 255).round().to(torch.uint8)
        for crop, *latents in zip(pixels, *self._analyse(crops), strict=True):
            one = crop.clone(), tuple(part.clone() for part in latents)
            if len(self._held) < self._size:
                self._held.append(one)
            else:
                self._held[self._oldest] = one
                self._oldest = (self._oldest + 1) % self._size
