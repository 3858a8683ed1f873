"""In which order latents are coded: four steps over quarters of the channels and positions of each 2x2 cells."""

from __future__ import annotations

STEPS = 4
PHASES = ((0, 0), (1, 1), (0, 1), (1, 0))  # offset in each 2x2 cell, in the order of coding


def group_at(step: int, phase: int) -> int:
    """Channel group (a quarter of the channels of y) coded at `step` in `phase`, a position of each 2x2 cell.

    Exclusive-or makes a Latin square in which every group sees a cell's diagonal first.
    """
    return step ^ phase
