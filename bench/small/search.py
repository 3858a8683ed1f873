"""Qualities that meet what is asked for: looked for on a part of a set, held on the whole of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import replace

from caecodec.bench.small.results import SmallRow

MARGIN = 0.05  # dB above the target on the curve's pictures, so that the whole set seldom falls below it
_HIGHEST = 100


class Meter:
    """One codec on the pictures of one set; each quality is measured once."""

    def __init__(self, at: Callable[[int], SmallRow], grid: Iterable[int]) -> None:
        self._measure, self._grid = at, tuple(grid)
        self._rows: dict[int, SmallRow] = {}

    def at(self, quality: int) -> SmallRow:
        """The row of a quality."""
        if quality not in self._rows:
            self._rows[quality] = self._measure(quality)
        return self._rows[quality]

    def curve(self) -> list[SmallRow]:
        """The grid, and whatever was measured beside it, by rising quality."""
        for quality in self._grid:
            self.at(quality)
        return [self._rows[quality] for quality in sorted(self._rows)]

    def lowest(self, meets: Callable[[SmallRow], bool]) -> int | None:
        """The lowest quality that meets what higher ones meet as well; None where the highest does not."""
        met = [meets(self.at(quality)) for quality in self._grid]
        place = bisect_left(met, True)
        if place == len(met):
            return None
        first = self._grid[place - 1] + 1 if place else 1
        between = range(first, self._grid[place])
        return first + bisect_left(between, True, key=lambda quality: meets(self.at(quality)))


def operating(curve: Meter, whole: Meter, target: float) -> SmallRow:
    """The row on the whole set of the lowest quality that reaches `target` dB, or of the highest."""
    quality = curve.lowest(lambda row: row.psnr >= target + MARGIN) or _HIGHEST
    while quality < _HIGHEST and whole.at(quality).psnr < target:
        quality += 1
    return replace(whole.at(quality), kind="operating", asked_psnr=target)


def lowest_on_whole(curve: Meter, whole: Meter, meets: Callable[[SmallRow], bool]) -> int | None:
    """The lowest quality that meets on the whole set, looked for from where the curve has it; None: none does."""
    quality = curve.lowest(meets) or _HIGHEST
    if meets(whole.at(quality)):
        while quality > 1 and meets(whole.at(quality - 1)):
            quality -= 1
        return quality
    return next((q for q in range(quality + 1, _HIGHEST + 1) if meets(whole.at(q))), None)


def at_psnr(curve: Meter, whole: Meter, asked: float) -> SmallRow:
    """The lowest quality of at least `asked` dB, or the highest."""
    quality = lowest_on_whole(curve, whole, lambda row: row.psnr >= asked) or _HIGHEST
    return replace(whole.at(quality), kind="asked", asked_psnr=asked)


def within_bytes(curve: Meter, whole: Meter, asked: float) -> SmallRow:
    """The highest quality of at most `asked` bytes a picture, or the lowest."""
    over = lowest_on_whole(curve, whole, lambda row: (row.bytes or 0) > asked)
    quality = _HIGHEST if over is None else max(1, over - 1)
    return replace(whole.at(quality), kind="asked", asked_bytes=asked)
