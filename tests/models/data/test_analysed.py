"""Crops that are analysed once."""

from __future__ import annotations

import torch
from torch import Tensor

from caecodec.models.data.analysed import REUSED, Analysed


class Source:
    """Crops of one grey each, none like another, and latents that say which."""

    def __init__(self) -> None:
        self.drawn = 0

    def draw(self, count: int) -> Tensor:
        greys = torch.arange(self.drawn, self.drawn + count) % 256
        self.drawn += count
        return (greys / 255)[:, None, None, None].expand(count, 3, 4, 4)

    def analyse(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        return crops.mean((2, 3)), 2 * crops[:, :1]


def test_crops_come_with_their_own_latents() -> None:
    source = Source()
    crops, (mean, twice) = Analysed(source.draw, source.analyse).batch(6)
    assert crops.shape == (6, 3, 4, 4)
    assert crops.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(mean, crops.mean((2, 3)))
    torch.testing.assert_close(twice, 2 * crops[:, :1])


def test_each_is_analysed_once_and_the_oldest_give_way() -> None:
    source = Source()
    held = Analysed(source.draw, source.analyse, size=40)
    batches = [held.batch(8)[0] for _ in range(30)]
    assert len(held) == 40
    before_the_first = source.drawn - 30 * 8 // REUSED
    assert before_the_first == 64  # eight batches: the first ones are to be as mixed as later ones
    newest = {round(float(grey) * 255) for grey in batches[-1][:, 0, 0, 0]}
    assert newest <= set(range(source.drawn - 40, source.drawn))
