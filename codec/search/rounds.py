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
_FEW, _MANY = 12, 24  # rounds that a pace is for: fewer end with longer steps, more begin with shorter ones


@dataclass(frozen=True, slots=True)
class Pace:
    """How a search goes on, by what errors are measured with; found on validation crops.

    strength: of rounding once there is a gradient, which makes up for more of what rounding takes; in the first round
    and later. damping: the share of a step that is gone, in the first round and in the last. longest: quantiser steps
    that a whole step is taken for at most. floor: bits added to the curvature, for measures that say little of some
    channels. eased: what curvature is multiplied by after a step that went well. doubted: the most that it is taken for
    more after one that did not. slack: how much worse, relatively, a round may be than the best for the next to go on
    from it.
    """

    strength: tuple[float, float]
    damping: tuple[float, float]
    longest: float
    floor: float
    eased: float
    doubted: float
    slack: float

    def of(self, rounds: int) -> Pace:
        """The pace of so many rounds: few of them have no time for short steps, many no need of long ones."""
        first, last = self.damping
        last = first * math.pow(last / first, min(1, rounds / _FEW))
        longest = self.longest * math.sqrt(min(1, _MANY / max(1, rounds)))
        return replace(self, damping=(first, last), longest=longest)

    def damped(self, share: float) -> float:
        """The share of a step that is gone, once so much of all rounds is done."""
        return self.damping[0] * math.pow(self.damping[1] / self.damping[0], share)


SQUARED = Pace((0.7, 1.0), (0.3, 0.1), longest=math.inf, floor=0.0, eased=0.96, doubted=10.0, slack=0.02)
# SSIMULACRA2 is far from a parabola: where a picture is smooth its slope alone would have latents go ten steps
SEEN = Pace((0.35, 0.45), (0.2, 0.03), longest=0.4, floor=3.0, eased=0.98, doubted=1.5, slack=0.005)


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What a search found of a tile, before its gain.

    symbols: y_hat of what was chosen, (h, w, N); rounded to nearest it is the same symbols. target (h, w, N): what
    they were chosen from, with a strength of each cell (h, w).
    """

    symbols: Float
    target: Float
    strength: Float


def chosen_again(
    trial: Trial,
    gain: Float,
    tile: Refinement,
    rounds: int,
    go_on: Callable[[float], bool] = lambda share: True,
) -> Wanted:
    """The best that was found in so many rounds. gain: (N,).

    go_on is told the share done and says whether to continue. Raises LimitError.
    """
    h, w = tile.y.shape[:2]
    beyond = (0, -h % tile.block), (0, -w % tile.block)

    def whole(x: Float) -> Float:
        blocks: Float = np.pad(x, (*beyond, *((0, 0),) * (x.ndim - 2)), mode="edge")
        return blocks

    y = whole((tile.y * gain).astype(np.float32, copy=False))
    usual = np.array(np.broadcast_to(np.asarray(tile.strength, np.float32), (h, w)))
    middle = float(usual.mean())
    first, movable = whole(usual), whole((~tile.fixed).astype(np.float32))
    pace = (SEEN if tile.trade.eye else SQUARED).of(rounds)
    # an error in a busy cell is worth as much less as rounding there may do more
    with np.errstate(divide="ignore", invalid="ignore"):
        by_cell = (middle / first)[..., None]
    curvature: Float = 2 * np.float32(_CURVATURE) * np.maximum(tile.trade.weight * by_cell + pace.floor, 1e-6)
    target, strength, promised = y, first, 0.0
    at, decoded, slope, best = y, y, np.zeros_like(y), (y, y, first)
    last = least = float("inf")
    for number in range(rounds + 1):
        ended = number == rounds or not go_on(number / rounds)
        found = trial(target, strength, slope=not ended)
        if found.cost < least * (1 + pace.slack):
            if number:
                curvature *= np.float32(pace.eased if found.cost < last else _WARY)
            at, last = target, found.cost
            if found.slope is not None:
                slope, decoded = found.slope, found.y_hat
            if found.cost < least:
                best, least = (found.y_hat, target, strength), found.cost
        else:
            # a parabola through both: what the slope promised, and what came of it
            bend = 2 * (found.cost - last - promised) / -promised if promised < 0 else _TRUSTED
            curvature *= np.float32(min(max(bend, _TRUSTED), pace.doubted))
        if ended:
            break
        share = np.float32(pace.damped(number / max(1, rounds - 1))) * movable
        step = np.clip(decoded - slope / curvature - at, -pace.longest, pace.longest) * share[..., None]
        target = np.clip(at + step, y - np.float32(_REACH), y + np.float32(_REACH))
        promised = float(np.sum(slope * (target - at), dtype=np.float64))
        strength = np.where(movable > 0, np.float32(pace.strength[number > 0] / middle) * first, first)
    symbols, target, strength = (array[:h, :w] for array in best)

    def before_gain(values: Float) -> Float:
        return (values / gain).astype(np.float32, copy=False)

    return Wanted(before_gain(symbols), before_gain(target), strength)
