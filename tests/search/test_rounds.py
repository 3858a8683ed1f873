"""The loop of rounds, over a trial that a test makes: where targets go, what is kept, when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from caecodec.engines.protocol import Chosen, Refinement
from caecodec.models.networks.trade import Trade
from caecodec.search.rounds import SEEN, SQUARED, Pace, chosen_again

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


def chosen(engine: Bowl, rounds: int, eye: float = 0.0, fixed: bool = False, stop_at: float = 2.0) -> Float:
    y, z = np.zeros((*SHAPE, N), np.float32), np.zeros((1, 1, 1), np.float32)
    trade = Trade(1.0, eye, np.full(N, 5, np.float32), 0.0, 0.0)
    pixels = np.zeros((48, 64, 3), np.uint8)
    tile = Refinement(pixels, y, z, 50, trade, 0.3, np.full(SHAPE, fixed))
    return chosen_again(engine, np.full(N, GAIN, np.float32), tile, rounds, lambda share: share < stop_at).symbols


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


def test_what_symbols_were_chosen_of_is_told_with_them() -> None:
    class Halves(Bowl):
        """Symbols are half of their targets."""

        def __call__(self, target: Float, strength: Float, *, slope: bool) -> Chosen:
            found = super().__call__(target, strength, slope=slope)
            return replace(found, y_hat=target / 2)

    y, z = np.zeros((*SHAPE, N), np.float32), np.zeros((1, 1, 1), np.float32)
    trade = Trade(1.0, 0.0, np.full(N, 5, np.float32), 0.0, 0.0)
    tile = Refinement(np.zeros((48, 64, 3), np.uint8), y, z, 50, trade, 0.3, np.zeros(SHAPE, bool))
    engine = Halves(bottom=0.5)
    found = chosen_again(engine, np.full(N, GAIN, np.float32), tile, 4)
    np.testing.assert_allclose(found.target, engine.targets[-1][:3] / GAIN)
    np.testing.assert_allclose(found.symbols, found.target / 2)
    assert found.strength.shape == SHAPE
    assert found.strength == pytest.approx(SQUARED.strength[1])


def test_no_target_leaves_the_step_around_where_it_was() -> None:
    engine = Bowl(bottom=1000.0)
    chosen(engine, 12)
    assert max(float(target.max()) for target in engine.targets) == 1.0


@pytest.mark.parametrize("rounds", [1, 3, 12, 24])
def test_by_ssimulacra2_no_round_goes_further_than_its_share_of_the_longest_step(rounds: int) -> None:
    engine = Bowl(bottom=1000.0)
    chosen(engine, rounds, eye=1.0)
    gone = [float((b - a).max()) for a, b in zip(engine.targets, engine.targets[1:], strict=False)]
    pace = SEEN.of(rounds)
    assert gone[0] == pytest.approx(pace.longest * pace.damping[0], rel=1e-4)
    assert gone[-1] == pytest.approx(pace.longest * pace.damping[rounds > 1], rel=1e-4)
    assert gone == sorted(gone, reverse=True)


@pytest.mark.parametrize("pace", [SQUARED, SEEN])
def test_few_rounds_end_with_longer_steps_and_many_begin_with_shorter_ones(pace: Pace) -> None:
    ends = [pace.of(rounds).damping[1] for rounds in (1, 3, 6, 12, 24, 60)]
    assert ends[0] < pace.damping[0]
    assert ends[:4] == sorted(ends[:4], reverse=True)
    assert ends[3:] == [pytest.approx(pace.damping[1])] * 3
    assert SEEN.of(24).longest == SEEN.longest == 2 * SEEN.of(96).longest


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
