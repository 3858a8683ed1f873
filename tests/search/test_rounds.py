"""The loop of rounds, over a trial that a test makes: where targets go, what is kept, when it ends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from caecodec.engines.protocol import Chosen, Refinement
from caecodec.models.networks.trade import Trade
from caecodec.search.rounds import ONCE_SEEN, ONCE_SQUARED, SEEN, SQUARED, Pace, chosen_again, chosen_once

Float = NDArray[np.float32]
SHAPE, N, GAIN = (3, 4), 2, 2.0


class Bowl:
    """A trial that does not round: cost is the squared distance from `bottom`, and what `more` adds to each round."""

    def __init__(self, bottom: float, more: Callable[[int], float] = lambda number: 0.0) -> None:
        self.bottom, self.more = bottom, more
        self.targets: list[Float] = []
        self.slopes: list[bool] = []

    def __call__(self, target: Float, strength: Float, *, slope: bool) -> Chosen:
        self.targets.append(target)
        self.slopes.append(slope)
        away = target - np.float32(self.bottom)
        cost = float((away**2).sum()) + self.more(len(self.targets) - 1)
        return Chosen(target, cost, 2 * away if slope else None)


def of_zeros(eye: float = 0.0, fixed: bool | Float = False) -> Refinement:
    y, z = np.zeros((*SHAPE, N), np.float32), np.zeros((1, 1, 1), np.float32)
    trade = Trade(1.0, eye, np.full(N, 5, np.float32), 0.0, 0.0)
    pixels = np.zeros((48, 64, 3), np.uint8)
    return Refinement(pixels, y, z, 50, trade, 0.3, np.broadcast_to(np.asarray(fixed, bool), SHAPE))


GAINS = np.full(N, GAIN, np.float32)


def chosen(engine: Bowl, rounds: int, eye: float = 0.0, fixed: bool = False, stop_at: float = 2.0) -> Float:
    return chosen_again(engine, GAINS, of_zeros(eye, fixed), rounds, lambda share: share < stop_at)


def test_targets_move_against_the_slope_and_the_best_is_returned_before_its_gain() -> None:
    engine = Bowl(bottom=0.5)
    y = chosen(engine, 6)
    assert engine.slopes == [True] * 6 + [False]
    assert engine.targets[0].shape == (4, 4, N)  # whole pairs of cells
    means = [float(target.mean()) for target in engine.targets]
    assert means == sorted(means)
    assert 0.05 < means[-1] < 0.5
    assert y.shape == (*SHAPE, N)
    np.testing.assert_allclose(y, means[-1] / GAIN, rtol=1e-6)


def test_no_target_leaves_the_step_around_where_it_was() -> None:
    engine = Bowl(bottom=1000.0)
    chosen(engine, 12)
    assert max(float(target.max()) for target in engine.targets) == 1.0


@pytest.mark.parametrize(("eye", "pace"), [(0.0, SQUARED), (1.0, SEEN)])
def test_no_round_goes_further_than_its_share_of_the_longest_step(eye: float, pace: Pace) -> None:
    engine = Bowl(bottom=1000.0)
    chosen(engine, 2, eye)
    assert float(engine.targets[1].max()) == pytest.approx(pace.longest * pace.damping[0])


@pytest.mark.parametrize(("eye", "pace"), [(0.0, ONCE_SQUARED), (1.0, ONCE_SEEN)])
def test_a_single_round_is_one_look_whatever_becomes_of_it(eye: float, pace: Pace) -> None:
    engine = Bowl(bottom=-1000.0, more=lambda number: 100.0 * number)
    fixed = np.zeros(SHAPE)
    fixed[:, :2] = 1
    y, stronger = chosen_once(engine, GAINS, of_zeros(eye, fixed))
    assert engine.slopes == [True]
    assert (y.shape, stronger.shape) == ((*SHAPE, N), SHAPE)
    assert not y[:, :2].any()
    np.testing.assert_allclose(y[:, 2:], -pace.longest * pace.damping[0] / GAIN, rtol=1e-6)
    np.testing.assert_allclose(stronger, np.where(fixed, 1, pace.strength[0] / 0.3), rtol=1e-6)


def test_fixed_cells_stay() -> None:
    engine = Bowl(bottom=0.5)
    chosen(engine, 3, fixed=True)
    assert all(not target.any() for target in engine.targets)


@pytest.mark.parametrize("eye", [0.0, 1.0])
def test_a_step_that_made_things_worse_is_taken_back_and_gone_more_carefully(eye: float) -> None:
    engine = Bowl(bottom=0.5, more=lambda number: 100.0 if number == 1 else 0.0)
    y = chosen(engine, 3, eye)
    first, again = engine.targets[1], engine.targets[2]
    assert 0 < float(again.mean()) < float(first.mean())  # both from where nothing had moved
    np.testing.assert_allclose(y, engine.targets[-1][:3] / GAIN)


def test_where_nothing_is_better_what_was_there_is_returned() -> None:
    engine = Bowl(bottom=0.5, more=lambda number: 100.0 * number)
    assert not chosen(engine, 4).any()


def test_a_search_that_is_stopped_looks_at_where_it_stands_and_ends() -> None:
    engine = Bowl(bottom=0.5)
    y = chosen(engine, 10, stop_at=0.25)  # asked at 0, 0.1, 0.2 and 0.3
    assert engine.slopes == [True, True, True, False]
    np.testing.assert_allclose(y, engine.targets[-1][:3] / GAIN)
