"""Latents chosen in rounds, each with what every symbol costs later on: in the picture, and in bits that follow.

Rounding in the order of coding sees what a symbol costs itself. What it does to the picture together with all others,
and to the means and scales of later steps, is seen afterwards: one pass through decoder and context over the symbols as
they are, and its gradient. Every target then moves towards where R + lambda D would be lower (a Gauss-Newton step,
damped), and the symbols are chosen anew; a step that made things worse is taken back and gone more carefully.

What a round costs and how that grows, an engine tells (`caecodec.engines.protocol.Trial`), in floats that only
approximate the integers; what is written is coded by those, so nothing a decoder sees depends on this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from caecodec.engines.protocol import Float, Refinement, Trial

_CURVATURE = 0.85  # of the error by a latent, over that of the linear branch alone
_TRUSTED = 1.3  # least that a curvature is taken for more, after a step that made things worse
_WARY = 1.12  # and after one that made them worse but within the slack
_REACH = 1.0  # quantiser steps that a target may move from where it was


@dataclass(frozen=True, slots=True)
class Pace:
    """How a search goes on, by what errors are measured with; found on validation crops.

    strength: of rounding once there is a gradient, which makes up for more of what rounding takes; in the first round
    and later. damping: the share of a step that is gone, in the first round and in the last. longest: quantiser steps that
    a whole step is taken for at most. floor: bits added to the curvature, for measures that say little of some channels.
    eased: what curvature is multiplied by after a step that went well. doubted: the most that it is taken for more after
    one that did not. slack: how much worse, relatively, a round may be than the best for the next to go on from it.
    """

    strength: tuple[float, float]
    damping: tuple[float, float]
    longest: float
    floor: float
    eased: float
    doubted: float
    slack: float

    def damped(self, share: float) -> float:
        """The share of a step that is gone, once so much of all rounds is done."""
        return self.damping[0] * math.pow(self.damping[1] / self.damping[0], share)


SQUARED = Pace((0.7, 1.0), (0.3, 0.1), longest=1.0, floor=0.0, eased=0.96, doubted=10.0, slack=0.02)
# SSIMULACRA2 is far from a parabola: in a smooth cell its slope alone would have symbols go ten steps
SEEN = Pace((0.35, 0.45), (0.2, 0.04), longest=0.5, floor=3.0, eased=0.95, doubted=2.0, slack=0.003)


# Of a round that nothing checks: on 40 held-out crops at four qualities R + lambda D fell by 2 % on average and grew by
# 1 % at most.
ONCE_SQUARED = replace(SQUARED, strength=(0.55, 0.55), longest=0.5)
ONCE_SEEN = SEEN


class _Field:
    """What a search has of a tile, in whole blocks: y after its gain (h', w', N), cells that may move (h', w')."""

    def __init__(self, gain: Float, tile: Refinement, pace: Pace) -> None:
        h, w = tile.y.shape[:2]
        self.extent, self.pace, self._gain = (h, w), pace, gain
        self._beyond = (0, -h % tile.block), (0, -w % tile.block)
        self.y = self._whole((tile.y * gain).astype(np.float32, copy=False))
        usual = np.array(np.broadcast_to(np.asarray(tile.strength, np.float32), (h, w)))
        self.middle = float(usual.mean())
        self.first, self.movable = self._whole(usual), self._whole((~tile.fixed).astype(np.float32))
        # an error in a busy cell is worth as much less as rounding there may do more
        with np.errstate(divide="ignore", invalid="ignore"):
            by_cell = (self.middle / self.first)[..., None]
        worth = np.maximum(tile.trade.weight * by_cell + pace.floor, 1e-6)
        self.curvature: Float = 2 * np.float32(_CURVATURE) * worth

    def _whole(self, x: Float) -> Float:
        blocks: Float = np.pad(x, (*self._beyond, *((0, 0),) * (x.ndim - 2)), mode="edge")
        return blocks

    def step(self, at: Float, decoded: Float, slope: Float, share: float) -> Float:
        """The targets after `at`, once its symbols and what they cost later are known."""
        damping = np.float32(self.pace.damped(share)) * self.movable
        whole = np.clip(decoded - slope / self.curvature - at, -self.pace.longest, self.pace.longest)
        target: Float = np.clip(at + whole * damping[..., None], self.y - np.float32(_REACH), self.y + np.float32(_REACH))
        return target

    def stronger(self, later: bool) -> Float:
        """How much stronger than at first rounding may be in each cell."""
        more = np.float32(self.pace.strength[later] / self.middle)
        found: Float = np.where(self.movable > 0, more, np.float32(1))
        return found

    def before_gain(self, target: Float) -> Float:
        """Targets -> y (h, w, N) as the encoder has it."""
        h, w = self.extent
        return (target[:h, :w] / self._gain).astype(np.float32, copy=False)


def chosen_once(trial: Trial, gain: Float, tile: Refinement) -> tuple[Float, Float]:
    """The targets of one round, which nobody looks at: y (h, w, N) before its gain (N,), and how much stronger than before
    rounding is to be in each cell (h, w). Raises LimitError.
    """
    field = _Field(gain, tile, ONCE_SEEN if tile.trade.eye else ONCE_SQUARED)
    found = trial(field.y, field.first, slope=True)
    assert found.slope is not None  # as asked
    target = field.step(field.y, found.y_hat, found.slope, 0.0)
    h, w = field.extent
    return field.before_gain(target), field.stronger(later=False)[:h, :w]


def chosen_again(
    trial: Trial,
    gain: Float,
    tile: Refinement,
    rounds: int,
    go_on: Callable[[float], bool] = lambda share: True,
) -> Float:
    """Another y (h, w, N) before its gain (N,), whose nearest symbols are the best that were found in so many rounds.

    go_on is told the share done and says whether to continue. Raises LimitError.
    """
    pace = SEEN if tile.trade.eye else SQUARED
    field = _Field(gain, tile, pace)
    target, strength, promised = field.y, field.first, 0.0
    at, decoded, slope, best = field.y, field.y, np.zeros_like(field.y), field.y
    last = least = float("inf")
    for number in range(rounds + 1):
        ended = number == rounds or not go_on(number / rounds)
        found = trial(target, strength, slope=not ended)
        if found.cost < least * (1 + pace.slack):
            if number:
                field.curvature *= np.float32(pace.eased if found.cost < last else _WARY)
            at, last = target, found.cost
            if found.slope is not None:
                slope, decoded = found.slope, found.y_hat
            if found.cost < least:
                best, least = found.y_hat, found.cost
        else:
            # a parabola through both: what the slope promised, and what came of it
            bend = 2 * (found.cost - last - promised) / -promised if promised < 0 else _TRUSTED
            field.curvature *= np.float32(min(max(bend, _TRUSTED), pace.doubted))
        if ended:
            break
        target = field.step(at, decoded, slope, number / max(1, rounds - 1))
        promised = float(np.sum(slope * (target - at), dtype=np.float64))
        strength = field.stronger(later=number > 0) * field.first
    return field.before_gain(best)
